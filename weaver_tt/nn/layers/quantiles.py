"""Quantiles of one distribution: outputs that never cross."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def rising(raw: Tensor, anchor: int) -> Tensor:
    """Raw outputs (M, Q) -> values (M, Q) that rise from each quantile to the next.

    That of the ``anchor`` is the raw one; the others are steps from their neighbour on its side,
    which are positive: softplus(raw).
    """
    columns = list(raw.unbind(1))  # (M,) each
    for above in range(anchor + 1, len(columns)):
        columns[above] = columns[above - 1] + F.softplus(columns[above])
    for below in range(anchor - 1, -1, -1):
        columns[below] = columns[below + 1] - F.softplus(columns[below])
    return torch.stack(columns, 1)


def middle(quantiles: Sequence[float]) -> int:
    """The place of the quantile that is closest to the median."""
    distances = [abs(quantile - 0.5) for quantile in quantiles]
    return distances.index(min(distances))
