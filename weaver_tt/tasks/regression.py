"""Regression: any number of real targets a row."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from weaver_tt.config.schema import DataConfig
from weaver_tt.data.rows.batch import Batch
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.metrics.base import LossMeter, Meter, Scored
from weaver_tt.metrics.regression import RegressionMeter
from weaver_tt.tasks.base import Output, Task, check_shape, row_weight

LOSSES: dict[str, Callable[[Tensor], Tensor]] = {  # residual -> loss
    "huber": lambda x: F.huber_loss(x, torch.zeros_like(x), reduction="none"),
    "mse": torch.square,
    "mae": torch.abs,
    "logcosh": lambda x: (
        x.abs() + F.softplus(-2 * x.abs()) - math.log(2)
    ),  # log(cosh(x)) without overflow
}


class Regression(Task):
    """Network output (N, K), one value for each target; writes ``output_LABEL`` and, where known, ``LABEL``.

    A subclass may append outputs (``output_names``): losses and metrics look at the first K.

    A label ``x`` may come with ``x_mask``: rows where that is 0 do not count for x. A row's loss is the mean over its labels that count; a row
    without any has no weight.
    """

    name = "regression"

    def __init__(self, config: DataConfig, *, loss_function: str = "huber", **common: Any) -> None:
        super().__init__(config, **common)
        if config.labels is None or not config.labels.targets:
            raise ConfigError(
                f"{config.source}: task regression needs `labels.type: custom` with a mapping of names to expressions"
            )
        if loss_function not in LOSSES:
            raise ConfigError(
                f"{config.source}: task.loss_function: {loss_function!r}; {nearest(loss_function, LOSSES)}"
            )
        self.labels = config.labels.target_names
        self.masks = config.labels.masks
        self.residual_loss = LOSSES[loss_function]

    @property
    def output_names(self) -> list[str]:
        """``output_LABEL`` of each label."""
        return [f"output_{name}" for name in self.labels]

    def score(self, output: Output, batch: Batch) -> Scored:
        """(N, K), or (N,) for one label -> M = N rows; targets that do not count are NaN."""
        value, spread = self.split_output(output)
        if value.ndim == 1:
            value = value.unsqueeze(1)  # (N, 1)
        if spread is not None and spread.ndim == 1:
            spread = spread.unsqueeze(1)  # (N, 1)
        check_shape(value, (batch.size, len(self.output_names)), self.output_names)
        target = self._target(batch)
        weight = row_weight(batch, value)
        if target is not None:
            weight = weight * ~target.isnan().all(1)
        return Scored(
            value, target, weight, counts=weight.new_ones(batch.size).long(), spread=spread
        )

    def _target(self, batch: Batch) -> Tensor | None:
        """(N, K), NaN where a mask is off; None where the data lacks a label."""
        if not all(name in batch.labels for name in (*self.labels, *self.masks.values())):
            return None
        targets = [batch.labels[name].float() for name in self.labels]
        for k, name in enumerate(self.labels):
            if name in self.masks:
                targets[k] = torch.where(batch.labels[self.masks[name]] != 0, targets[k], math.nan)
        return torch.stack(targets, 1)

    def losses(self, scored: Scored) -> Tensor:
        """Mean over the labels that count, (M,)."""
        if self.loss:
            return self.own_loss(scored)
        assert scored.target is not None
        counts = ~scored.target.isnan()  # (M, K)
        residual = torch.where(
            counts, scored.output[:, : len(self.labels)] - scored.target.nan_to_num(), 0.0
        )  # a NaN must not reach the gradient
        return self.residual_loss(residual).sum(1) / counts.sum(1).clamp(min=1)

    def activate(self, output: Tensor) -> Tensor:
        """Values as the network gives them."""
        return output

    def meters(self) -> list[Meter]:
        """Loss; absolute and squared errors, bias."""
        return [LossMeter(), RegressionMeter(self.labels)]

    def columns(self, scored: Scored) -> dict[str, Any]:
        """``output_LABEL`` float32, ``output_LABEL_std`` with an ensemble, ``LABEL`` with labels."""
        columns = self.row_columns(scored)
        if scored.target is not None:
            columns |= dict(zip(self.labels, scored.target.cpu().numpy().T, strict=True))
        return columns
