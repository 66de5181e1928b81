"""Widths of a distribution: outputs above 0."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

LEAST_WIDTH = 1e-4
"""In units of what is learnt, so that no single row makes the likelihood infinite."""


def positive_width(raw: Tensor) -> Tensor:
    """Raw outputs of any shape -> widths, ``softplus(raw) + LEAST_WIDTH``."""
    return F.softplus(raw) + LEAST_WIDTH
