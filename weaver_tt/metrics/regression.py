"""Metrics of regression."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from weaver_tt.metrics.base import Scored, SumMeter, is_defined, label_endings, ratio


class RegressionMeter(SumMeter):
    """``mae``, ``rmse`` and ``bias`` (mean of predicted - true) of each label.

    Over the rows where the label is defined. With several labels each name ends in its label.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        super().__init__(sums=(4, len(names)))

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M, K) values, with the row's weight; targets that are not finite do not count."""
        if scored.target is None:
            return
        unknown = ~is_defined(scored.target)  # (M, K)
        # a task may append outputs of its own
        predicted = scored.output[:, : len(self.names)].double()
        residual = predicted - scored.target.double()
        # a weight of 0 alone would not do: 0 times NaN is NaN
        residual = torch.where(unknown, 0.0, residual)
        # the loss of a network file may need all labels of a row, a metric needs its own
        monitors = scored.monitors or {}
        weight = monitors.get("weight", scored.weight).double()  # (M,)
        weight = weight[:, None] * ~unknown  # (M, K)
        quantities = [weight, weight * residual.abs(), weight * residual**2, weight * residual]
        sums = [quantity.sum(0) for quantity in quantities]  # (K,) each
        self.sums_on(residual.device)["sums"].add_(torch.stack(sums))

    def values(self, totals: Tensor) -> dict[str, float]:
        """``mae``, ``rmse``, ``bias``."""
        sums = self.blocks(totals)["sums"]  # (4, K)
        values: dict[str, float] = {}
        for end, of_label in zip(label_endings(self.names), sums.T, strict=True):
            count, absolute, square, residual = of_label
            if count > 0:
                # negative weights may pull the mean square below 0
                mean_square = max(ratio(square, count), 0.0)
                values[f"mae{end}"] = ratio(absolute, count)
                values[f"rmse{end}"] = math.sqrt(mean_square)
                values[f"bias{end}"] = ratio(residual, count)
        return values
