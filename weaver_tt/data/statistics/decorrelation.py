"""Decorrelated variables of the training data: whether there is something to do, and their bins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from weaver_tt.config.plan import make_plan
from weaver_tt.config.schema import CLASS_LABEL, DataConfig, Decorrelation, Labels, spectator
from weaver_tt.data.chunks import Source
from weaver_tt.data.rows.labels import row_labels
from weaver_tt.data.rows.spectators import decorrelated_rows, row_spectators
from weaver_tt.data.rows.table import Table
from weaver_tt.data.statistics.fingerprint import pass_fingerprint
from weaver_tt.data.statistics.reservoir import Reservoir
from weaver_tt.data.statistics.training_pass import restrict_to_inputs
from weaver_tt.errors import DataError
from weaver_tt.log import log
from weaver_tt.system.wording import counted

SAMPLE_ROWS = 1_000_000  # rows that quantiles are exact up to
SEED = 20_200_717


class DecorrelationAccumulator:
    """Looks at the rows that are decorrelated, and makes bins of equal numbers of them.

    Rows outside of what a variable reaches in the training belong to the outermost bins.
    """

    fraction = 1.0

    def __init__(self, config: DataConfig, sources: Sequence[Source] = ()) -> None:
        """``config``: with the extra selection of the training; ``sources``: its rows."""
        assert config.decorrelation is not None
        assert config.labels is not None
        labels = Labels(classes=config.labels.classes, class_number=config.labels.class_number)
        self._decorrelation = config.decorrelation
        self.needed = replace(
            restrict_to_inputs(config, {}), labels=labels, decorrelation=config.decorrelation
        )
        self._plan = make_plan(self.needed, "train")
        chosen = config.decorrelation
        # edges that the YAML has are no result
        settings = ["decorrelation", list(chosen.variables), list(chosen.classes), chosen.bins]
        self.fingerprint = pass_fingerprint(self.needed, sources, settings)
        self._rows = dict.fromkeys(chosen.classes, 0)
        self._samples = {name: Reservoir(SAMPLE_ROWS, SEED) for name in chosen.variables}
        self._ranges = dict.fromkeys(chosen.variables, (math.inf, -math.inf))

    def find_fitted(self, old: DataConfig, path: str, keep: bool = False) -> Decorrelation | None:
        """The bins in ``old``, which an earlier run saved at ``path``, if up to date.

        With ``keep`` also if not.
        """
        before = old.decorrelation
        if before is None or before.fingerprint is None:
            return None
        if not keep and before.fingerprint != self.fingerprint:
            return None
        if set(before.edges) != set(self._decorrelation.variables):
            return None
        return self._with_edges(before.edges, self.fingerprint)

    def add(self, table: Table, rows: int, path: str) -> None:
        """Add a table of ``rows`` selected rows of the file at ``path``.

        Raises:
            DataError: a variable is not one finite number in each row that is decorrelated.
        """
        labels, _ = row_labels(table, self.needed, self._plan, path)
        classes = labels[CLASS_LABEL]  # (R,)
        found = row_spectators(table, self.needed, self._plan, path, labels)
        counts = decorrelated_rows(self.needed, classes)
        assert self.needed.labels is not None
        names = list(self.needed.labels.classes)
        for name in self._rows:
            self._rows[name] += int((classes == names.index(name)).sum())
        for name, sample in self._samples.items():
            values = found[spectator(name)][counts].astype(np.float64)
            sample.add(values)
            low, high = self._ranges[name]
            low = min(low, float(values.min(initial=math.inf)))
            self._ranges[name] = low, max(high, float(values.max(initial=-math.inf)))

    def provisional(self) -> Decorrelation:
        """Bins from a few rows, to try the rest out with; any will do where there is none."""
        edges = {}
        for name in self._decorrelation.variables:
            values = self._samples[name].values()
            if not len(values):
                values = np.array([0.0, 1.0])
            edges[name] = equal_bins(values, self._decorrelation.bins)
        return self._with_edges(edges, None)

    def result(self) -> Decorrelation:
        """The bins of all variables.

        Raises:
            DataError: a class has no row, or a variable is the same in all rows.
        """
        where = f"{self.needed.source}: task.decorrelate"
        for name, rows in self._rows.items():
            if rows == 0:
                raise DataError(f"{where}.classes: no row of the training data is of {name!r}")
        edges = {}
        for name, (low, high) in self._ranges.items():
            rows = self._samples[name].seen
            if low == high:
                raise DataError(
                    f"{where}.variable: {name!r} is {low:g} in all {counted(rows, 'training row')} "
                    f"of {' and '.join(self._rows)}; there is nothing to decorrelate from"
                )
            made = equal_bins(self._samples[name].values(), self._decorrelation.bins)
            edges[name] = made
            if name not in self._decorrelation.edges:
                log.info(
                    "%d bins of %s from %s: %s",
                    len(made) - 1,
                    name,
                    counted(rows, "row"),
                    ", ".join(f"{edge:g}" for edge in made),
                )
        return self._with_edges(edges, self.fingerprint)

    def _with_edges(
        self, edges: Mapping[str, tuple[float, ...]], fingerprint: str | None
    ) -> Decorrelation:
        """The choice of the YAML with these ``edges`` where it has none."""
        own = self._decorrelation
        both = {name: own.edges.get(name, edges[name]) for name in own.variables}
        return replace(own, edges=both, fingerprint=fingerprint)


def provisional_bins(config: DataConfig, tables: Sequence[Table]) -> DataConfig:
    """``config`` with bins of decorrelated variables from a few rows, to try it out.

    Raises:
        DataError: a variable is not one finite number in each row that is decorrelated.
    """
    if config.decorrelation is None:
        return config
    accumulator = DecorrelationAccumulator(config)
    for table in tables:
        accumulator.add(table, len(next(iter(table.values()))), config.source)
    return replace(config, decorrelation=accumulator.provisional())


def with_fitted_bins(config: DataConfig, fitted: DataConfig) -> DataConfig:
    """``config`` with the bins that ``fitted`` has of decorrelated variables, where it has some."""
    if not config.needs_bins or fitted.decorrelation is None:
        return config
    own = config.decorrelation
    assert own is not None
    known = {**fitted.decorrelation.edges, **own.edges}
    edges = {name: known[name] for name in own.variables if name in known}
    return replace(config, decorrelation=replace(own, edges=edges))


def equal_bins(values: npt.NDArray[np.float64], bins: int) -> tuple[float, ...]:
    """Edges of at most ``bins`` bins with about as many of the ``values`` (M,) in each.

    A value on an edge belongs to the bin above it. Where many values are equal there are fewer
    bins, and with values that are all equal one.
    """
    low = float(values.min())
    high = float(values.max())
    quantiles = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    inner = [edge for edge in quantiles.tolist() if edge > low]
    last = inner[-1] if inner else low
    if high <= last:
        # many rows have the largest value, which has a bin of its own
        high = last + max(last - low, 1.0)
    return (low, *inner, high)
