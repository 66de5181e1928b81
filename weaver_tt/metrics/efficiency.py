"""Metrics of predicted efficiencies against observed tags."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from weaver_tt.metrics.base import Scored, SumMeter, fill_histograms, ratio
from weaver_tt.physics.particles import FLAVOUR_CODES, flavour_index

FLAVOURS = (
    *FLAVOUR_CODES,
    "other",
)  # as flavour_index numbers them; light ones are among the others
PT_LOW, PT_DECADES, PT_BINS_A_DECADE = 1.0, 4, 8  # values beyond share the outermost bins
PT_EDGES = 10.0 ** torch.linspace(
    0, PT_DECADES, PT_DECADES * PT_BINS_A_DECADE + 1, dtype=torch.float64
)


class EfficiencyMeter(SumMeter):
    """Predicted efficiencies against observed tags: means, Brier score, log loss, calibration.

    With several labels each name ends in its label. Calibration bins are equal in arcsin(sqrt(efficiency)), where a binomial's error is the same
    everywhere, so that efficiencies of a per cent are resolved too; ``calibration_error`` is the mean |predicted - observed| over these bins.
    """

    BINS = 20

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        count = len(names)
        super().__init__(
            means=(5, count),
            calibration=(4, count, self.BINS),
            pt=(4, count, len(FLAVOURS), len(PT_EDGES) - 1),
        )

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M, K) efficiencies and (M, K) tags, each with its row's weight (``monitors["weight"]``)."""
        if scored.target is None:
            return
        monitors = scored.monitors or {}
        # a task may append outputs of its own
        predicted = scored.output[:, : len(self.names)].double().nan_to_num().clamp(0, 1)
        target = scored.target.double()
        sums, weight = (
            self.sums_on(predicted.device),
            monitors.get("weight", scored.weight).double()[:, None].expand_as(predicted),
        )  # (M, K)
        log_loss = -(
            target * predicted.clamp(min=1e-7).log()
            + (1 - target) * (1 - predicted).clamp(min=1e-7).log()
        )
        quantities = [
            weight,
            weight * predicted,
            weight * target,
            weight * (predicted - target) ** 2,
            weight * log_loss,
        ]
        sums["means"].add_(torch.stack([quantity.sum(0) for quantity in quantities]))
        filled = [
            quantity.flatten()
            for quantity in (weight, weight * predicted, weight * target, weight**2)
        ]
        label = torch.arange(len(self.names), device=predicted.device)  # (K,)
        place = (
            (predicted.sqrt().asin() * (self.BINS * 2 / math.pi)).long().clamp(max=self.BINS - 1)
        )
        fill_histograms(sums["calibration"], (label * self.BINS + place).flatten(), filled)
        if "pt" in monitors:
            fill_histograms(sums["pt"], self._pt_bin(monitors, label), filled)

    def _pt_bin(self, monitors: dict[str, Tensor], label: Tensor) -> Tensor:
        """Flat index (M * K,) of label, flavour class and pT bin."""
        bins, classes = len(PT_EDGES) - 1, len(FLAVOURS)
        place = (
            (monitors["pt"].nan_to_num().clamp(min=PT_LOW).log10() * PT_BINS_A_DECADE)
            .long()
            .clamp(max=bins - 1)
        )
        flavour = torch.full_like(place, classes - 1)
        if "flavour" in monitors:
            flavour = flavour_index(monitors["flavour"].round())
        return ((label * classes + flavour[:, None]) * bins + place[:, None]).flatten()

    def values(self, totals: Tensor) -> dict[str, float]:
        """``efficiency`` (mean predicted), ``tag_rate`` (observed), ``brier``, ``log_loss``, ``calibration_error``."""
        blocks = self.blocks(totals)
        values = {}
        for k, name in enumerate(self.names):
            end = f"_{name}" if len(self.names) > 1 else ""
            count, *sums = blocks["means"][:, k]
            if count == 0:
                continue
            values.update(
                {
                    f"{key}{end}": ratio(total, count)
                    for key, total in zip(
                        ("efficiency", "tag_rate", "brier", "log_loss"), sums, strict=True
                    )
                }
            )
            _, predicted, observed, _ = blocks["calibration"][:, k]
            values[f"calibration_error{end}"] = ratio((predicted - observed).abs().sum(), count)
        return values
