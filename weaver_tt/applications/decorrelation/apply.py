"""A prediction file with its decorrelated columns: ``weaver-tt ddt --apply``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from weaver_tt.applications.decorrelation.ddt_json import DdtMaps
from weaver_tt.applications.decorrelation.jets import PT, RHO, SCORE, JetSources
from weaver_tt.errors import DataError
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.row_ranges import row_ranges
from weaver_tt.formats.writers import check_suffix, open_writer, read_notes, without_counters
from weaver_tt.output.about import ABOUT

ROWS = 20_000  # at once, with all their columns


@dataclass(frozen=True)
class Written:
    """Jets of the output, those that the selection leaves without a value, and those whose
    threshold is that of the nearest bin, by column."""

    jets: int
    unselected: int
    outside: dict[str, int]


def check_application(
    path: str, sources: JetSources, added: Iterable[str], output: str, treename: str | None
) -> None:
    """Raise unless ``path`` has the columns of ``sources`` and none of those to be ``added``.

    Raises:
        DataError: a column is missing or already there.
        OutputError: there is no writer for the output.
    """
    check_suffix(output)
    with open_reader(path, treename) as reader:
        reader.resolve(sources.columns)
        columns = reader.columns()
    for name in added:
        if name in columns:
            raise DataError(f"{path}: already has the column {name!r}; --name names another")


def write_decorrelated(
    maps: DdtMaps,
    path: str,
    output: str,
    *,
    selection: str | None = None,
    treename: str | None = None,
) -> Written:
    """Copy ``path`` to ``output`` (.root or .parquet) chunk by chunk, with a column of each map.

    A column is the score less the threshold, NaN for jets that are not selected. ``treename``: tree
    of ``path`` (None: its only one) and of ``output`` (None: ``tree``). What a prediction says of
    itself is kept.

    Raises:
        DataError: a column is missing or already there, or a jet has no rho.
        OutputError: the output cannot be written.
    """
    sources = JetSources(by_role=maps.sources, selection=selection)
    check_application(path, sources, maps.by_column, output, treename)
    jets = selected = 0
    outside = dict.fromkeys(maps.by_column, 0)
    with open_reader(path, treename) as reader, open_writer(output, treename or "tree") as writer:
        columns = without_counters(reader.columns())
        # a file without rows still makes a file with all columns
        for first, last in list(row_ranges(reader.clusters(columns), ROWS)) or [(0, 0)]:
            table = reader.read(columns, first, last)
            try:
                values, chosen = sources.values(table)
            except DataError as error:
                raise DataError(f"{reader.place}, rows from {first}: {error}") from error
            rho, pt, score = values[RHO], values[PT], values[SCORE]
            added = {}
            for name, thresholds in maps.by_column.items():
                decorrelated = np.full(last - first, np.nan)
                decorrelated[chosen] = score - thresholds.of_jets(rho, pt)
                outside[name] += int(thresholds.bins.is_outside(rho, pt).sum())
                added[name] = decorrelated
            jets += last - first
            selected += int(chosen.sum())
            writer.write({**table, **added})
        for name, text in read_notes(path, (ABOUT,)).items():
            writer.annotate(name, text)
    return Written(jets, jets - selected, outside)
