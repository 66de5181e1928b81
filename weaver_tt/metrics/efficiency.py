"""Metrics of predicted efficiencies against observed tags."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from weaver_tt.metrics.base import (
    Scored,
    SumMeter,
    error_of_mean,
    fill_histograms,
    is_defined,
    label_endings,
    ratio,
    squared_moments,
)
from weaver_tt.physics.particles import FLAVOURS, flavour_index

PT_LOW = 1.0  # values beyond share the outermost bins
PT_DECADES = 4
PT_BINS_A_DECADE = 8
PT_BINS = PT_DECADES * PT_BINS_A_DECADE
PT_EDGES = 10.0 ** torch.linspace(0, PT_DECADES, PT_BINS + 1, dtype=torch.float64)
MEANS = ("efficiency", "tag_rate", "brier", "log_loss")
MIN_PROBABILITY = 1e-7  # probabilities of 0 count as this in the log loss


class EfficiencyMeter(SumMeter):
    """Predicted efficiencies against observed tags: means, Brier score, log loss, calibration.

    With several labels each name ends in its label. Calibration bins are equal in
    arcsin(sqrt(efficiency)), where the binomial error is the same everywhere, so that efficiencies
    of a per cent are resolved too; ``calibration_error`` is the mean |predicted - observed| over
    these bins.
    """

    BINS = 20

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        count = len(names)
        super().__init__(
            means=(1 + len(MEANS), count),
            squares=(len(MEANS), 3, count),  # of which errors are made
            calibration=(4, count, self.BINS),
            pt=(4, count, len(FLAVOURS), PT_BINS),
        )

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M, K) efficiencies and tags, with the weight of the row (``monitors["weight"]``)."""
        if scored.target is None:
            return
        monitors = scored.monitors or {}
        # a task may append outputs of its own
        output = scored.output[:, : len(self.names)].double()
        predicted = output.nan_to_num().clamp(0, 1)  # (M, K)
        defined = is_defined(scored.target)  # (M, K)
        # a weight of 0 alone would not do: 0 times NaN is NaN
        target = torch.where(defined, scored.target.double(), 0.0)  # (M, K)
        weight = monitors.get("weight", scored.weight).double()  # (M,)
        weight = weight[:, None] * defined  # (M, K)
        sums = self.sums_on(predicted.device)

        log_tagged = predicted.clamp(min=MIN_PROBABILITY).log()
        log_untagged = (1 - predicted).clamp(min=MIN_PROBABILITY).log()
        log_loss = -(target * log_tagged + (1 - target) * log_untagged)  # (M, K)
        squared_error = (predicted - target) ** 2
        weighted_prediction = weight * predicted
        weighted_tag = weight * target
        measured = [predicted, target, squared_error, log_loss]  # (M, K) each, as in MEANS
        means = [weight.sum(0), *((weight * quantity).sum(0) for quantity in measured)]
        sums["means"].add_(torch.stack(means))
        squares = [squared_moments(weight, quantity) for quantity in measured]
        sums["squares"].add_(torch.stack(squares))

        quantities = (weight, weighted_prediction, weighted_tag, weight**2)
        filled = [quantity.flatten() for quantity in quantities]  # (M * K,) each
        label = torch.arange(len(self.names), device=predicted.device)  # (K,)
        index = label * self.BINS + self._calibration_bin(predicted)  # (M, K)
        fill_histograms(sums["calibration"], index.flatten(), filled)
        if "pt" in monitors:
            index = self._pt_bin(monitors, label)  # (M, K)
            fill_histograms(sums["pt"], index.flatten(), filled)

    def _calibration_bin(self, predicted: Tensor) -> Tensor:
        """Calibration bin of each efficiency, (M, K)."""
        # arcsin(sqrt(x)) goes from 0 to pi / 2
        bins_a_radian = self.BINS * 2 / math.pi
        angle = predicted.sqrt().asin()
        # an efficiency of 1 belongs to the last bin
        return (angle * bins_a_radian).long().clamp(max=self.BINS - 1)

    def _pt_bin(self, monitors: dict[str, Tensor], label: Tensor) -> Tensor:
        """Index of label, flavour class and pT bin, (M, K)."""
        pt = monitors["pt"].nan_to_num().clamp(min=PT_LOW)
        pt_bin = (pt.log10() * PT_BINS_A_DECADE).long()  # (M,)
        pt_bin = pt_bin.clamp(max=PT_BINS - 1)
        # objects whose flavour is not known share a place with light ones
        flavour = torch.full_like(pt_bin, len(FLAVOURS) - 1)
        if "flavour" in monitors:
            flavour = flavour_index(monitors["flavour"].round())
        label_and_flavour = label * len(FLAVOURS) + flavour[:, None]  # (M, K)
        return label_and_flavour * PT_BINS + pt_bin[:, None]

    def values(self, totals: Tensor) -> dict[str, float]:
        """Means of each label.

        ``efficiency`` (mean predicted), ``tag_rate`` (observed), ``brier``, ``log_loss``,
        ``calibration_error``.
        """
        blocks = self.blocks(totals)
        values = {}
        for k, end in enumerate(label_endings(self.names)):
            count, *sums = blocks["means"][:, k]
            if count == 0:
                continue
            for name, quantity in zip(MEANS, sums, strict=True):
                values[f"{name}{end}"] = ratio(quantity, count)
            _, predicted_in_bins, tagged_in_bins, _ = blocks["calibration"][:, k]
            deviation = (predicted_in_bins - tagged_in_bins).abs().sum()
            values[f"calibration_error{end}"] = ratio(deviation, count)
        return values

    def errors(self, totals: Tensor) -> dict[str, float]:
        """Of all means; that of the observed share is binomial."""
        blocks = self.blocks(totals.cpu())
        values = self.values(totals)
        errors = {}
        for k, end in enumerate(label_endings(self.names)):
            count = float(blocks["means"][0, k])
            for name, moments in zip(MEANS, blocks["squares"][:, :, k].tolist(), strict=True):
                if f"{name}{end}" in values:
                    errors[f"{name}{end}"] = error_of_mean(values[f"{name}{end}"], count, moments)
        return errors
