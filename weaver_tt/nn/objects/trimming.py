"""Shorter jets in training: what the few longest rows of a batch have beyond the rest is left out at random, as in weaver-core."""

from __future__ import annotations

import torch
from torch import Tensor

KEPT_QUANTILE = (
    0.9,
    1.02,
)  # the quantile of the rows' lengths that is kept, drawn anew for each batch; 1 and more keep everything


def trim_longest(mask: Tensor) -> Tensor:
    """Mask (N, P), True for real objects, without some of those of rows longer than a random quantile of all lengths.

    Saves time, and shows the network jets with missing particles. All randomness comes from torch's generator, and none of it depends on padding:
    the same seed trims the same.
    """
    counts = mask.sum(1)
    share = torch.empty((), device=mask.device).uniform_(*KEPT_QUANTILE).clamp(max=1)
    longest = torch.quantile(counts.float(), share).long().clamp(min=1)
    places = mask.flatten().nonzero().squeeze(1)  # (M,)
    drawn = torch.rand(places.shape, device=mask.device)
    keys = (
        torch.full((mask.numel(),), 2.0, device=mask.device)
        .index_copy(0, places, drawn)
        .view(mask.shape)
    )  # padding behind all
    rank = keys.argsort(dim=1).argsort(dim=1)
    return mask & (rank < longest)
