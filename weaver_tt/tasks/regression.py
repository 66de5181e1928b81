"""Regression: any number of real targets per row."""

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
from weaver_tt.tasks.base import Output, Task, check_shape, first_outputs, row_weight


def _huber(residual: Tensor) -> Tensor:
    return F.huber_loss(residual, torch.zeros_like(residual), reduction="none")


def _logcosh(residual: Tensor) -> Tensor:
    """``log(cosh(x))``, without the overflow of cosh."""
    size = residual.abs()
    return size + F.softplus(-2 * size) - math.log(2)


# name -> loss of each residual
LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "huber": _huber,
    "mse": torch.square,
    "mae": torch.abs,
    "logcosh": _logcosh,
}


class Regression(Task):
    """Network output (N, K), one value for each target.

    Writes ``output_LABEL`` and, where known, ``LABEL``. A subclass may append outputs
    (``output_names``): losses and metrics look at the first K.

    A target ``x`` may come with ``x_mask``: rows where that is 0 do not count for ``x``, nor do
    rows where ``x`` is NaN or infinite. A row's loss is the mean over its targets that count; a row
    without any has no weight. A network file's own loss is given the rows where all targets count,
    and only these have a weight in it; a metric of a target is over the rows where that counts.
    """

    name = "regression"
    column_prefix = "output_"

    def __init__(self, config: DataConfig, *, loss_function: str = "huber", **common: Any) -> None:
        super().__init__(config, **common)
        if config.labels is None or not config.labels.targets:
            raise ConfigError(
                f"{config.source}: task regression needs `labels.type: custom` "
                "with a mapping of names to expressions"
            )
        if loss_function not in LOSSES:
            raise ConfigError(
                f"{config.source}: task.loss_function: {loss_function!r}; "
                f"{nearest(loss_function, LOSSES)}"
            )
        self.labels = config.labels.target_names
        self.masks = config.labels.masks
        self.residual_loss = LOSSES[loss_function]

    @property
    def output_names(self) -> list[str]:
        """``output_LABEL`` of each label."""
        return [f"{self.column_prefix}{name}" for name in self.labels]

    def score(self, output: Output, batch: Batch) -> Scored:
        """(N, K), or (N,) for one label -> M = N rows; targets that do not count are NaN."""
        value, spread = self.split_output(output)
        if value.ndim == 1:
            value = value.unsqueeze(1)  # (N, 1)
        if spread is not None and spread.ndim == 1:
            spread = spread.unsqueeze(1)  # (N, 1)
        names = self.value_names
        check_shape(value, (batch.size, len(names)), names)
        target = self._target(batch)
        weight = row_weight(batch, value)  # (N,)
        counts = weight.new_ones(batch.size).long()  # (N,)
        monitors = {"weight": weight}
        if target is not None:
            # a row without a target must not count in the mean loss either
            unknown = target.isnan()  # (N, K)
            weight = weight * ~(unknown.any(1) if self.loss else unknown.all(1))
        return Scored(value, target, weight, counts=counts, spread=spread, monitors=monitors)

    def _target(self, batch: Batch) -> Tensor | None:
        """(N, K), NaN where a mask is off; None where the data lacks a label."""
        needed = {*self.labels, *self.masks.values()}
        if not needed <= batch.labels.keys():
            return None
        targets: list[Tensor] = []
        for name in self.labels:
            target = batch.labels[name].float()  # (N,)
            if name in self.masks:
                counts = batch.labels[self.masks[name]] != 0  # (N,)
                target = torch.where(counts, target, math.nan)
            targets.append(target)
        return torch.stack(targets, 1)

    def losses(self, scored: Scored) -> Tensor:
        """Mean over the labels that count, (M,)."""
        if self.loss:
            return self.own_loss(scored)
        assert scored.target is not None
        counts = ~scored.target.isnan()  # (M, K)
        # NaN must not reach the gradient, where 0 times NaN would still be NaN
        predicted = first_outputs(scored.output, len(self.labels))  # (M, K)
        difference = predicted - scored.target.nan_to_num()  # (M, K)
        residual = torch.where(counts, difference, 0.0)
        loss = self.residual_loss(residual)  # (M, K)
        return loss.sum(1) / counts.sum(1).clamp(min=1)

    def loss_arguments(self, scored: Scored) -> tuple[Tensor, Tensor]:
        """Outputs (M, K) and targets (M, K); of a single label (M,), as losses for Weaver expect.

        (M, 1) beside (M,) would be subtracted to (M, M) without a word.
        """
        output, target = super().loss_arguments(scored)
        if len(self.labels) == 1:
            target = target.squeeze(1)
            # the axis of the outputs alone: a batch may be of one row
            if output.shape[1] == 1:
                output = output.squeeze(1)
        return output, target

    def activate(self, output: Tensor) -> Tensor:
        """Values as the network gives them."""
        return output

    def meters(self) -> list[Meter]:
        """Loss; absolute and squared errors, bias."""
        return [LossMeter(), RegressionMeter(self.labels)]

    def columns(self, scored: Scored) -> dict[str, Any]:
        """``output_LABEL`` (N,), ``output_LABEL_std`` with an ensemble, ``LABEL`` where known.

        A target that does not count is NaN.
        """
        columns = self.row_columns(scored)
        if scored.target is not None:
            columns |= dict(zip(self.labels, scored.target.cpu().numpy().T, strict=True))
        return columns
