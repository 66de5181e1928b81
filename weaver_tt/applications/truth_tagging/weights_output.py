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
from weaver_tt.applications.truth_tagging.jets import row_ranges
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.writers import open_writer


def write_event_weights(
    path: str,
    output: str,
    requests: Sequence[TagRequest],
    *,
    efficiency: str = "jet_eff",
    correlation: Correlation = "full",
    treename: str | None = None,
) -> None:
    """Copy ``path`` to ``output`` (.root or .parquet) chunk by chunk, with the column ``request.column`` for each request behind the others.

    ``treename``: tree of ``path`` (None: its only one) and of ``output`` (None: ``tree``).
    Where the file has the ensemble's spread ``EFFICIENCY_std``, a column ``…_std`` follows each weight. Raises ConfigError without requests or for
    two of one name, DataError for a column that is missing, already there, or holds anything but efficiencies.
    """
    names = [request.column for request in requests]
    if not names or len(set(names)) < len(names):
        raise ConfigError(
            f"weights: ask for one or more different numbers of tags (--exactly, --at-least), got {names or 'none'}"
        )
    with open_reader(path, treename) as reader, open_writer(output, treename or "tree") as writer:
        columns = _without_counters(reader.columns())
        reader.resolve([efficiency])
        taken = {name for column in names for name in (column, f"{column}_std")} & set(columns)
        if taken:
            raise DataError(f"{path}: already has the column {', '.join(sorted(taken))}")
        spread = f"{efficiency}_std" if f"{efficiency}_std" in columns else None
        for first, last in list(row_ranges(reader.clusters(columns))) or [(0, 0)]:
            table = reader.read(columns, first, last)
            for request in requests:
                try:
                    table |= _weight_columns(
                        table[efficiency],
                        None if spread is None else table[spread],
                        request,
                        correlation,
                    )
                except DataError as error:
                    raise DataError(
                        f"{path}: column {efficiency!r}, rows from {first}: {error}"
                    ) from error
            writer.write(table)


def _weight_columns(
    efficiency: ak.Array, spread: ak.Array | None, request: TagRequest, correlation: Correlation
) -> dict[str, ak.Array]:
    weights = {request.column: ak.Array(event_weight(efficiency, request))}
    if spread is not None:
        weights[f"{request.column}_std"] = ak.Array(
            event_weight_error(efficiency, spread, request, correlation)
        )
    return weights


def _without_counters(columns: Sequence[str]) -> list[str]:
    """Columns but for the ``nNAME`` that go with jagged columns ``NAME`` of a ROOT tree: the writer makes its own."""
    return [name for name in columns if not (name.startswith("n") and name[1:] in columns)]
