"""Metrics of classification, streamed: confusion matrix and histograms of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from weaver_tt.metrics.base import Scored, SumMeter, ratio


class ClassificationMeter(SumMeter):
    """``accuracy``, ``auc`` (mean over classes of one class against the rest) and, for more than two classes, ``auc_CLASS``; the confusion matrix.

    The areas are streamed: scores are counted in bins of equal width in their logit, entries that share a bin count as ties, which is exact to the
    bins' width.
    """

    BINS = 512
    EDGE = 16.0  # logits beyond +-16, scores closer than 1e-7 to 0 or 1, share the outermost bins

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        super().__init__(confusion=(len(names), len(names)), scores=(2, len(names), self.BINS))

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M, K) probabilities and (M,) classes."""
        output, target = scored.output.nan_to_num(), scored.target
        if target is None:
            return
        sums, weight, classes = self.sums_on(output.device), scored.weight.double(), len(self.names)
        sums["confusion"].view(-1).index_add_(0, target * classes + output.argmax(1), weight)
        place = (torch.logit(output.double(), eps=1e-7) + self.EDGE) * (self.BINS / (2 * self.EDGE))
        column = torch.arange(classes, device=output.device)
        index = ((target[:, None] == column) * classes + column) * self.BINS + place.long().clamp(0, self.BINS - 1)  # (M, K)
        sums["scores"].view(-1).index_add_(0, index.flatten(), weight.repeat_interleave(classes))

    def values(self, totals: Tensor) -> dict[str, float]:
        """``accuracy``, ``auc`` and ``auc_CLASS``."""
        blocks = self.blocks(totals)
        if not blocks["confusion"].any():
            return {}
        areas = {name: area_under_curve(*blocks["scores"][:, k]) for k, name in enumerate(self.names)}
        known = [area for area in areas.values() if not math.isnan(area)]
        values = {"accuracy": ratio(blocks["confusion"].trace(), blocks["confusion"].sum()), "auc": sum(known) / len(known) if known else math.nan}
        return values | ({f"auc_{name}": area for name, area in areas.items()} if len(self.names) > 2 else {})

    def figures(self, totals: Tensor) -> dict[str, Any]:
        """The confusion matrix."""
        from weaver_tt import figures  # matplotlib only where something is drawn

        return {"confusion": figures.confusion(self.blocks(totals)["confusion"].numpy(), self.names)}


def area_under_curve(rest: Tensor, signal: Tensor) -> float:
    """Area under the ROC curve from two histograms of the score (bins,): P(signal above rest) + P(same bin) / 2."""
    below = rest.cumsum(0) - rest / 2
    return ratio((signal * below).sum(), signal.sum() * rest.sum())
