"""Real targets of the training data: whether there is something to learn, and their scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weaver_tt.config.plan import make_plan
from weaver_tt.config.schema import (
    DataConfig,
    Labels,
    Target,
    TargetTransform,
    window_label,
)
from weaver_tt.data.chunks import Source
from weaver_tt.data.rows.labels import row_labels
from weaver_tt.data.rows.table import Table
from weaver_tt.data.rows.target_checks import transform_columns
from weaver_tt.data.rows.target_transforms import to_learnt
from weaver_tt.data.rows.tensors import regressed_objects
from weaver_tt.data.statistics.fingerprint import pass_fingerprint
from weaver_tt.data.statistics.training_pass import restrict_to_inputs
from weaver_tt.errors import DataError
from weaver_tt.log import log
from weaver_tt.system.wording import counted

Numbers = npt.NDArray[np.float64]


def target_part(config: DataConfig) -> DataConfig:
    """The part of a configuration that its real targets depend on, and the selections."""
    assert config.labels is not None
    group = config.regressed_group
    labels = Labels(targets=config.labels.targets)
    inputs = {}
    if group is not None:
        # how many of its objects are kept
        labels = config.labels
        inputs = {group: config.inputs[group]}
    return replace(
        restrict_to_inputs(config, inputs),
        labels=labels,
        targets=config.targets,
        transform_columns=config.transform_columns,
    )


@dataclass(slots=True)
class _Moments:
    """Number, mean, sum of squared deviations, smallest and largest of some numbers."""

    number: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, values: Numbers) -> None:
        """Add M numbers, without losing digits to a large mean."""
        if not len(values):
            return
        mean = float(values.mean())
        squares = float(((values - mean) ** 2).sum())
        number = self.number + len(values)
        step = mean - self.mean
        self.squares += squares + step**2 * self.number * len(values) / number
        self.mean += step * len(values) / number
        self.number = number
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))


class TargetsAccumulator:
    """Finds mean and standard deviation of targets that are standardised, and looks at all of them.

    A target counts in the rows where it is known, and inside of its window.
    """

    fraction = 1.0

    def __init__(
        self, config: DataConfig, sources: Sequence[Source] = (), extra: str | None = None
    ) -> None:
        """``config``: with the ``extra`` selection of the training; ``sources``: its rows."""
        self.needed = target_part(config)
        self._plan = make_plan(self.needed, "train")
        assert config.labels is not None
        self._names = config.labels.regressed.target_names
        self._entry = "training row" if config.regressed_group is None else "training object"
        self._targets = config.targets
        settings = ["targets", *map(repr, self._described())]
        self.fingerprint = pass_fingerprint(self.needed, sources, settings, extra)
        self._raw = {name: _Moments() for name in self._names}
        self._learnt = {name: _Moments() for name in self._names}
        self._rows = 0
        self._entries = dict.fromkeys(self._names, 0)  # rows, or objects of them

    def _described(self) -> list[tuple[str, ...]]:
        """What the numbers depend on beside columns."""
        assert self.needed.labels is not None
        described: list[tuple[str, ...]] = []
        for name, expression in self.needed.labels.regressed.targets.items():
            described.append((name, expression.source))
        for name, expression in self.needed.windows.items():
            described.append((name, "valid", expression.source))
        for name, target in self._targets.items():
            for transform in target.transform:
                described.append((name, transform.kind, transform.column or ""))
        return described

    def find_fitted(
        self, old: DataConfig, path: str, keep: bool = False
    ) -> dict[str, Target] | None:
        """The numbers in ``old``, which an earlier run saved at ``path``, if up to date.

        With ``keep`` also if not. None where nothing says that the targets were looked at.
        """
        if keep:
            return with_fitted_targets(self._targets, old.targets)
        fingerprints = [
            transform.fingerprint
            for target in old.targets.values()
            for transform in target.transform
            if transform.kind == "standardised"
        ]
        if not fingerprints or set(fingerprints) != {self.fingerprint}:
            return None
        return with_fitted_targets(self._targets, old.targets)

    def add(self, table: Table, rows: int, path: str) -> None:
        """Add a table of ``rows`` selected rows of the file at ``path``.

        Raises:
            DataError: a target is not what it should be, or has no image under its transform.
        """
        self._rows += rows
        found: Mapping[str, npt.NDArray[Any]]
        if self.needed.regressed_group is None:
            found, _ = row_labels(table, self.needed, self._plan, path)
        else:
            found = regressed_objects(table, self.needed, self._plan, path)
        columns = transform_columns(table, self.needed, path)
        for name in self._names:
            values = torch.from_numpy(found[name]).double()  # (M,) rows or objects
            self._entries[name] += len(values)
            counts = values.isfinite()
            mask = self.needed.target_masks.get(name)
            for which in (mask, window_label(name)):
                if which is not None and which in found:
                    counts &= torch.from_numpy(found[which] != 0)
            self._raw[name].add(values[counts].numpy())
            chain = self._targets.get(name, Target()).transform
            before = [step for step in chain if step.kind != "standardised"]
            own = {column: numbers[counts] for column, numbers in columns.items()}
            self._learnt[name].add(to_learnt(values[counts], before, own).numpy())

    def numbers(self) -> dict[str, Target]:
        """What is said of each target, with mean and deviation of those that are standardised.

        Where there is no value, or all are equal, they are 0 and 1 in place of what makes no sense.
        """
        found = {}
        for name, target in self._targets.items():
            moments = self._learnt[name]
            deviation = math.sqrt(moments.squares / max(1, moments.number))
            steps = []
            for transform in target.transform:
                if transform.kind == "standardised":
                    transform = replace(
                        transform,
                        mean=moments.mean,
                        deviation=deviation or 1.0,
                        fingerprint=self.fingerprint,
                    )
                steps.append(transform)
            found[name] = replace(target, transform=tuple(steps))
        return found

    def result(self) -> dict[str, Target]:
        """The same of all training rows.

        Raises:
            DataError: a target has no value in any row, or the same one in all of them.
        """
        source = self.needed.source
        if self._rows == 0:
            raise DataError(
                f"{source}: no row of the training data passes the selection; nothing to learn from"
            )
        for name, moments in self._raw.items():
            if moments.number == 0:
                raise DataError(
                    f"{source}: labels.{name}: none of "
                    f"{counted(self._entries[name], self._entry)} has a value that counts: all are "
                    "NaN, infinite, masked or outside of `valid`"
                )
            if moments.low == moments.high and moments.number > 1:
                raise DataError(
                    f"{source}: labels.{name}: it is {moments.low:g} in all "
                    f"{counted(moments.number, self._entry)} where it counts; there is nothing "
                    "to learn"
                )
        fitted = self.numbers()
        for name, target in fitted.items():
            for transform in target.transform:
                if transform.kind == "standardised":
                    log.info(
                        "target %s: mean %.6g and deviation %.6g, from %s",
                        name,
                        transform.mean,
                        transform.deviation,
                        counted(self._learnt[name].number, self._entry.removeprefix("training ")),
                    )
        return fitted


def with_fitted_targets(
    targets: Mapping[str, Target], fitted: Mapping[str, Target]
) -> dict[str, Target]:
    """The ``targets`` with the numbers that ``fitted`` has for those that are standardised."""
    found = {}
    for name, target in targets.items():
        numbers: dict[str, TargetTransform] = {}
        if name in fitted:
            numbers = {transform.kind: transform for transform in fitted[name].transform}
        steps = []
        for transform in target.transform:
            if transform.needs_statistics and "standardised" in numbers:
                transform = numbers["standardised"]
            steps.append(transform)
        found[name] = replace(target, transform=tuple(steps))
    return found


def provisional_targets(config: DataConfig, tables: Sequence[Table]) -> DataConfig:
    """``config`` with numbers for targets that are standardised, from a few rows, to try it out.

    Raises:
        DataError: a target is not what it should be.
    """
    if not config.needs_target_statistics:
        return config
    accumulator = TargetsAccumulator(config)
    for table in tables:
        accumulator.add(table, len(next(iter(table.values()))), config.source)
    return replace(config, targets=accumulator.numbers())
