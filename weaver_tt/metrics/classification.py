"""Metrics of classification, streamed: confusion matrix, calibration and histograms of scores, from which all curves come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from weaver_tt.metrics.base import Scored, SumMeter, fill_histograms
from weaver_tt.metrics.classifier_summary import ClassifierSummary
from weaver_tt.metrics.roc import bin_centers, bin_scores

MIN_SCORE = 1e-30  # scores of 0 count as this
MAX_SUMS = 1 << 22  # of all histograms together: with many classes they become coarser
ENTRIES_AT_ONCE = (
    8192  # entries that are added at once: a step of some hundred then costs next to nothing
)


class ClassificationMeter(SumMeter):
    """Accuracy, areas under ROC curves, background rejections, calibration; with their errors in :meth:`details`.

    Two scores are histogrammed for each class k of an entry of class t: log(s_k / sum of the others), for k against the rest, and log(s_t / s_k), for
    t against k. Orders by them are those by s_k and by the pair score s_t / (s_t + s_k), and they resolve scores next to 0 and 1; with two classes
    both are the same. ``half`` sets the width of the bins (see :func:`weaver_tt.metrics.roc.bin_scores`): SCALE / half where the scores are equal.
    """

    SCALE = 8.0
    CONFIDENCE_BINS = 15  # as in arXiv:1706.04599

    def __init__(self, names: Sequence[str], half: int = 511) -> None:
        self.names, classes = list(names), len(names)
        self.kinds = 1 if classes == 2 else 2
        self.half = max(min(half, MAX_SUMS // (8 * classes**2)), 16)
        bins = 2 * self.half + 1
        super().__init__(
            confusion=(classes, classes),
            calibration=(4, self.CONFIDENCE_BINS),
            scores=(2, self.kinds, classes, classes, bins),
        )
        # (kinds, 1, K): where the bins of true class 0 begin
        self._first = (
            torch.arange(self.kinds)[:, None, None] * classes**2 + torch.arange(classes)
        ) * bins
        self._others = 1.0 - torch.eye(classes)  # (K, K)
        self._held: list[tuple[Tensor, Tensor, Tensor]] = []
        self._held_entries = 0

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M, K) probabilities and (M,) classes."""
        if scored.target is None:
            return
        # a task may append outputs of its own; cloned, as a loader may reuse its buffers
        output = scored.output[:, : len(self.names)].clone()
        self._held.append((output, scored.target.clone(), scored.weight.clone()))
        self._held_entries += len(scored.output)
        if self._held_entries >= ENTRIES_AT_ONCE:
            self._add_held()

    def totals(self) -> Tensor:
        """A copy of all sums."""
        self._add_held()
        return super().totals()

    def restore(self, totals: Tensor) -> None:
        """Continue from these sums."""
        self._held, self._held_entries = [], 0
        super().restore(totals)

    def _add_held(self) -> None:
        if self._held:
            self._add(*(torch.cat(parts) for parts in zip(*self._held, strict=True)))
            self._held, self._held_entries = [], 0

    def _add(self, output: Tensor, target: Tensor, weight: Tensor) -> None:
        """Add probabilities (M, K), classes and weights (M,)."""
        output, weight, classes = output.float().nan_to_num(), weight.double(), len(self.names)
        sums = self.sums_on(output.device)
        confidence, chosen = output.max(1)
        fill_histograms(sums["confusion"][None], target * classes + chosen, [weight])
        bins = (confidence * self.CONFIDENCE_BINS).long().clamp_(0, self.CONFIDENCE_BINS - 1)
        fill_histograms(
            sums["calibration"],
            bins,
            [weight, weight * confidence, weight * (chosen == target), weight.square()],
        )
        index = self._places(output, target).flatten()
        each = weight[:, None].expand(self.kinds, *output.shape).flatten()
        fill_histograms(sums["scores"], index, [each, each.square()])

    def _places(self, output: Tensor, target: Tensor) -> Tensor:
        """Flat index (kinds, M, K) of each score's bin among those of all kinds, true classes and columns."""
        self._first, self._others = self._first.to(output.device), self._others.to(output.device)
        logs = output.clamp(min=MIN_SCORE).log()
        scores = [
            logs - (output @ self._others).clamp(min=MIN_SCORE).log()
        ]  # s_k / (1 - s_k) without cancellation
        if self.kinds == 2:
            scores.append(logs.gather(1, target[:, None]) - logs)
        row = target * (len(self.names) * (2 * self.half + 1))
        return bin_scores(torch.stack(scores), self.half, self.SCALE) + self._first + row[:, None]

    def values(self, totals: Tensor) -> dict[str, float]:
        """``accuracy``, ``auc``, ``rejection@0.5`` …; of several classes ``auc_CLASS``, ``rejection@0.5_CLASS`` …, and ``auc_ovo``."""
        summary = self.summarize(totals)
        return {} if summary.is_empty else summary.values()

    def details(self, totals: Tensor) -> dict[str, Any]:
        """All metrics with their errors, of each class against the rest and of each pair."""
        summary = self.summarize(totals)
        return {} if summary.is_empty else summary.details()

    def summarize(self, totals: Tensor) -> ClassifierSummary:
        """All that follows from (summed) totals."""
        return ClassifierSummary(
            self.names, self.blocks(totals.cpu()), bin_centers(self.half, self.SCALE)
        )
