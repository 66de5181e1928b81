"""Metrics of classification, accumulated batch by batch.

A confusion matrix, the calibration, and histograms of scores from which all curves come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from weaver_tt.metrics.base import Scored, SumMeter, fill_histograms
from weaver_tt.metrics.classifier_summary import ClassifierSummary
from weaver_tt.metrics.roc import bin_borders, bin_centers, bin_scores

MIN_SCORE = 1e-30  # scores of 0 count as this
MAX_SUMS = 1 << 22  # of all histograms together: with many classes they become coarser
MIN_HALF = 16  # but not coarser than this
# Entries are added some thousand at a time: a training step then costs next to nothing.
ENTRIES_AT_ONCE = 8192


class ClassificationMeter(SumMeter):
    """Accuracy, areas under ROC curves, background rejections, calibration.

    Two scores are histogrammed for each class k of an entry of class t: log(s_k / sum of the
    others), for k against the rest, and log(s_t / s_k), for t against k. They order entries as s_k
    and as the pair score s_t / (s_t + s_k) do, and they resolve scores close to 0 and 1; with two
    classes both are the same. ``half`` sets the width of the bins (see
    :func:`weaver_tt.metrics.roc.bin_scores`): SCALE / half where the scores are equal.
    Errors are in :meth:`details`.
    """

    SCALE = 8.0
    CONFIDENCE_BINS = 15  # as in arXiv:1706.04599

    def __init__(self, names: Sequence[str], half: int = 511) -> None:
        self.names = list(names)
        classes = len(names)
        self.kinds = 1 if classes == 2 else 2
        largest_half = MAX_SUMS // (8 * classes**2)
        self.half = max(min(half, largest_half), MIN_HALF)
        bins = 2 * self.half + 1
        super().__init__(
            confusion=(classes, classes),
            calibration=(4, self.CONFIDENCE_BINS),
            scores=(2, self.kinds, classes, classes, bins),
        )
        kind = torch.arange(self.kinds)[:, None, None]
        column = torch.arange(classes)
        # where the bins of true class 0 begin
        self._first = (kind * classes**2 + column) * bins  # (kinds, 1, K)
        self._others = 1.0 - torch.eye(classes)  # (K, K)
        self._held: list[list[Tensor]] = []  # output, target and weight of batches
        self._held_entries = 0

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M, K) probabilities and (M,) classes."""
        if scored.target is None:
            return
        # a task may append outputs of its own
        output = scored.output[:, : len(self.names)]
        # copies, for a loader may reuse its buffers
        batch = (output, scored.target, scored.weight)
        self._held.append([tensor.clone() for tensor in batch])
        self._held_entries += len(scored.output)
        if self._held_entries >= ENTRIES_AT_ONCE:
            self._add_held()

    def totals(self) -> Tensor:
        """A copy of all sums."""
        self._add_held()
        return super().totals()

    def restore(self, totals: Tensor) -> None:
        """Continue from these sums."""
        self._forget_held()
        super().restore(totals)

    def _add_held(self) -> None:
        if not self._held:
            return
        outputs, targets, weights = zip(*self._held, strict=True)
        self._add(torch.cat(outputs), torch.cat(targets), torch.cat(weights))
        self._forget_held()

    def _forget_held(self) -> None:
        self._held = []
        self._held_entries = 0

    def _add(self, output: Tensor, target: Tensor, weight: Tensor) -> None:
        """Add probabilities (M, K), classes and weights (M,)."""
        output = output.float().nan_to_num()
        weight = weight.double()
        sums = self.sums_on(output.device)

        confidence, chosen = output.max(1)  # (M,)
        cell = target * len(self.names) + chosen
        fill_histograms(sums["confusion"][None], cell, [weight])

        bins = (confidence * self.CONFIDENCE_BINS).long()
        # a confidence of 1 belongs to the last bin
        bins = bins.clamp_(0, self.CONFIDENCE_BINS - 1)
        is_correct = chosen == target
        quantities = [weight, weight * confidence, weight * is_correct, weight.square()]
        fill_histograms(sums["calibration"], bins, quantities)

        index = self._score_bins(output, target)  # (kinds, M, K)
        repeated = weight[:, None].expand_as(index).flatten()
        fill_histograms(sums["scores"], index.flatten(), [repeated, repeated.square()])

    def _score_bins(self, output: Tensor, target: Tensor) -> Tensor:
        """Flat index (kinds, M, K) of each score's bin among all kinds, true classes, columns."""
        self._first = self._first.to(output.device)
        self._others = self._others.to(output.device)
        logs = output.clamp(min=MIN_SCORE).log()  # (M, K)
        # the others are added up, for 1 - s_k would cancel
        rest = (output @ self._others).clamp(min=MIN_SCORE)
        scores = [logs - rest.log()]
        if self.kinds == 2:
            own = logs.gather(1, target[:, None])  # (M, 1)
            scores.append(own - logs)
        bins = bin_scores(torch.stack(scores), self.half, self.SCALE)  # (kinds, M, K)
        bins_of_a_class = len(self.names) * (2 * self.half + 1)
        first_of_class = target * bins_of_a_class  # (M,)
        return bins + self._first + first_of_class[:, None]

    def values(self, totals: Tensor) -> dict[str, float]:
        """Scalars by name.

        ``accuracy``, ``auc``, ``rejection@0.5`` …; with more than two classes ``auc_CLASS``,
        ``rejection@0.5_CLASS`` … and ``auc_ovo``.
        """
        summary = self.summarize(totals)
        return {} if summary.is_empty else summary.values()

    def errors(self, totals: Tensor) -> dict[str, float]:
        """Errors of the accuracy, the areas and the rejections."""
        summary = self.summarize(totals)
        return {} if summary.is_empty else summary.errors()

    def details(self, totals: Tensor) -> dict[str, Any]:
        """All metrics with their errors, of each class against the rest and of each pair."""
        summary = self.summarize(totals)
        return {} if summary.is_empty else summary.details()

    def summarize(self, totals: Tensor) -> ClassifierSummary:
        """Everything that follows from (summed) totals."""
        blocks = self.blocks(totals.cpu())
        centers = bin_centers(self.half, self.SCALE)
        borders = bin_borders(self.half, self.SCALE)
        return ClassifierSummary(self.names, blocks, centers, borders)
