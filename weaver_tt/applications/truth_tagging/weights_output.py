"""A prediction file with event weights added: what an analysis takes home."""

from __future__ import annotations

from collections.abc import Sequence

import awkward as ak

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


def write_event_weights(
    path: str,
    output: str,
    requests: Sequence[TagRequest],
    *,
    efficiency: str = "jet_eff",
    correlation: Correlation = "full",
    treename: str | None = None,
) -> None:
    """Copy ``path`` to ``output`` (.root or .parquet) chunk by chunk, with weights added.

    The column ``request.column`` for each request comes behind the others. Where the file has the
    ensemble's spread ``EFFICIENCY_std``, a column ``…_std`` follows each weight. ``treename``: tree
    of ``path`` (None: its only one) and of ``output`` (None: ``tree``).

    Raises:
        ConfigError: there are no requests, or two of one name.
        DataError: a column is missing, already there, or holds anything but efficiencies.
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
        reader.resolve([efficiency])
        _check_names_are_new(names, columns, path)
        spread = f"{efficiency}_std" if f"{efficiency}_std" in columns else None
        # a file without rows still makes a file with all columns
        ranges = list(row_ranges(reader.clusters(columns))) or [(0, 0)]
        for first, last in ranges:
            table = reader.read(columns, first, last)
            spreads = None if spread is None else table[spread]
            for request in requests:
                try:
                    table |= _weight_columns(table[efficiency], spreads, request, correlation)
                except DataError as error:
                    place = f"{path}: column {efficiency!r}, rows from {first}"
                    raise DataError(f"{place}: {error}") from error
            writer.write(table)


def _check_names_are_new(names: Sequence[str], columns: Sequence[str], path: str) -> None:
    """Raise DataError where the file has a column that is to be added."""
    added = {*names, *(f"{name}_std" for name in names)}
    present = sorted(added & set(columns))
    if present:
        raise DataError(f"{path}: already has the column {', '.join(present)}")


def _weight_columns(
    efficiency: ak.Array, spread: ak.Array | None, request: TagRequest, correlation: Correlation
) -> dict[str, ak.Array]:
    weights = {request.column: ak.Array(event_weight(efficiency, request))}
    if spread is not None:
        error = event_weight_error(efficiency, spread, request, correlation)
        weights[f"{request.column}_std"] = ak.Array(error)
    return weights
