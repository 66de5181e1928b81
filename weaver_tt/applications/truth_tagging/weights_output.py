"""A prediction file with event weights added: what an analysis takes home.

With scale factors SF, an object of efficiency e in simulation is tagged with probability e SF in
data, and not tagged with 1 - e SF. Where e SF is above 1, which no probability is, it counts as 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import awkward as ak
import numpy as np

from weaver_tt.applications.truth_tagging.event_weights import (
    Correlation,
    TagRequest,
    event_weight,
    event_weight_error,
)
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.row_ranges import row_ranges
from weaver_tt.formats.writers import open_writer, without_counters


@dataclass(slots=True)
class CorrectedObjects:
    """How many objects have a scale factor, and for how many e SF was above 1: the largest."""

    objects: int = 0
    above_one: int = 0
    largest: float = 0.0

    def add(self, probability: ak.Array) -> None:
        """Count e SF of further objects."""
        flat = ak.to_numpy(ak.flatten(probability))
        self.objects += len(flat)
        self.above_one += int((flat > 1).sum())
        # NaN: objects beyond the network's length
        self.largest = max(self.largest, float(np.nanmax(flat, initial=0)))


@dataclass(frozen=True, slots=True)
class TagProbabilities:
    """Of the objects of events: their tagging probabilities, jagged.

    ``spreads`` are its standard deviations for each independent cause: the spread of the
    efficiencies, and that of the scale factors.
    """

    values: ak.Array
    spreads: Sequence[ak.Array] = ()


def write_event_weights(
    path: str,
    output: str,
    requests: Sequence[TagRequest],
    *,
    efficiency: str = "jet_eff",
    scale_factor: str | None = None,
    correlation: Correlation = "full",
    treename: str | None = None,
) -> CorrectedObjects:
    """Copy ``path`` to ``output`` (.root or .parquet) chunk by chunk, with weights added.

    The column ``request.column`` for each request comes behind the others. Where the file has the
    spread ``EFFICIENCY_std`` or ``SCALE_FACTOR_std``, a column ``…_std`` follows each weight.
    ``treename``: tree of ``path`` (None: its only one) and of ``output`` (None: ``tree``).

    Raises:
        ConfigError: there are no requests, or two of one name.
        DataError: a column is missing, already there, or holds anything but efficiencies, or scale
            factors.
    """
    names = [request.column for request in requests]
    if not names or len(set(names)) < len(names):
        raise ConfigError(
            f"weights: ask for one or more different numbers of tags (--exactly, --at-least), "
            f"got {names or 'none'}"
        )
    with open_reader(path, treename) as reader, open_writer(output, treename or "tree") as writer:
        columns = without_counters(reader.columns())
        # a wrong name is reported before anything is written
        reader.resolve([efficiency] if scale_factor is None else [efficiency, scale_factor])
        _check_names_are_new(names, columns, path)
        corrected = CorrectedObjects()
        # a file without rows still makes a file with all columns
        ranges = list(row_ranges(reader.clusters(columns))) or [(0, 0)]
        for first, last in ranges:
            table = reader.read(columns, first, last)
            probabilities = _plain_probabilities(table, efficiency)
            if scale_factor is not None:
                place = f"{path}: column {scale_factor!r}, rows from {first}"
                probabilities = _corrected(probabilities, table, scale_factor, place)
                corrected.add(probabilities.values)
                probabilities = _at_most_one(probabilities)
            for request in requests:
                try:
                    table |= _weight_columns(probabilities, request, correlation)
                except DataError as error:
                    place = f"{path}: column {efficiency!r}, rows from {first}"
                    raise DataError(f"{place}: {error}") from error
            writer.write(table)
    return corrected


def _check_names_are_new(names: Sequence[str], columns: Sequence[str], path: str) -> None:
    """Raise DataError where the file has a column that is to be added."""
    added = {*names, *(f"{name}_std" for name in names)}
    present = sorted(added & set(columns))
    if present:
        raise DataError(f"{path}: already has the column {', '.join(present)}")


def _plain_probabilities(table: Mapping[str, ak.Array], efficiency: str) -> TagProbabilities:
    """The efficiencies, with their spread where the file has it."""
    spread = f"{efficiency}_std"
    spreads = [table[spread]] if spread in table else []
    return TagProbabilities(table[efficiency], spreads)


def _corrected(
    plain: TagProbabilities, table: Mapping[str, ak.Array], scale_factor: str, place: str
) -> TagProbabilities:
    """Efficiencies times scale factors; either spread times the other factor.

    Raises:
        DataError: there are not as many factors as efficiencies, or one is negative, or none where
            there is an efficiency.
    """
    factors = table[scale_factor]
    has_lists = factors.ndim == plain.values.ndim
    if not has_lists or not ak.all(ak.num(factors) == ak.num(plain.values)):
        raise DataError(f"{place}: expected a scale factor for each efficiency")
    # objects beyond a network's length have neither
    good = (factors >= 0) & np.isfinite(factors) | np.isnan(plain.values)
    if not ak.all(good):
        bad = ak.flatten(factors[~good])
        raise DataError(
            f"{place}: {len(bad)} of {ak.count(factors)} scale factors are not numbers of at "
            f"least 0 (first: {bad[0]:g})"
        )
    spreads = [spread * factors for spread in plain.spreads]
    spread = f"{scale_factor}_std"
    if spread in table:
        spreads.append(plain.values * table[spread])
    return TagProbabilities(plain.values * factors, spreads)


def _at_most_one(probabilities: TagProbabilities) -> TagProbabilities:
    """The same with probabilities, and spreads, above 1 set to 1."""
    clipped = [_clip(values) for values in (probabilities.values, *probabilities.spreads)]
    return TagProbabilities(clipped[0], clipped[1:])


def _clip(values: ak.Array) -> ak.Array:
    return ak.where(values > 1, 1.0, values)


def _weight_columns(
    probabilities: TagProbabilities, request: TagRequest, correlation: Correlation
) -> dict[str, ak.Array]:
    weights = {request.column: ak.Array(event_weight(probabilities.values, request))}
    if probabilities.spreads:
        errors = []
        for spread in probabilities.spreads:
            errors.append(event_weight_error(probabilities.values, spread, request, correlation))
        # the causes are independent of one another, whatever the correlation of the objects
        weights[f"{request.column}_std"] = ak.Array(np.sqrt(sum(error**2 for error in errors)))
    return weights
