"""Angles around the beam."""

from __future__ import annotations

from typing import Any

import numpy as np


def wrap_phi(angle: Any) -> Any:
    """Angles brought into [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
