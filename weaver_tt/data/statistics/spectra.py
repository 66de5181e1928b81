"""Where rows lie in the reweighting variables, and the spectra of each class, filled as the data streams by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import hist
import numpy as np
import numpy.typing as npt

from weaver_tt.config.schema import DataConfig, Weights
from weaver_tt.data.rows.rows import Integers
from weaver_tt.data.rows.table import Table, evaluate_column, row_numbers
from weaver_tt.data.statistics.reservoir import Reservoir
from weaver_tt.errors import DataError

SAMPLE_ROWS = (
    1_000_000  # rows that percentiles of base weights are exact up to; of more, a random choice
)
SEED = 20_210_604  # of that choice
OUTSIDE = -1

Numbers = npt.NDArray[np.float64]


@dataclass(slots=True)
class BinnedRows:
    """Where R rows lie: ``label`` (R,) number of the class, ``bins`` for each variable (R,); OUTSIDE where there is none. ``base`` (R,) weights."""

    label: Integers
    bins: list[Integers]
    base: Numbers

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """(R,) rows of a class that lie inside the bins of every variable."""
        return np.all([self.label != OUTSIDE, *(index != OUTSIDE for index in self.bins)], axis=0)


def bin_indices(values: Numbers, edges: Sequence[float], clip: bool) -> Integers:
    """The bin of each value (R,), the last one with its upper edge; beyond the edges the nearest with ``clip``, else OUTSIDE, as NaN always is."""
    last = len(edges) - 2
    index = np.searchsorted(edges, values, side="right") - 1
    index[values == edges[-1]] = last
    outside = np.isnan(values) if clip else (index < 0) | (index > last)
    return np.where(outside, OUTSIDE, index.clip(0, last))


def bin_rows(table: Table, weights: Weights, config: DataConfig, path: str) -> BinnedRows:
    """The class and bins of each row of a table of selected rows.

    :raises DataError: a row is of several classes, a variable is not one number for each row, a base weight is not finite or (sampling) negative.
    """
    where = f"{path}: weights"
    flags = np.stack(
        [
            row_numbers(table[name], f"{where}.reweight_classes: {name!r}") == 1
            for name in weights.classes
        ]
    )  # (K, R)
    _check_overlap(
        flags, list(weights.classes), f"{config.source}: weights.reweight_classes ({path})"
    )
    clip = not weights.discard_outside
    bins = [
        bin_indices(row_numbers(table[name], f"{where}.reweight_vars: {name!r}"), edges, clip)
        for name, edges in weights.variables.items()
    ]
    base = np.ones(flags.shape[1])
    if weights.base is not None:
        base = weight_column(weights.base, table, weights, f"{where}.reweight_basewgt")
    return BinnedRows(np.where(flags.any(0), flags.argmax(0), OUTSIDE), bins, base)


def weight_column(expression: Any, table: Table, weights: Weights, where: str) -> Numbers:
    """Weights (R,) that an expression gives: finite, and not negative where they are probabilities."""
    where = f"{where} {expression.source!r}"
    values = row_numbers(evaluate_column(expression, table, where), where)
    if bad := len(values) - int(np.isfinite(values).sum()):
        raise DataError(f"{where} is not finite in {bad} of {len(values)} selected rows")
    if weights.mode == "sampling" and (negative := int((values < 0).sum())):
        raise DataError(
            f"{where} is negative in {negative} of {len(values)} selected rows, and none can be drawn less than never; use `mode: loss`"
        )
    return values


def _check_overlap(flags: npt.NDArray[np.bool_], names: Sequence[str], where: str) -> None:
    """Raise DataError where classes (K, R) share rows."""
    several = flags.sum(0) > 1
    if several.any():
        first = [names[k] for k in np.flatnonzero(flags[:, several.argmax()]).tolist()]
        shared = f"{int(several.sum())} of {flags.shape[1]} selected rows are of several classes ({' and '.join(first)})"
        raise DataError(f"{where}: {shared}; they must not overlap")


class Spectra:
    """What a pass finds out: the base-weighted spectrum of each class, and what percentiles of row weights are made of."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.rows = 0
        self.of_class: Counter[str] = Counter()  # rows, wherever they lie
        self.inside: Counter[str] = Counter()  # rows inside the bins
        axes = [
            hist.axis.Variable(edges, name=f"x{i}", label=name, flow=False)
            for i, (name, edges) in enumerate(weights.variables.items())
        ]
        self.histogram = hist.Hist(
            hist.axis.IntCategory(range(len(weights.classes)), name="label"),
            *axes,
            storage=hist.storage.Double(),
        )
        # the same seed chooses the same rows for both
        self._cells, self._base = Reservoir(SAMPLE_ROWS, SEED), Reservoir(SAMPLE_ROWS, SEED)

    @property
    def values(self) -> dict[str, Numbers]:
        """Class -> sum of base weights in each bin, an axis for each variable."""
        return dict(zip(self.weights.classes, self.histogram.values(), strict=True))

    def add(self, placed: BinnedRows) -> None:
        """Add R rows."""
        inside = placed.inside
        self.rows += len(inside)
        for name, counts in (
            (self.of_class, placed.label[placed.label != OUTSIDE]),
            (self.inside, placed.label[inside]),
        ):
            name.update(
                dict(
                    zip(
                        self.weights.classes,
                        np.bincount(counts, minlength=len(self.weights.classes)).tolist(),
                        strict=True,
                    )
                )
            )
        chosen = [index[inside] for index in placed.bins]
        # filled at the bins' centers: which bin a value on an edge belongs to is decided in one place
        centers = [
            axis.centers[index]
            for axis, index in zip(list(self.histogram.axes)[1:], chosen, strict=True)
        ]
        self.histogram.fill(placed.label[inside], *centers, weight=placed.base[inside])
        cells = np.full(len(inside), OUTSIDE)
        shape = self.histogram.axes.extent
        cells[inside] = np.ravel_multi_index((placed.label[inside], *chosen), shape)
        self._cells.add(cells)
        self._base.add(placed.base)

    def row_weights(self, tables: Numbers) -> Numbers:
        """Weight of each row (of a random choice of SAMPLE of them) under ``tables`` (K, bins ...): 0 outside."""
        cells = self._cells.values().astype(np.int64)
        return np.where(cells == OUTSIDE, 0.0, tables.ravel()[cells]) * self._base.values()
