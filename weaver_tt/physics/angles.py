"""Angles around the beam, in radians."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def wrap_phi(angle: Any) -> Any:
    """Bring angles into [-pi, pi).

    Operators alone, so that numbers, numpy, awkward and torch share it; the gradient is 1, and ONNX
    has operators for all of it. In single precision the result is good to 2e-7.
    """
    return (angle + math.pi) % (2 * math.pi) - math.pi


def delta_phi(phi: Any, other: Any) -> Any:
    """Difference of azimuths the shorter way round, in [-pi, pi); arrays as for ``wrap_phi``."""
    return wrap_phi(phi - other)


def delta_r(eta: Any, phi: Any, other_eta: Any, other_phi: Any) -> Any:
    """Distance in (eta, phi); shapes broadcast.

    For numpy and awkward. Networks square and add the differences themselves, with a smallest
    distance: the gradient of this is not defined for identical directions.
    """
    return np.hypot(eta - other_eta, delta_phi(phi, other_phi))
