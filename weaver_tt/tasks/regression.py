"""Regression: any number of real targets of each row, or of each object of a group."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from weaver_tt.config.schema import DataConfig, InputGroup
from weaver_tt.data.rows.batch import Batch
from weaver_tt.errors import ConfigError
from weaver_tt.metrics.base import LossMeter, Meter, Scored
from weaver_tt.tasks.base import Output, Task, first_outputs
from weaver_tt.tasks.entries import Entries, to_jagged
from weaver_tt.tasks.real_targets import RealTargets, figures_of_targets

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Regression(Task):
    """Network output (N, K): a value for each target, for its width, or each of its quantiles.

    With labels of type ``per_object``, (N, K, P): the same for each object of the labelled group.
    What is said of rows below then holds of real objects, each of which has the weight of its row.

    Writes ``output_LABEL`` and, where known, ``LABEL``: one number for each row, or one for each
    object, NaN beyond the length of the input. A subclass may append outputs
    (``output_names``): losses and metrics look at the first K.

    Losses, weights and windows of the targets are those of ``task.targets`` in the data YAML;
    ``loss_function`` is the loss of the others. Which rows count for a target, and what the loss of
    a row is, says :class:`~weaver_tt.tasks.real_targets.RealTargets`. A row without any target that
    counts has no weight. A network file's own loss is given the rows where all targets count, and
    only these have a weight in it; a metric of a target is over the rows where that counts.
    """

    name = "regression"
    column_prefix = "output_"
    has_targets = True

    def __init__(
        self, config: DataConfig, *, loss_function: str | Any = None, **common: Any
    ) -> None:
        """``loss_function``: a name, ``{NAME: {option: value}}``, or a list of these.

        Without, that of the data YAML, else huber.
        """
        super().__init__(config, **common)
        if config.labels is None or not config.labels.regressed.targets:
            raise ConfigError(
                f"{config.source}: task regression needs `labels.type: custom` (or, for objects, "
                "`per_object`) with a mapping of names to expressions"
            )
        # whose objects are learnt; None for rows
        self.group: InputGroup | None = None
        if config.labels.kind == "per_object":
            [group] = config.labels.object_targets
            self.group = config.inputs[group]
        self.targets = RealTargets(config, loss_function)
        self.labels = self.targets.names
        self.masks = self.targets.masks

    @property
    def output_names(self) -> list[str]:
        """``output_LABEL`` of each label and its width, or of each of its quantiles."""
        return [f"{self.column_prefix}{name}" for name in self.targets.value_names]

    def score(self, output: Output, batch: Batch) -> Scored:
        """(N, K), or (N,) for one output -> M = N rows; (N, K, P) -> the M real objects.

        Targets that do not count are NaN.
        """
        value, spread = self.split_output(output)
        entries = Entries(batch, None if self.group is None else self.group.name)
        names = self.value_names
        value = entries.outputs(value, names)  # (M, K)
        if spread is not None:
            spread = entries.outputs(spread, names)  # (M, K)
        weight = entries.weight(value)  # (M,)
        monitors = {"weight": weight}
        if self.targets.columns:
            monitors |= self.targets.monitors(self.raw_columns(batch.inputs))
        labels = entries.labels(self.targets.label_names)
        target = self.targets.read(labels)  # (M, T)
        with_zero = None
        if target is not None:
            monitors["true"] = target
            outside = self.targets.is_outside(target, labels)
            if outside is not None:
                target = target.masked_fill(outside, math.nan)
                with_zero = self.targets.counted_with_zero(outside)
            # an entry without a target must not count in the mean loss either
            unknown = target.isnan()  # (M, T)
            if with_zero is not None:
                unknown = unknown & ~with_zero
            weight = weight * ~(unknown.any(1) if self.loss else unknown.all(1))
        return Scored(
            value,
            target,
            weight,
            counts=entries.counts(value),
            spread=spread,
            outside=with_zero,
            monitors=monitors,
        )

    def losses(self, scored: Scored) -> Tensor:
        """Mean over the labels that count, (M,)."""
        if self.loss:
            return self.own_loss(scored)
        assert scored.target is not None
        predicted = first_outputs(scored.output, len(self.targets.value_names))  # (M, K)
        return self.targets.losses(predicted, scored)

    def loss_arguments(self, scored: Scored) -> tuple[Tensor, Tensor]:
        """Outputs (M, K) and targets (M, K); of a single one (M,), as losses for Weaver expect.

        (M, 1) beside (M,) would be subtracted to (M, M) without a word. A target with several
        quantiles, or with a width, stands beside each of them.
        """
        output, target = self.targets.loss_arguments(scored.output, scored)
        if target.shape[1] == 1:
            target = target.squeeze(1)
            # the axis of the outputs alone: a batch may be of one row
            if output.shape[1] == 1:
                output = output.squeeze(1)
        return output, target

    def activate(self, output: Tensor) -> Tensor:
        """Values in the units of the data, quantiles in rising order, widths above 0."""
        if not self.targets.changes_outputs:
            return output
        return self._of_targets(output, self.targets.activate)

    def in_units(self, values: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Values (M, K) times the columns of ratios."""
        if not self.targets.columns:
            return values
        return self._of_targets(values, partial(self.targets.in_units, columns=columns))

    def _of_targets(self, output: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        """Outputs (M, K), or (M,) of one, of which those of the targets are changed."""
        if output.ndim == 1:
            output = output.unsqueeze(1)
        own = len(self.targets.value_names)
        changed = change(first_outputs(output, own))
        if output.shape[1] == own:
            return changed
        # what a subclass appended
        return torch.cat([changed, output[:, own:]], 1)

    def activated_entries(self, scored: Scored) -> Tensor:
        """Values in the units of the data, (M, K)."""
        return self.in_units(self.activate(scored.output), self.targets.columns_of(scored))

    def meters(self) -> list[Meter]:
        """Loss; errors of each target, coverage of quantiles, pulls."""
        return [LossMeter(), *self.targets.meters(alone=True)]

    def figures(self, meters: Sequence[Meter], totals: Sequence[Tensor]) -> dict[str, Figure]:
        """Prediction against target, residuals, response; coverage of quantiles; pulls."""
        return figures_of_targets(meters, totals, self.config.names)

    def columns(self, scored: Scored) -> dict[str, Any]:
        """``output_LABEL`` (N,), ``output_LABEL_std`` with an ensemble, ``LABEL`` where known.

        Of objects, N lists.

        A target that is masked is NaN; one outside of its window is what it is.
        """
        columns = self.row_columns(scored)
        if scored.target is not None:
            true = (scored.monitors or {}).get("true", scored.target)
            columns |= dict(zip(self.labels, true.cpu().numpy().T, strict=True))
        if self.group is None:
            return columns
        counts = scored.counts.cpu().numpy()  # (N,)
        length = self.group.length
        return {name: to_jagged(values, counts, length) for name, values in columns.items()}
