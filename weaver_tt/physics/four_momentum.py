"""Transverse momentum, angles and masses from momenta."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


def pt_eta_phi(px: Any, py: Any, pz: Any) -> tuple[Any, Any, Any]:
    """(pT, pseudorapidity, azimuth) of momenta of any shape; a momentum of exactly 0 has eta = 0."""
    pt = np.hypot(px, py)
    return pt, np.arcsinh(pz / np.maximum(pt, np.finfo(np.float64).tiny)), np.arctan2(py, px)


def invariant_mass(px: Floats, py: Floats, pz: Floats, energy: Floats) -> Floats:
    """Invariant mass; rounding below 0 counts as 0."""
    return np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))
