"""Real targets of a row: what a network gives for them, its loss, its meters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from weaver_tt.config.schema import DataConfig, Target, TargetLoss, window_label
from weaver_tt.config.targets import (
    GAUSSIAN,
    WIDTH_ENDING,
    log_bases,
    losses_of_targets,
    output_names_of,
)
from weaver_tt.data.rows.target_transforms import (
    times_column,
    to_learnt,
    to_quotient,
    width_to_learnt,
    width_to_quotient,
)
from weaver_tt.errors import ConfigError
from weaver_tt.metrics.base import Meter, PartMeter, Scored, innermost, is_defined
from weaver_tt.metrics.regression import (
    CoverageMeter,
    PullMeter,
    RegressionMeter,
    TargetLossMeter,
)
from weaver_tt.nn.layers.quantiles import middle, rising
from weaver_tt.nn.layers.widths import positive_width
from weaver_tt.tasks.losses import residual_loss

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN = "column"  # what the names of raw columns begin with, among the monitors of entries


@dataclass(frozen=True)
class TargetOutputs:
    """The outputs of one target: ``names`` of the columns ``first``, ``first`` + 1, ... of all.

    ``losses``: each with the places of its outputs among them. ``quantiles`` are those that never
    cross, in rising order: place -> quantile. ``central``: the place of what stands for the target
    itself, a mean or the median; None where there is none. ``width``: the place of the width of a
    target that is Gaussian, whose mean is the ``central`` one; None for others.
    """

    target: Target
    names: tuple[str, ...]
    first: int
    losses: tuple[tuple[TargetLoss, tuple[int, ...]], ...]
    quantiles: Mapping[int, float]
    central: int | None
    width: int | None

    @property
    def columns(self) -> slice:
        """Their columns among the outputs of all targets."""
        return slice(self.first, self.first + len(self.names))


def _outputs_of(target: Target, name: str, losses: tuple[TargetLoss, ...], first: int) -> Any:
    levels = output_names_of(name, losses)
    names = tuple(levels)
    placed = []
    for loss in losses:
        own = tuple(output_names_of(name, [loss]))
        placed.append((loss, tuple(names.index(output) for output in own)))
    quantiles = {}
    for output, level in sorted(levels.items(), key=lambda item: item[1] or 0):
        if level is not None:
            quantiles[names.index(output)] = level
    central = None
    if names[0] == name:
        central = 0
    else:
        for place, level in quantiles.items():
            if level == 0.5:
                central = place
    width = None
    if any(loss.name == GAUSSIAN for loss in losses):
        width = names.index(f"{name}{WIDTH_ENDING}")
    return TargetOutputs(target, names, first, tuple(placed), quantiles, central, width)


class RealTargets:
    """T real targets of each entry, and K outputs: one of each target, its width, or its quantiles.

    Entries are rows, or objects of rows, M of them.

    A target ``x`` may come with ``x_mask``: entries where that is 0 do not count for ``x``, nor do
    those where ``x`` is NaN or infinite, or that lie outside of its window. The loss of an entry is
    the mean over its targets that count, each multiplied by its weight; that of a target is the sum
    of its losses, and of several quantiles their mean.
    """

    def __init__(self, config: DataConfig, common: Any = None) -> None:
        """``common``: the losses of targets for which the data YAML says nothing else.

        Raises:
            ConfigError: there is no such loss, or two outputs have one name.
        """
        assert config.labels is not None
        labels = config.labels.regressed
        self.source = config.source
        self.names = labels.target_names
        self.masks = labels.masks
        self.windows = {name: window_label(name) for name in config.windows}
        self.log_bases = log_bases(config)
        self.outputs: list[TargetOutputs] = []
        first = 0
        for name, losses in losses_of_targets(config, common).items():
            target = config.targets.get(name, Target())
            self.outputs.append(_outputs_of(target, name, losses, first))
            first += len(self.outputs[-1].names)
        self.columns = config.transform_columns
        self.has_transforms = any(outputs.target.transform for outputs in self.outputs)
        self.has_zero_losses = any(outputs.target.outside_counts for outputs in self.outputs)
        self._check_names(config)

    def _check_names(self, config: DataConfig) -> None:
        """Raise ConfigError where an output has the name of another one, or of another label."""
        assert config.labels is not None
        taken = [name for name in config.labels.expressions if name not in self.names]
        taken += self.value_names
        for name in self.value_names:
            if taken.count(name) > 1 or (name in self.names and name not in self._own_names()):
                raise ConfigError(
                    f"{self.source}: labels: {name!r} is also the name of an output, a quantile or "
                    "width; "
                    "rename the label"
                )

    def _own_names(self) -> set[str]:
        """Targets that have an output of their own name."""
        return {
            name for name, own in zip(self.names, self.outputs, strict=True) if name in own.names
        }

    @property
    def value_names(self) -> list[str]:
        """The names of the K outputs: ``y``, or ``y_q16``, ``y_q84`` of quantiles, ``y_sigma``."""
        return [name for outputs in self.outputs for name in outputs.names]

    @property
    def has_further_outputs(self) -> bool:
        """Whether a target has other outputs than one of its own name."""
        return self.value_names != self.names

    @property
    def changes_outputs(self) -> bool:
        """Whether values are something else than the raw outputs."""
        return self.has_further_outputs or self.has_transforms

    def monitors(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the entries of a batch take along of its raw ``columns`` (N,), for transforms."""
        return {f"{COLUMN} {name}": columns[name] for name in self.columns}

    def columns_of(self, scored: Scored) -> dict[str, Tensor]:
        """The columns (M,) by name that :meth:`monitors` gave to entries."""
        monitors = scored.monitors or {}
        return {name: monitors[f"{COLUMN} {name}"] for name in self.columns}

    def to_learnt(self, true: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """True values (M, T) in the units of the data -> what is learnt, or NaN."""
        if not self.has_transforms:
            return true
        learnt = []
        for k, outputs in enumerate(self.outputs):
            values = to_learnt(true[:, k], outputs.target.transform, columns)
            learnt.append(values.masked_fill(~values.isfinite(), math.nan))
        return torch.stack(learnt, 1)

    @property
    def label_names(self) -> list[str]:
        """The labels that targets are read from: values, masks, windows."""
        return [*self.names, *self.masks.values(), *self.windows.values()]

    def read(self, labels: Mapping[str, Tensor]) -> Tensor | None:
        """The true values (M, T), NaN where a mask is off; None where the data lacks a label.

        ``labels`` (M,) are those of entries.
        """
        if not set(self.label_names) <= labels.keys():
            return None
        targets: list[Tensor] = []
        for name in self.names:
            target = labels[name].float()  # (M,)
            if name in self.masks:
                counts = labels[self.masks[name]] != 0  # (M,)
                target = torch.where(counts, target, math.nan)
            targets.append(target)
        return torch.stack(targets, 1)

    def is_outside(self, true: Tensor, labels: Mapping[str, Tensor]) -> Tensor | None:
        """Which known values (M, T) lie outside of their window; None without windows."""
        if not self.windows:
            return None
        outside = []
        for k, name in enumerate(self.names):
            if name in self.windows:
                is_inside = labels[self.windows[name]] != 0  # (M,)
                outside.append(~is_inside & is_defined(true[:, k]))
            else:
                outside.append(torch.zeros_like(true[:, k], dtype=torch.bool))
        return torch.stack(outside, 1)

    def counted_with_zero(self, outside: Tensor | None) -> Tensor | None:
        """Those of the values ``outside`` (M, T) of a window that count in the mean loss."""
        if outside is None or not self.has_zero_losses:
            return None
        counts = [outputs.target.outside_counts for outputs in self.outputs]
        return outside & torch.tensor(counts, device=outside.device)

    def values(self, raw: Tensor) -> Tensor:
        """Raw outputs (M, K) -> values (M, K): quantiles rise, widths are above 0."""
        if not self.has_further_outputs:
            return raw
        columns = list(raw.unbind(1))  # (M,) each
        for outputs in self.outputs:
            if outputs.width is not None:
                place = outputs.first + outputs.width
                columns[place] = positive_width(columns[place])
            places = [outputs.first + place for place in outputs.quantiles]
            if len(places) < 2:
                continue
            anchor = middle(list(outputs.quantiles.values()))
            risen = rising(raw[:, places], anchor)  # (M, Q)
            for place, column in zip(places, risen.unbind(1), strict=True):
                columns[place] = column
        return torch.stack(columns, 1)

    def losses_of_targets(self, values: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each target, 0 where it does not count; and where it counts: (M, T) both.

        Values (M, K) and true values (M, T) are those that are learnt.
        """
        counts = ~true.isnan()  # (M, T)
        losses = []
        for k, outputs in enumerate(self.outputs):
            own = values[:, outputs.columns]  # (M, Q)
            # NaN must not reach the gradient, where 0 times NaN would still be NaN
            difference = own - true[:, k, None].nan_to_num()
            residual = torch.where(counts[:, k, None], difference, 0.0)
            if outputs.width is not None:
                residual = _with_width(residual, own, counts[:, k], outputs.width)
            parts = []
            for loss, places in outputs.losses:
                part = residual if len(places) == len(outputs.names) else residual[:, list(places)]
                parts.append(residual_loss(part, loss))
            losses.append(sum(parts[1:], parts[0]))  # (M,)
        return torch.stack(losses, 1), counts

    def losses(self, raw: Tensor, scored: Scored) -> Tensor:
        """The loss of each entry (M,), from raw outputs (M, K) and its true values (M, T)."""
        assert scored.target is not None
        true = self.to_learnt(scored.target, self.columns_of(scored))
        each, counts = self.losses_of_targets(self.values(raw), true)
        with_zero = scored.outside
        weights = [outputs.target.weight for outputs in self.outputs]
        if any(weight != 1 for weight in weights):
            each = each * each.new_tensor(weights)
        if with_zero is not None:
            counts = counts | with_zero
        return each.sum(1) / counts.sum(1).clamp(min=1)

    def loss_arguments(self, raw: Tensor, scored: Scored) -> tuple[Tensor, Tensor]:
        """What a network file's loss is called with, (M, K) each: each output with its target.

        Both are what is learnt.
        """
        assert scored.target is not None
        true = self.to_learnt(scored.target, self.columns_of(scored))
        if not self.has_further_outputs:
            return raw, true
        repeated = []
        for k, outputs in enumerate(self.outputs):
            repeated += [true[:, k]] * len(outputs.names)
        own = self.values(raw[:, : len(repeated)])
        return torch.cat([own, raw[:, len(repeated) :]], 1), torch.stack(repeated, 1)

    def activate(self, raw: Tensor) -> Tensor:
        """Raw outputs (M, K) -> values in the units of the data, divided by columns of ratios."""
        values = self.values(raw)
        if not self.has_transforms:
            return values
        parts = []
        for outputs in self.outputs:
            chain = outputs.target.transform
            own = values[:, outputs.columns]
            part = to_quotient(own, chain)
            if outputs.width is not None:
                assert outputs.central is not None
                width = width_to_quotient(own[:, outputs.width], part[:, outputs.central], chain)
                part = _with_column(part, outputs.width, width)
            parts.append(part)
        return torch.cat(parts, 1)

    def in_units(self, values: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """What :meth:`activate` gave, times the raw ``columns`` (M,) of ratios."""
        if not self.columns:
            return values
        parts = []
        for outputs in self.outputs:
            own = values[:, outputs.columns]
            parts.append(times_column(own, outputs.target.transform, columns))
        return torch.cat(parts, 1)

    def meters(self, alone: bool) -> list[Meter]:
        """Errors of each target, their losses where there are several, coverage of quantiles.

        ``alone``: there is nothing else to learn, so that a single target need not be named.
        """
        alone = alone and len(self.names) == 1
        meters: list[Meter] = []
        central = [k for k, outputs in enumerate(self.outputs) if outputs.central is not None]
        if central:
            names = [self.names[k] for k in central]
            errors = RegressionMeter(names, alone=alone, log_bases=self.log_bases)
            meters.append(PartMeter(errors, partial(self._central, targets=central)))
            if not self.has_further_outputs:
                meters = [errors]
        for k, outputs in enumerate(self.outputs):
            if any(loss.quantiles for loss, _ in outputs.losses):
                levels = list(outputs.quantiles.values())
                coverage = CoverageMeter(self.names[k], levels, alone=alone)
                meters.append(PartMeter(coverage, partial(self._quantiles, target=k)))
            if outputs.width is not None:
                pulls = PullMeter(self.names[k], alone=alone)
                meters.append(PartMeter(pulls, partial(self._pulls, target=k)))
        if not alone:
            meters.append(TargetLossMeter(self.names, self._activated_losses))
        return meters

    def _activated_losses(self, scored: Scored) -> tuple[Tensor, Tensor]:
        """Losses (M, T) of activated entries, and which count (M, T)."""
        assert scored.target is not None
        columns = self.columns_of(scored)
        learnt = []
        for outputs in self.outputs:
            learnt.append(self._learnt(scored.output[:, outputs.columns], outputs, columns))
        true = self.to_learnt(scored.target, columns)
        each, counts = self.losses_of_targets(torch.cat(learnt, 1), true)
        return each, counts if scored.outside is None else counts | scored.outside

    def _learnt(
        self, values: Tensor, outputs: TargetOutputs, columns: Mapping[str, Tensor]
    ) -> Tensor:
        """Activated values (M, Q) of a target -> what is learnt."""
        chain = outputs.target.transform
        learnt = to_learnt(values, chain, columns)
        if outputs.width is not None:
            assert outputs.central is not None
            width = values[:, outputs.width]
            mean = values[:, outputs.central]
            learnt = _with_column(
                learnt, outputs.width, width_to_learnt(width, mean, chain, columns)
            )
        return learnt

    def _central(self, scored: Scored, targets: list[int]) -> Scored:
        """What stands for each of the ``targets`` themselves, (M, T) outputs and targets."""
        assert scored.target is not None
        columns = [self.outputs[k].first + (self.outputs[k].central or 0) for k in targets]
        return replace(
            scored, output=scored.output[:, columns], target=scored.target[:, targets], outside=None
        )

    def _quantiles(self, scored: Scored, target: int) -> Scored:
        """The quantiles (M, Q) of a ``target``, and its true values (M, 1)."""
        assert scored.target is not None
        outputs = self.outputs[target]
        columns = [outputs.first + place for place in outputs.quantiles]
        true = scored.target[:, [target]]
        return replace(scored, output=scored.output[:, columns], target=true, outside=None)

    def _pulls(self, scored: Scored, target: int) -> Scored:
        """Pulls (M, 1) of a ``target``, (predicted - true) / width of what is learnt; NaN if none.

        Of what is learnt, since it is this that is taken to be Gaussian.
        """
        assert scored.target is not None
        outputs = self.outputs[target]
        assert outputs.central is not None
        assert outputs.width is not None
        columns = self.columns_of(scored)
        learnt = self._learnt(scored.output[:, outputs.columns], outputs, columns)
        true = to_learnt(scored.target[:, target], outputs.target.transform, columns)  # (M,)
        pulls = (learnt[:, outputs.central] - true) / learnt[:, outputs.width]
        return replace(scored, output=pulls[:, None], target=pulls[:, None], outside=None)


def _with_column(values: Tensor, place: int, column: Tensor) -> Tensor:
    """Values (M, Q) with another ``column`` (M,) at a ``place``."""
    columns = list(values.unbind(1))
    columns[place] = column
    return torch.stack(columns, 1)


def _with_width(residual: Tensor, values: Tensor, counts: Tensor, place: int) -> Tensor:
    """Residuals (M, Q) with the width of the ``values`` (M, Q) at its ``place``.

    It is 1 for entries that do not count (M,), whose residual is 0: their loss is 0.
    """
    return _with_column(residual, place, torch.where(counts, values[:, place], 1.0))


def figures_of_targets(
    meters: Sequence[Meter], totals: Sequence[Tensor], names: Mapping[str, str]
) -> dict[str, Figure]:
    """The figures of each meter of real targets, from the sums of all ``meters``.

    ``names`` are what targets are called on their axes.
    """
    # matplotlib takes a second to import: only where something is drawn
    from weaver_tt.figures.regression import coverage_figure, pull_figure, regression_figures

    drawn: dict[str, Figure] = {}
    for meter, sums in zip(map(innermost, meters), totals, strict=True):
        if isinstance(meter, RegressionMeter):
            drawn |= regression_figures(meter, sums, names)
        elif isinstance(meter, CoverageMeter) and meter.values(sums):
            drawn[f"coverage{meter.end}"] = coverage_figure(meter, sums, names)
        elif isinstance(meter, PullMeter) and meter.values(sums):
            drawn[f"pulls{meter.end}"] = pull_figure(meter, sums, names)
    return drawn
