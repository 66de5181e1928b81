"""What is known of a splitting: its place in the Lund plane, mass and orientation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.physics.angles import delta_phi
from weaver_tt.physics.four_momentum import azimuth, mass_squared, rapidity, transverse_momentum

Floats = npt.NDArray[np.float64]

SMALLEST_ANGLE = 1e-5
"""Of Delta: what is nearer counts as this far."""

SMALLEST = 1e-10
"""Of pT and mass in GeV, and of z: their logarithms are finite."""

# the largest of single precision below pi / 2, so that rounding does not leave the half circle
LARGEST_PSI = float(np.nextafter(np.float32(np.pi / 2), np.float32(0), dtype=np.float32))


def splitting_columns(harder: Floats, softer: Floats) -> dict[str, Floats]:
    """``lnkt lndelta lnz lnm psi`` of S splittings into branches of momenta (4, S) in GeV.

    With a the harder and b the softer branch: Delta^2 = (y_a - y_b)^2 + (phi_a - phi_b)^2 of
    rapidity y and azimuth; kt = pT_b Delta; z = pT_b / (pT_a + pT_b); m^2 = (p_a + p_b)^2;
    psi = atan (y_b - y_a) / (phi_b - phi_a), in (-pi/2, pi/2], 0 for equal directions. Logarithms
    are finite: Delta is at least 1e-5, and pT_b, z and m are at least 1e-10. A mass squared that
    rounding has made negative counts as 0.

    Source: Dreyer, Qu, arXiv:2012.08526, section 2.
    """
    pt_a = transverse_momentum(harder[0], harder[1])
    pt_b = transverse_momentum(softer[0], softer[1])
    d_y = rapidity(*softer) - rapidity(*harder)
    d_phi = delta_phi(azimuth(softer[0], softer[1]), azimuth(harder[0], harder[1]))
    delta = np.maximum(np.hypot(d_y, d_phi), SMALLEST_ANGLE)
    kt = np.maximum(pt_b, SMALLEST) * delta
    z = np.maximum(pt_b, SMALLEST) / np.maximum(pt_a + pt_b, SMALLEST)
    mass = np.sqrt(np.maximum(mass_squared(*(harder + softer)), 0))
    return {
        "lnkt": np.log(kt),
        "lndelta": np.log(delta),
        "lnz": np.log(np.maximum(z, SMALLEST)),
        "lnm": np.log(np.maximum(mass, SMALLEST)),
        "psi": orientation(d_y, d_phi),
    }


def orientation(d_y: Any, d_phi: Any) -> Floats:
    """Angle in (-pi/2, pi/2] of the line along (d_phi, d_y), which has no direction; 0 without one.

    Values are such that they stay in that range in single precision.
    """
    # one end of the line has d_phi >= 0
    is_other_end = (d_phi < 0) | ((d_phi == 0) & (d_y < 0))
    sign = np.where(is_other_end, -1.0, 1.0)
    psi = np.arctan2(sign * d_y, sign * d_phi)
    return np.clip(psi, -LARGEST_PSI, LARGEST_PSI)
