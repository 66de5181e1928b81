"""Classes and real targets of a row, learnt together by one network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from weaver_tt.config.schema import CLASS_LABEL, NO_CLASS, DataConfig
from weaver_tt.data.rows.batch import Batch
from weaver_tt.errors import ConfigError
from weaver_tt.metrics.base import LossMeter, Meter, PartMeter, Scored
from weaver_tt.metrics.classification import MIN_SCORE, ClassificationMeter
from weaver_tt.metrics.regression import TargetLossMeter
from weaver_tt.tasks.base import Output, check_shape, row_weight
from weaver_tt.tasks.classes import TaskWithClasses
from weaver_tt.tasks.classification import Classification, figures_of_classes
from weaver_tt.tasks.real_targets import RealTargets, figures_of_targets
from weaver_tt.tasks.regression import Regression

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLASSES = "classes"  # what the loss of the classes alone is called


class Hybrid(TaskWithClasses):
    """Network output (N, C + K): logits of C classes, then K outputs of real targets.

    The loss of a row is the cross entropy of its class plus ``balance`` times the loss of its
    targets, as :class:`~weaver_tt.tasks.real_targets.RealTargets` has it; a row of no class, or
    without targets, has that of the other part. Metrics are those of both parts, those of the
    targets with their names. ``decorrelate`` is about the scores of the classes.

    Writes ``score_CLASS`` and ``output_TARGET``, and the truth where it is known.
    """

    name = "hybrid"
    has_targets = True

    def __init__(
        self,
        config: DataConfig,
        *,
        loss_function: str | Any = None,
        balance: float = 1.0,
        **common: Any,
    ) -> None:
        """``loss_function``: a name, ``{NAME: {option: value}}``, or a list of these.

        Without, that of the data YAML, else huber.
        """
        super().__init__(config, **common)
        if config.labels is None or not (config.labels.classes and config.labels.targets):
            raise ConfigError(
                f"{config.source}: task hybrid needs labels of classes and of real targets: a list "
                "of a section of `type: simple` and one of `type: custom`"
            )
        is_number = isinstance(balance, int | float) and not isinstance(balance, bool)
        if not (is_number and 0 < balance < math.inf):
            raise ConfigError(
                f"{config.source}: task.balance: {balance!r}; expected a number above 0"
            )
        self.set_classes(config.labels.classes)
        self.targets = RealTargets(config, loss_function)
        self.balance = float(balance)

    @property
    def value_names(self) -> list[str]:
        """Classes, then targets or their quantiles."""
        return [*self.classes, *self.targets.value_names]

    @property
    def output_names(self) -> list[str]:
        """``score_CLASS`` of each class, then ``output_TARGET`` of each target."""
        scores = [f"{Classification.column_prefix}{name}" for name in self.classes]
        values = [f"{Regression.column_prefix}{name}" for name in self.targets.value_names]
        return [*scores, *values]

    def score(self, output: Output, batch: Batch) -> Scored:
        """(N, C + K) -> M = N rows; ``target`` (M, 1 + T) is the class, then the true values.

        What is not known is NaN.
        """
        value, spread = self.split_output(output)  # (N, C + K)
        names = self.value_names
        check_shape(value, (batch.size, len(names)), names)
        weight = row_weight(batch, value)  # (N,)
        counts = weight.new_ones(batch.size).long()  # (N,)
        monitors = {"weight": weight, **self.spectators(output, batch)}
        if self.targets.columns:
            monitors |= self.targets.monitors(self.raw_columns(batch.inputs))
        true = self.targets.read(batch.labels)  # (N, T)
        target = None
        with_zero = None
        if CLASS_LABEL in batch.labels:
            monitors["class"] = batch.labels[CLASS_LABEL]
        if true is not None:
            monitors["true"] = true
            outside = self.targets.is_outside(true, batch.labels)
            if outside is not None:
                true = true.masked_fill(outside, math.nan)
                with_zero = self.targets.counted_with_zero(outside)
        # the labels of one section are in the files together or not at all
        if true is not None or CLASS_LABEL in batch.labels:
            if true is None:
                true = value.new_full((batch.size, len(self.targets.names)), math.nan)
            target = torch.cat([_class_or_nan(batch, true), true], 1)
            unknown = target.isnan()  # (N, 1 + T)
            if with_zero is not None:
                # the class counts with its loss in any case
                with_zero = F.pad(with_zero, (1, 0))
                unknown = unknown & ~with_zero
            weight = weight * ~(unknown.any(1) if self.loss else unknown.all(1))
        return Scored(
            value,
            target,
            weight,
            counts=counts,
            spread=spread,
            outside=with_zero,
            monitors=monitors,
        )

    def losses(self, scored: Scored) -> Tensor:
        """Cross entropy plus ``balance`` times the loss of the targets, (M,)."""
        if self.loss:
            return self.own_loss(scored)
        assert scored.target is not None
        of_class = F.cross_entropy(
            scored.output[:, : len(self.classes)],
            _class_numbers(scored.target),
            ignore_index=NO_CLASS,
            reduction="none",
        )
        part = self._real_part(scored)
        return of_class + self.balance * self.targets.losses(part.output, part)

    def loss_arguments(self, scored: Scored) -> tuple[Tensor, Tensor]:
        """Outputs (M, C + K), and labels (M, 1 + K): the class, then each output's target."""
        assert scored.target is not None
        classes = len(self.classes)
        part = self._real_part(scored)
        values, true = self.targets.loss_arguments(part.output, part)
        output = torch.cat([scored.output[:, :classes], values], 1)
        return output, torch.cat([scored.target[:, :1], true], 1)

    def activate(self, output: Tensor) -> Tensor:
        """Softmax over classes, values of targets in the units of the data."""
        classes = len(self.classes)
        probabilities = output[:, :classes].softmax(1)
        return torch.cat([probabilities, self.targets.activate(output[:, classes:])], 1)

    def in_units(self, values: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Values (M, C + K), those of targets times the columns of ratios."""
        classes = len(self.classes)
        of_targets = self.targets.in_units(values[:, classes:], columns)
        return torch.cat([values[:, :classes], of_targets], 1)

    def activated_entries(self, scored: Scored) -> Tensor:
        """Probabilities and values in the units of the data, (M, C + K)."""
        return self.in_units(self.activate(scored.output), self.targets.columns_of(scored))

    def meters(self) -> list[Meter]:
        """Loss, all metrics of the classes, all of the targets, the loss of each."""
        of_classes: list[Meter] = [
            ClassificationMeter(self.classes),
            TargetLossMeter([CLASSES], self._class_losses),
        ]
        if self.decorrelator is not None:
            of_classes += self.decorrelator.meters()
        return [
            LossMeter(),
            *(PartMeter(meter, self._class_part) for meter in of_classes),
            *(PartMeter(meter, self._real_part) for meter in self.targets.meters(alone=False)),
        ]

    def figures(self, meters: Sequence[Meter], totals: Sequence[Tensor]) -> dict[str, Figure]:
        """Those of the classes, and those of the targets."""
        names = self.config.names
        of_classes = figures_of_classes(meters, totals, names)
        return of_classes | figures_of_targets(meters, totals, names)

    def columns(self, scored: Scored) -> dict[str, Any]:
        """Scores, values of targets, and the truth where it is known.

        As those of :class:`~weaver_tt.tasks.classification.Classification` and
        :class:`~weaver_tt.tasks.regression.Regression`.
        """
        columns = self.row_columns(scored)
        monitors = scored.monitors or {}
        if "class" in monitors:
            numbers = monitors["class"].cpu().numpy()  # (N,)
            for number, name in enumerate(self.classes):
                columns[name] = (numbers == number).astype(np.int8)
        if "true" in monitors:
            true = monitors["true"].cpu().numpy().T  # (T, N)
            columns |= dict(zip(self.targets.names, true, strict=True))
        return columns

    def with_class_alone(self, scored: Scored) -> Scored:
        """Outputs (M, C) and classes (M,), by event weight, whatever is known of the targets."""
        assert scored.target is not None
        assert scored.monitors is not None
        return replace(
            scored,
            output=scored.output[:, : len(self.classes)],
            target=_class_numbers(scored.target),
            weight=scored.monitors["weight"],
            outside=None,
        )

    def _class_part(self, scored: Scored) -> Scored:
        """Scores (M, C) and classes (M,) of the entries that have a class."""
        return self.with_class_alone(scored).with_target()

    def _real_part(self, scored: Scored) -> Scored:
        """Outputs (M, K) and true values (M, T) of the targets."""
        assert scored.target is not None
        return replace(
            scored,
            output=scored.output[:, len(self.classes) :],
            target=scored.target[:, 1:],
            outside=None if scored.outside is None else scored.outside[:, 1:],
        )

    def _class_losses(self, scored: Scored) -> tuple[Tensor, Tensor]:
        """Cross entropies (M, 1) of probabilities, all of which count."""
        assert scored.target is not None
        own = scored.output.gather(1, scored.target[:, None])  # (M, 1)
        return -own.clamp(min=MIN_SCORE).log(), torch.ones_like(own, dtype=torch.bool)


def _class_or_nan(batch: Batch, like: Tensor) -> Tensor:
    """The number of each row's class, (N, 1) of the type of ``like``; NaN for a row of none."""
    if CLASS_LABEL not in batch.labels:
        return like.new_full((batch.size, 1), math.nan)
    numbers = batch.labels[CLASS_LABEL][:, None]  # (N, 1)
    return torch.where(numbers == NO_CLASS, math.nan, numbers.to(like.dtype))


def _class_numbers(target: Tensor) -> Tensor:
    """The classes (M,) of targets (M, 1 + T), ``NO_CLASS`` where an entry has none."""
    return target[:, 0].nan_to_num(nan=NO_CLASS).long()
