"""Weights of rows: tables that give the spectra of classes a shape.

Flat and that of a reference as Weaver defines them (``WeightMaker`` of weaver-core), in any number
of variables; that of a density, too. A table's entry is the probability with which a row of that
class and bin is kept. The reference of a class is a percentile of its filled bins (flat), the
spectrum of the first class (ref) or the share of the density (target): bins with fewer rows keep
all of them and are not compensated, so that a few rows do not get huge weights. All classes then
keep as many rows as the class that keeps fewest, times their class weights.

Base weights may be negative. Their sum in a bin is what counts as its rows, and a bin in which they
add up to nothing or less has weight 0: no positive factor gives it the share that it should have.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weaver_tt.config.schema import DataConfig, Weights, WeightSummary
from weaver_tt.config.target_density import target_shares
from weaver_tt.data.rows.table import Table
from weaver_tt.data.statistics.spectra import (
    SAMPLE_ROWS,
    BinnedRows,
    Numbers,
    Spectra,
    weight_column,
)
from weaver_tt.errors import DataError
from weaver_tt.system.wording import counted

# of the class that keeps fewest rows: below 1, so that its rows too are a random choice (Weaver's)
MAX_PROBABILITY = 0.9
# of the median: bins with less are not counted among the filled ones (Weaver's)
NEGLIGIBLE_SHARE = 0.01


def make_weight_tables(spectra: Spectra, source: str) -> dict[str, Numbers]:
    """Class -> weights, an axis for each variable.

    Raises:
        DataError: a class has no row inside the bins, or all weights are 0; names the class.
    """
    weights = spectra.weights
    where = f"{source}: weights"
    _check_events(spectra, where)
    raw = spectra.values
    # what every class is to look like, where that is not flat
    reference = None
    if weights.method == "ref":
        reference = raw[next(iter(weights.classes))]
    elif weights.target is not None:
        reference = target_shares(weights.target, weights.variables, f"{where}.target")
    tables = {}
    for name, values in raw.items():
        place = f"{where}: class {name!r}"
        if not (values > 0).any():
            raise DataError(
                f"{place}: the base weights of its events add up to nothing in every bin; "
                "all its weights are 0"
            )
        if reference is None:
            tables[name] = _flatten_spectrum(values, weights.threshold)
        else:
            tables[name] = _match_reference(reference, values, weights.threshold, place)
    tables = _equalize_classes(tables, raw, weights)
    if weights.base is None:
        return tables
    # with base weights, the tables alone do not say what the weights of rows are
    of_rows = np.abs(spectra.row_weights(_stack(tables)))
    largest = np.percentile(of_rows, 100 - weights.threshold)
    if largest <= 0:
        raise DataError(
            f"{where}.reweight_basewgt: at least {100 - weights.threshold:g} % of the training "
            "rows have weight 0"
        )
    return {name: table / largest for name, table in tables.items()}


def _check_events(spectra: Spectra, where: str) -> None:
    """Raise DataError where a class has no row inside the bins."""
    for name in spectra.weights.classes:
        if spectra.inside[name]:
            continue
        rows = spectra.of_class[name]
        why = f"none of {spectra.rows} rows has {name} = 1"
        if rows:
            why = f"its {counted(rows, 'row lies', 'rows lie')} outside the bins"
        if name in spectra.weights.class_columns:
            raise DataError(
                f"{where}.reweight_classes: class {name!r} has no events in the training data "
                f"({why})"
            )
        raise DataError(
            f"{where}.reweight_vars: none of {spectra.rows} rows of the training data lies inside "
            "the bins"
        )


def _flatten_spectrum(values: Numbers, threshold: float) -> Numbers:
    """The weights that make ``values`` as high as their ``threshold`` percentile, at most 1.

    0 in bins that have nothing, or less.
    """
    # bins with next to nothing would lower the percentile
    negligible = np.median(values[values > 0]) * NEGLIGIBLE_SHARE
    height = np.percentile(values[values > negligible], threshold)
    return _safe_ratio(np.full_like(values, height), values).clip(0, 1)


def _match_reference(reference: Numbers, values: Numbers, threshold: float, where: str) -> Numbers:
    """The weights that give ``values`` the shape of ``reference``, at most 1.

    0 where either has nothing, or less.
    """
    ratio = _safe_ratio(reference.clip(0), values.clip(0))
    filled = ratio[ratio > 0]
    if not len(filled):
        raise DataError(
            f"{where}: no bin holds events of both this class and the first one, which is the "
            "reference; all its weights are 0"
        )
    # the few largest ratios are limited: else they would make all other weights tiny
    return (ratio / np.percentile(filled, 100 - threshold)).clip(0, 1)


def distance_to(shares: Numbers, values: Numbers, table: Numbers) -> float:
    """The part of what a spectrum is under a table of weights that lies in the wrong bins.

    ``shares`` (bins ...) are those it should have; 0 where it has them, at most 1.
    """
    kept = values * table
    total = kept.sum()
    if total <= 0:
        return 0.0
    return float(np.abs(kept / total - shares).sum() / 2)


def _safe_ratio(above: Numbers, below: Numbers) -> Numbers:
    """``above / below``, 0 where ``below`` is."""
    return np.divide(above, below, out=np.zeros_like(below), where=below != 0)


def _equalize_classes(
    tables: Mapping[str, Numbers], raw: Mapping[str, Numbers], weights: Weights
) -> dict[str, Numbers]:
    """Tables that keep as much of each class, in proportion to the class weights.

    Of the class with the least, MAX_PROBABILITY of what its table keeps.
    """
    kept = {}
    limits = []
    for name, share in weights.classes.items():
        kept[name] = _kept_events(raw[name], tables[name])
        # a class of weight 0 keeps nothing, and limits nothing
        if share:
            limits.append(kept[name] / share)
    least = min(limits)
    equal = {}
    for name, table in tables.items():
        wanted = MAX_PROBABILITY * least * weights.classes[name]
        equal[name] = table * (wanted / kept[name])
    return equal


def row_weights(table: Table, binned: BinnedRows | None, weights: Weights, path: str) -> Numbers:
    """The weight (R,) of each row of a table.

    ``binned``: where the rows lie; None where weights are precomputed columns.

    Raises:
        DataError: a precomputed weight is not finite, or negative where none is to be.
    """
    if binned is None:
        where = f"{path}: weights.weight_branches"
        columns = [weight_column(branch, table, weights, where) for branch in weights.branches]
        return np.prod(columns, axis=0)
    assert weights.tables is not None
    inside = binned.inside
    entries = _stack(weights.tables)  # (K, bins ...)
    bins = [index[inside] for index in binned.bins]
    found = np.zeros(len(inside))
    found[inside] = entries[(binned.label[inside], *bins)]
    return found * binned.base


class WeightSums:
    """Adds up precomputed weights."""

    def __init__(self) -> None:
        self.rows = 0
        self.total = 0.0
        self.kept = 0.0

    def add(self, weights: Numbers) -> None:
        """Add those of R rows."""
        self.rows += len(weights)
        self.total += float(weights.sum())
        self.kept += float(np.abs(weights).clip(max=1).sum())

    def summary(self, config: DataConfig) -> WeightSummary:
        """Their means.

        Raises:
            DataError: there are no rows, or all weights are 0.
        """
        rows = max(1, self.rows)
        mean = self.total / rows
        summary = WeightSummary(rows=self.rows, mean=mean, kept=self.kept / rows)
        return validate_summary(summary, config)


def summarize_weights(
    spectra: Spectra, tables: Mapping[str, Numbers], config: DataConfig
) -> WeightSummary:
    """The mean weight w of all rows, and that of min(abs(w), 1).

    Exact without base weights, else the latter is of a random choice of rows.

    Raises:
        DataError: there are no rows, or all weights are 0.
    """
    raw = spectra.values
    rows = max(1, spectra.rows)
    total = 0.0
    total_kept = 0.0
    for name, table in tables.items():
        total += _kept_events(raw[name], table)
        total_kept += _kept_events(raw[name], table.clip(max=1))
    kept = total_kept / rows
    if spectra.weights.base is not None:
        # min(abs(w), 1) is not linear in the base weights: sums over bins do not tell it
        of_rows = np.abs(spectra.row_weights(_stack(tables))).clip(max=1)
        kept = float(of_rows.sum()) / min(rows, SAMPLE_ROWS)
    summary = WeightSummary(rows=spectra.rows, mean=total / rows, kept=kept)
    return validate_summary(summary, config)


def validate_summary(summary: WeightSummary, config: DataConfig) -> WeightSummary:
    """The same, if there is something to train on.

    Raises:
        DataError: there are no rows, or all weights are 0.
    """
    if summary.rows == 0:
        raise DataError(
            f"{config.source}: no row of the training data passes the selection; "
            "nothing to make weights from"
        )
    sampling = config.weights is not None and config.weights.mode == "sampling"
    if summary.mean <= 0 or (sampling and summary.kept <= 0):
        raise DataError(
            f"{config.source}: weights: the weights of the {summary.rows} training rows are all "
            f"zero (or add up to {summary.mean:g})"
        )
    return summary


def _stack(tables: Mapping[str, Numbers]) -> Numbers:
    """Tables of K classes as one array (K, bins ...)."""
    return np.stack(list(tables.values()))


def _kept_events(values: Numbers, table: Numbers) -> float:
    """How much of a spectrum is kept under a table of weights."""
    return float((values * table).sum())
