"""Components, angles, energies and masses of four-momenta: numpy and awkward arrays."""

from __future__ import annotations

from typing import Any

import numpy as np


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


def invariant_mass(px: Any, py: Any, pz: Any, energy: Any) -> Any:
    """Mass; where the square is below 0 by rounding, 0."""
    return np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))


def signed_mass(energy: Any, momentum: Any) -> Any:
    """Mass from energy and |p|; negative for a spacelike vector, as in the package vector."""
    square = energy**2 - momentum**2
    return np.copysign(np.sqrt(np.abs(square)), square)
