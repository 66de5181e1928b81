"""Metrics of regression."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from weaver_tt.metrics.base import Scored, SumMeter, ratio


class RegressionMeter(SumMeter):
    """``mae``, ``rmse`` and ``bias`` (mean of predicted - true) of each label, over the rows where it is defined.

    Names end in the label if there are several.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        super().__init__(sums=(4, len(names)))

    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add (M, K) values; NaN targets do not count."""
        if scored.target is None:
            return
        # a task may append outputs of its own
        predicted = scored.output[:, : len(self.names)].double()
        residual = predicted - scored.target.double()
        weight = scored.weight.double()[:, None] * ~scored.target.isnan()  # (M, K)
        residual = torch.where(scored.target.isnan(), 0.0, residual)
        quantities = (torch.ones_like(residual), residual.abs(), residual**2, residual)
        self.sums_on(residual.device)["sums"].add_(
            torch.stack([(weight * quantity).sum(0) for quantity in quantities])
        )

    def values(self, totals: Tensor) -> dict[str, float]:
        """``mae``, ``rmse``, ``bias``."""
        values: dict[str, float] = {}
        for name, (count, absolute, square, residual) in zip(
            self.names, self.blocks(totals)["sums"].T, strict=True
        ):
            end = f"_{name}" if len(self.names) > 1 else ""
            if count > 0:
                values |= {
                    f"mae{end}": ratio(absolute, count),
                    f"rmse{end}": math.sqrt(max(ratio(square, count), 0.0)),
                    f"bias{end}": ratio(residual, count),
                }
        return values
