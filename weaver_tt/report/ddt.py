"""Decorrelated columns of prediction files, ``NAME_ddt_5p0``, judged at the cut 0.

Such a column is a score less a threshold that a share of the background passes (``weaver-tt ddt``),
so that it is flat in the mass at the cut 0 only. V bins of the mass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weaver_tt.errors import DataError
from weaver_tt.figures.base import Array
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.log import log
from weaver_tt.metrics.classifier_summary import NONE_SEEN_95, json_number
from weaver_tt.metrics.divergence import Divergence, divergence_numbers, measure_divergence
from weaver_tt.report.evaluation import ColumnBins
from weaver_tt.report.scores import ModelFiles, stream_scores
from weaver_tt.system.wording import counted

_COLUMN = re.compile(r".+_ddt_(\d+)p(\d+)")


def ddt_column(name: str, efficiency: float) -> str:
    """``NAME_ddt_5p0``: the column of a score ``name`` that 5 % of the background pass."""
    percent = f"{100 * efficiency:.8f}".rstrip("0")
    whole, _, decimals = percent.partition(".")
    return f"{name}_ddt_{whole}p{decimals or '0'}"


def efficiency_of(column: str) -> float | None:
    """The share of the background that is to pass a column at 0; None of another column."""
    match = _COLUMN.fullmatch(column)
    return float(f"{match[1]}.{match[2]}") / 100 if match else None


def ddt_columns(source: ModelFiles) -> list[str]:
    """The decorrelated columns that all files of a model have, in their order."""
    found: list[str] | None = None
    for path in source.paths:
        with open_reader(path, source.treename) as reader:
            mine = [name for name in reader.columns() if efficiency_of(name) is not None]
        found = mine if found is None else [name for name in found if name in mine]
    return found or []


@dataclass(frozen=True)
class Share:
    """The share of a sum of weights that passes, with its binomial error."""

    passing: float
    total: float
    squares: float  # sum of w^2 of all

    @property
    def value(self) -> float:
        """NaN without rows."""
        return self.passing / self.total if self.total > 0 else math.nan

    @property
    def error(self) -> float:
        """Of the effective number of rows."""
        if not self.total > 0:
            return math.nan
        # negative weights may bring a share out of [0, 1]
        variance = max(self.value * (1 - self.value), 0.0)
        return math.sqrt(variance * self.squares) / self.total

    @property
    def number(self) -> dict[str, Any]:
        """What ``metrics.json`` says of it."""
        return json_number(self.value, self.error)


@dataclass(frozen=True, kw_only=True)
class DdtPoint:
    """What a column does at the cut 0 to a signal and to the rows of all other classes."""

    column: str
    target: float  # share of the background
    signal: Share
    background: Share
    divergence: Divergence | None = None  # of the background's spectrum, where there are bins

    @property
    def rejection(self) -> dict[str, Any]:
        """1 / eps_B with its error; with no background above 0, its lower limit at 95 %."""
        share = self.background
        if share.value > 0:
            return json_number(1 / share.value, share.error / share.value**2)
        number = json_number(math.nan, math.nan)
        if share.total > 0:
            number["at_least"] = share.total**2 / share.squares / NONE_SEEN_95
        return number

    def content(self) -> dict[str, Any]:
        """What ``metrics.json`` says of it."""
        content = {
            "target": self.target,
            "signal_efficiency": self.signal.number,
            "background_efficiency": self.background.number,
            "rejection": self.rejection,
        }
        if self.divergence is not None:
            content["jensen_shannon_bits"] = divergence_numbers(self.divergence)
        return content


DdtPoints = Mapping[str, Mapping[str, Sequence[DdtPoint]]]  # signal -> model


def judge_ddt(
    sources: Sequence[ModelFiles],
    classes: Sequence[str],
    signals: Sequence[str],
    mass: ColumnBins | None,
) -> DdtPoints:
    """The decorrelated columns of all models at the cut 0, for each signal; empty without any.

    ``mass``: bins of a variable that the background's spectrum of is compared.

    Raises:
        DataError: a column is missing, or not a number in any row.
    """
    points: dict[str, dict[str, Sequence[DdtPoint]]] = {}
    for source in sources:
        columns = ddt_columns(source)
        if not columns:
            continue
        sums = _Sums(source, classes, columns, mass)
        for signal in signals:
            k = classes.index(signal)
            mine = [sums.point(column, k) for column in columns]
            points.setdefault(signal, {})[source.name] = mine
    return points


def ddt_content(points: DdtPoints) -> dict[str, Any]:
    """What ``metrics.json`` says of all points: signal -> model -> column."""
    content: dict[str, Any] = {}
    for signal, of_models in points.items():
        content[signal] = {}
        for name, of_columns in of_models.items():
            content[signal][name] = {point.column: point.content() for point in of_columns}
    return content


class _Sums:
    """Sums of w and w^2 of each column, before and after the cut, by class and bin of mass."""

    def __init__(
        self,
        source: ModelFiles,
        classes: Sequence[str],
        columns: Sequence[str],
        mass: ColumnBins | None,
    ) -> None:
        bins = 0 if mass is None else len(mass.edges) - 1
        # the last place has the rows in no bin of the mass
        self._sums = {name: np.zeros((2, 2, len(classes), bins + 1)) for name in columns}
        self._has_mass = mass is not None
        wanted = tuple(columns) if mass is None else (*columns, mass.column)
        rows = dict.fromkeys(columns, 0)
        unknown = dict.fromkeys(columns, 0)
        for chunk in stream_scores(replace(source, further_columns=wanted), classes):
            for name, sums in self._sums.items():
                values = chunk.further[name]
                known = ~np.isnan(values)
                rows[name] += len(values)
                unknown[name] += int((~known).sum())
                if mass is None:
                    place = np.zeros(len(values), np.int64)
                else:
                    place = mass.find(chunk.further[mass.column])
                for cut, chosen in enumerate((known, known & (values > 0))):
                    weight = chunk.weight[chosen]
                    target = chunk.target[chosen]
                    np.add.at(sums[cut, 0], (target, place[chosen]), weight)
                    np.add.at(sums[cut, 1], (target, place[chosen]), weight**2)
        for name in columns:
            if unknown[name] == rows[name]:
                raise DataError(
                    f"{', '.join(source.paths)}: column {name!r} is not a number in any row"
                )
            if unknown[name]:
                log.warning(
                    "%s: %s is not a number in %s of %s, which it leaves out",
                    source.name,
                    name,
                    f"{unknown[name]:,}",
                    counted(rows[name], "row"),
                )

    def point(self, column: str, signal: int) -> DdtPoint:
        sums = self._sums[column]
        of_signal = sums[:, :, signal]  # (2, 2, V + 1)
        of_background = sums.sum(2) - of_signal
        divergence = None
        if self._has_mass:
            every, passing = of_background[:, :, :-1]
            divergence = measure_divergence(passing, every)
        target = efficiency_of(column)
        assert target is not None
        return DdtPoint(
            column=column,
            target=target,
            signal=_share(of_signal),
            background=_share(of_background),
            divergence=divergence,
        )


def _share(sums: Array) -> Share:
    """Of sums (2, 2, V + 1): before and after the cut, of w and w^2."""
    totals = sums.sum(-1)
    return Share(float(totals[1, 0]), float(totals[0, 0]), float(totals[0, 1]))
