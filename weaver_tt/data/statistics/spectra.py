"""Where rows lie in the reweighting variables, and the spectra of each class over all rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.config.schema import DataConfig, Weights
from weaver_tt.data.rows.rows import Integers
from weaver_tt.data.rows.table import Table, evaluate_column, row_numbers
from weaver_tt.data.statistics.reservoir import Reservoir
from weaver_tt.errors import DataError

# rows that percentiles of base weights are exact up to; of more, a random choice
SAMPLE_ROWS = 1_000_000
SEED = 20_210_604  # of that choice
OUTSIDE = -1

Numbers = npt.NDArray[np.float64]


@dataclass(slots=True)
class BinnedRows:
    """Where R rows lie, with their base weights.

    OUTSIDE where a row is of no class, or outside the bins of a variable.
    """

    label: Integers  # (R,) number of the class
    bins: list[Integers]  # for each variable (R,)
    base: Numbers  # (R,)

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """(R,) rows of a class that lie inside the bins of every variable."""
        inside = self.label != OUTSIDE
        for index in self.bins:
            inside = inside & (index != OUTSIDE)
        return inside


def bin_indices(values: Numbers, edges: Sequence[float], clip: bool) -> Integers:
    """The bin of each value (R,), the last one with its upper edge.

    A value beyond the edges is in the nearest bin with ``clip``, else OUTSIDE, as NaN always is.
    """
    last = len(edges) - 2
    index = np.searchsorted(edges, values, side="right") - 1
    index[values == edges[-1]] = last
    outside = np.isnan(values)
    if not clip:
        outside |= (index < 0) | (index > last)
    return np.where(outside, OUTSIDE, index.clip(0, last))


def bin_rows(table: Table, weights: Weights, config: DataConfig, path: str) -> BinnedRows:
    """The class and bins of each row of a table of selected rows.

    Raises:
        DataError: a row is of several classes, a variable is not one number for each row, or a
            base weight is not finite, or negative where none is to be.
    """
    where = f"{path}: weights"
    bins = []
    for name, edges in weights.variables.items():
        values = row_numbers(table[name], f"{where}.reweight_vars: {name!r}")
        bins.append(bin_indices(values, edges, clip=not weights.discard_outside))
    if weights.class_columns:
        label = _class_numbers(table, weights, config, path)
    else:
        label = np.zeros(len(bins[0]), dtype=np.int64)
    base = np.ones(len(label))
    if weights.base is not None:
        base = weight_column(weights.base, table, weights, f"{where}.reweight_basewgt")
    return BinnedRows(label, bins, base)


def _class_numbers(table: Table, weights: Weights, config: DataConfig, path: str) -> Integers:
    """The number of the class of each row (R,), OUTSIDE where it is of none."""
    names = weights.class_columns
    flags = []
    for name in names:
        values = row_numbers(table[name], f"{path}: weights.reweight_classes: {name!r}")
        flags.append(values == 1)
    of_class = np.stack(flags)  # (K, R)
    _check_overlap(of_class, names, f"{config.source}: weights.reweight_classes ({path})")
    return np.where(of_class.any(0), of_class.argmax(0), OUTSIDE)


def weight_column(expression: Any, table: Table, weights: Weights, where: str) -> Numbers:
    """Weights (R,) that an expression gives.

    Raises:
        DataError: they are not finite, or negative where they are probabilities.
    """
    where = f"{where} {expression.source!r}"
    values = row_numbers(evaluate_column(expression, table, where), where)
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise DataError(f"{where} is not finite in {bad} of {len(values)} selected rows")
    if weights.mode == "sampling" and not weights.signed:
        negative = int((values < 0).sum())
        if negative:
            raise DataError(
                f"{where} is negative in {negative} of {len(values)} selected rows, and none can "
                "be drawn less than never; use `mode: loss`, or `signed: true`, with which such a "
                "row is drawn by the size of its weight and counts -1"
            )
    return values


def _check_overlap(of_class: npt.NDArray[np.bool_], names: Sequence[str], where: str) -> None:
    """Raise DataError where classes (K, R) share rows."""
    several = of_class.sum(0) > 1
    if not several.any():
        return
    rows = int(several.sum())
    # the classes of the first such row
    labels = np.flatnonzero(of_class[:, several.argmax()])
    shared = " and ".join(names[label] for label in labels.tolist())
    raise DataError(
        f"{where}: {rows} of {len(several)} selected rows are of several classes ({shared}); "
        "they must not overlap"
    )


class Spectra:
    """The base-weighted spectrum of each class, and a sample of rows.

    Of the sample, percentiles of row weights are computed.
    """

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        # slow to import, and needed only where classes are reweighted
        import hist

        self.rows = 0
        self.of_class: Counter[str] = Counter()  # rows, wherever they lie
        self.inside: Counter[str] = Counter()  # rows inside the bins
        axes = []
        for i, (name, edges) in enumerate(weights.variables.items()):
            axis = hist.axis.Variable(edges, name=f"x{i}", label=name, flow=False)
            axes.append(axis)
        labels = hist.axis.IntCategory(range(len(weights.classes)), name="label")
        self.histogram = hist.Hist(labels, *axes, storage=hist.storage.Double())
        # the same seed chooses the same rows for both
        self._cells = Reservoir(SAMPLE_ROWS, SEED, np.int32)
        self._base = None if weights.base is None else Reservoir(SAMPLE_ROWS, SEED)

    @property
    def values(self) -> dict[str, Numbers]:
        """Class -> sum of base weights in each bin, an axis for each variable."""
        return dict(zip(self.weights.classes, self.histogram.values(), strict=True))

    def add(self, binned: BinnedRows) -> None:
        """Add R rows."""
        inside = binned.inside
        label = binned.label[inside]
        bins = [index[inside] for index in binned.bins]
        self.rows += len(inside)
        self._count(self.of_class, binned.label[binned.label != OUTSIDE])
        self._count(self.inside, label)
        # filled at the bins' centers: which bin a value on an edge belongs to is decided in one
        # place, bin_indices
        axes = list(self.histogram.axes)[1:]
        centers = [axis.centers[index] for axis, index in zip(axes, bins, strict=True)]
        self.histogram.fill(label, *centers, weight=binned.base[inside])
        shape = self.histogram.axes.extent
        cells = np.full(len(inside), OUTSIDE)
        cells[inside] = np.ravel_multi_index((label, *bins), shape)
        self._cells.add(cells)
        if self._base is not None:
            self._base.add(binned.base)

    def row_weights(self, tables: Numbers) -> Numbers:
        """Weight of each row under ``tables`` (K, bins ...): 0 outside.

        Of a random choice of SAMPLE_ROWS rows, if there are more.
        """
        # OUTSIDE, which is -1, finds the last of them
        with_outside = np.append(tables.ravel(), 0.0)
        weights: Numbers = with_outside[self._cells.values()]
        if self._base is not None:
            weights *= self._base.values()
        return weights

    def _count(self, counts: Counter[str], labels: Integers) -> None:
        """Add the rows of each class, from numbers of classes (n,)."""
        numbers = np.bincount(labels, minlength=len(self.weights.classes)).tolist()
        for name, number in zip(self.weights.classes, numbers, strict=True):
            counts[name] += number
