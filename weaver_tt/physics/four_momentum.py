"""Components, angles, energies and masses of four-momenta: numpy and awkward arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

BEAM_RAPIDITY = 1e5


def transverse_momentum(px: Any, py: Any) -> Any:
    """Size of the momentum across the beam."""
    return np.hypot(px, py)


def azimuth(px: Any, py: Any) -> Any:
    """Angle around the beam, in [-pi, pi]; 0 for a momentum along the beam."""
    return np.arctan2(py, px)


def pseudorapidity(pt: Any, pz: Any) -> Any:
    """-ln tan(theta / 2); infinite along the beam, NaN for a momentum of 0."""
    return np.arcsinh(pz / pt)


def pt_eta_phi(px: Any, py: Any, pz: Any) -> tuple[Any, Any, Any]:
    """(pT, pseudorapidity, azimuth) of momenta; a momentum of exactly 0 has eta = 0."""
    pt = transverse_momentum(px, py)
    # 0 / 0 would be NaN
    smallest = np.finfo(np.float64).tiny
    eta = pseudorapidity(np.maximum(pt, smallest), pz)
    phi = azimuth(px, py)
    return pt, eta, phi


def rapidity(px: Any, py: Any, pz: Any, energy: Any) -> Any:
    """1/2 ln (E + pz) / (E - pz), finite for any momentum.

    A spacelike momentum counts as massless. Along the beam, where it would be infinite, it is
    100000 + |pz| with the sign of pz, as in FastJet.

    Source: FastJet, arXiv:1111.6097, section 3.1, for what is not finite.
    """
    square = px**2 + py**2 + np.maximum(mass_squared(px, py, pz, energy), 0)
    is_along_beam = square == 0
    # (E + |pz|)^2 = square * exp(2 |y|), without the cancellation of E - |pz|
    exponential = np.where(is_along_beam, 1.0, (energy + np.abs(pz)) ** 2)
    size = 0.5 * np.log(exponential / np.where(is_along_beam, 1.0, square))
    size = np.where(is_along_beam, BEAM_RAPIDITY + np.abs(pz), size)
    return np.where(pz < 0, -size, size)


def momentum_x(pt: Any, phi: Any) -> Any:
    """Component px from pT and azimuth."""
    return pt * np.cos(phi)


def momentum_y(pt: Any, phi: Any) -> Any:
    """Component py from pT and azimuth."""
    return pt * np.sin(phi)


def momentum_z(pt: Any, eta: Any) -> Any:
    """Component pz from pT and pseudorapidity."""
    return pt * np.sinh(eta)


def px_py_pz(pt: Any, eta: Any, phi: Any) -> tuple[Any, Any, Any]:
    """Cartesian components from pT, pseudorapidity and azimuth."""
    px = momentum_x(pt, phi)
    py = momentum_y(pt, phi)
    pz = momentum_z(pt, eta)
    return px, py, pz


def momentum_size(pt: Any, pz: Any) -> Any:
    """|p| from its parts across and along the beam."""
    return np.hypot(pt, pz)


def energy_from_mass(mass: Any, momentum_squared: Any) -> Any:
    """Energy of particles of a mass and a momentum squared, |p|^2."""
    return np.sqrt(mass**2 + momentum_squared)


def mass_squared(px: Any, py: Any, pz: Any, energy: Any) -> Any:
    """E^2 - |p|^2; the large terms along the beam cancel before they are squared."""
    return (energy + pz) * (energy - pz) - px**2 - py**2


def invariant_mass(px: Any, py: Any, pz: Any, energy: Any) -> Any:
    """Mass; where the square is below 0 by rounding, 0."""
    return np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))


def signed_mass(energy: Any, momentum: Any) -> Any:
    """Mass from energy and |p|; negative for a spacelike vector, as in the package vector."""
    square = energy**2 - momentum**2
    return np.copysign(np.sqrt(np.abs(square)), square)
