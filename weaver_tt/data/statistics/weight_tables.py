"""Weights of rows: tables that make the spectra of classes flat, or those of a reference, as Weaver defines them (``WeightMaker`` of weaver-core).

A table's entry is the probability with which a row of that class and bin is kept, in any number of variables. The reference of a class is a
percentile of its filled bins (flat) or the spectrum of the first class (ref): bins below it keep all their rows and are not made up for, so that
a few rows do not come with huge weights. All classes then keep as many rows as the class that keeps fewest, times their class weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weaver_tt.config.schema import DataConfig, Weights, WeightSummary
from weaver_tt.data.rows.table import Table
from weaver_tt.data.statistics.spectra import (
    SAMPLE_ROWS,
    BinnedRows,
    Numbers,
    Spectra,
    weight_column,
)
from weaver_tt.errors import DataError

MAX_PROBABILITY = 0.9  # probability of the most wanted rows: below 1, so that they too are a random choice (Weaver's)
NEGLIGIBLE_SHARE = (
    0.01  # of the median: bins with less are not counted among the filled ones (Weaver's)
)


def make_weight_tables(spectra: Spectra, source: str) -> dict[str, Numbers]:
    """Class -> weights, an axis for each variable.

    :raises DataError: a class has no row inside the bins, or all weights come out as 0; names the class.
    """
    weights = spectra.weights
    where = f"{source}: weights"
    for name in weights.classes:
        if not spectra.inside[name]:
            have = spectra.of_class[name]
            why = (
                f"its {have} rows lie outside the bins"
                if have
                else f"none of {spectra.rows} rows has {name} = 1"
            )
            raise DataError(
                f"{where}.reweight_classes: class {name!r} has no events in the training data ({why})"
            )
    raw = spectra.values
    reference = raw[next(iter(weights.classes))]
    if weights.method == "flat":
        tables = {
            name: _flatten_spectrum(values, weights.threshold, f"{where}: class {name!r}")
            for name, values in raw.items()
        }
    else:
        tables = {
            name: _match_reference(reference, values, weights.threshold, f"{where}: class {name!r}")
            for name, values in raw.items()
        }
    equal = _equalize_classes(tables, raw, weights)
    if weights.base is not None:
        largest = np.percentile(
            spectra.row_weights(np.stack(list(equal.values()))), 100 - weights.threshold
        )
        if largest <= 0:
            raise DataError(
                f"{where}.reweight_basewgt: at least {100 - weights.threshold:g} % of the training rows have weight 0"
            )
        equal = {name: table / largest for name, table in equal.items()}
    return equal


def _flatten_spectrum(values: Numbers, threshold: float, where: str) -> Numbers:
    """What makes ``values`` as high as their ``threshold`` percentile, at most 1; 0 in empty bins."""
    filled = values[values > 0]
    if not len(filled):
        raise DataError(
            f"{where}: the base weights of its events add up to nothing in every bin; all its weights are 0"
        )
    wanted = np.percentile(values[values > np.median(filled) * NEGLIGIBLE_SHARE], threshold)
    return _safe_ratio(np.full_like(values, wanted), values).clip(0, 1)


def _match_reference(reference: Numbers, values: Numbers, threshold: float, where: str) -> Numbers:
    """What gives ``values`` the shape of ``reference``, at most 1; 0 where either is empty."""
    ratio = _safe_ratio(reference, values)
    if not (ratio > 0).any():
        raise DataError(
            f"{where}: no bin holds events of both this class and the first one, which is the reference; all its weights are 0"
        )
    return (ratio / np.percentile(ratio[ratio > 0], 100 - threshold)).clip(0, 1)


def _safe_ratio(above: Numbers, below: Numbers) -> Numbers:
    return np.divide(above, below, out=np.zeros_like(below), where=below != 0)


def _equalize_classes(
    tables: dict[str, Numbers], raw: dict[str, Numbers], weights: Weights
) -> dict[str, Numbers]:
    """Tables that keep as much of each class, in proportion to the class weights: of the class with the least, HIGHEST of its table."""
    kept = {name: float((raw[name] * table).sum()) for name, table in tables.items()}
    least = min(kept[name] / share for name, share in weights.classes.items() if share)
    return {
        name: table * (MAX_PROBABILITY * least * weights.classes[name] / kept[name])
        for name, table in tables.items()
    }


def row_weights(table: Table, placed: BinnedRows | None, weights: Weights, path: str) -> Numbers:
    """The weight (R,) of each row of a table; ``placed``: where they lie, unless weights are precomputed."""
    if placed is None:
        columns = [
            weight_column(branch, table, weights, f"{path}: weights.weight_branches")
            for branch in weights.branches
        ]
        return np.prod(columns, axis=0)
    assert weights.tables is not None
    inside = placed.inside
    found = np.zeros(len(inside))
    entries = np.stack(list(weights.tables.values()))
    found[inside] = entries[(placed.label[inside], *(index[inside] for index in placed.bins))]
    return found * placed.base


class WeightSums:
    """Adds up precomputed weights."""

    def __init__(self) -> None:
        self.rows, self.total, self.kept = 0, 0.0, 0.0

    def add(self, weights: Numbers) -> None:
        """Add those of R rows."""
        self.rows += len(weights)
        self.total += float(weights.sum())
        self.kept += float(weights.clip(0, 1).sum())

    def summary(self, config: DataConfig) -> WeightSummary:
        """Their means."""
        return validate_summary(
            WeightSummary(
                rows=self.rows,
                mean=self.total / max(1, self.rows),
                kept=self.kept / max(1, self.rows),
            ),
            config,
        )


def summarize_weights(
    spectra: Spectra, tables: Mapping[str, Numbers], config: DataConfig
) -> WeightSummary:
    """The mean weight of all rows that were passed, and that of min(weight, 1): exact without base weights, else from a choice of rows."""
    raw, rows = spectra.values, max(1, spectra.rows)
    mean = sum(float((raw[name] * table).sum()) for name, table in tables.items()) / rows
    kept = (
        sum(float((raw[name] * table.clip(max=1)).sum()) for name, table in tables.items()) / rows
    )
    if spectra.weights.base is not None:
        kept = float(spectra.row_weights(np.stack(list(tables.values()))).clip(0, 1).sum()) / min(
            rows, SAMPLE_ROWS
        )
    return validate_summary(WeightSummary(rows=spectra.rows, mean=mean, kept=kept), config)


def validate_summary(measured: WeightSummary, config: DataConfig) -> WeightSummary:
    """The same, if there is something to train on."""
    if measured.rows == 0:
        raise DataError(
            f"{config.source}: no row of the training data passes the selection; nothing to make weights from"
        )
    if measured.mean <= 0 or (
        config.weights is not None and config.weights.mode == "sampling" and measured.kept <= 0
    ):
        raise DataError(
            f"{config.source}: weights: the weights of the {measured.rows} training rows are all zero (or add up to {measured.mean:g})"
        )
    return measured
