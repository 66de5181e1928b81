"""A file of jets with the corrected pT as a further column: ``weaver-tt jec apply``."""

from __future__ import annotations

from weaver_tt.applications.jet_energy.correction import Correction
from weaver_tt.errors import DataError
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.row_ranges import row_ranges
from weaver_tt.formats.writers import open_writer, read_notes, without_counters
from weaver_tt.output.about import ABOUT

ROWS = 20_000  # at once, with all their particles


def write_corrected(
    correction: Correction,
    path: str,
    output: str,
    *,
    column: str,
    treename: str | None = None,
) -> tuple[int, int]:
    """Copy ``path`` to ``output`` (.root or .parquet) chunk by chunk, with ``column`` added.

    Returns the number of jets, and how many are beyond the range of the correction. ``treename``:
    tree of ``path`` (None: its only one) and of ``output`` (None: ``tree``). What a prediction says
    of itself is kept.

    Raises:
        DataError: a column is missing or already there, or a jet cannot be corrected.
        OutputError: the output cannot be written.
    """
    jets = outside = 0
    with open_reader(path, treename) as reader, open_writer(output, treename or "tree") as writer:
        columns = without_counters(reader.columns())
        # a wrong name is reported before anything is written
        reader.resolve(correction.needed_columns)
        if column in columns:
            raise DataError(f"{path}: already has the column {column!r}; --column names another")
        # a file without rows still makes a file with all columns
        for first, last in list(row_ranges(reader.clusters(columns), ROWS)) or [(0, 0)]:
            table = reader.read(columns, first, last)
            try:
                values = correction.values(table)
                corrected = values["pt"] * correction.factor_of(values)
            except DataError as error:
                raise DataError(f"{reader.place}, rows from {first}: {error}") from error
            jets += last - first
            outside += int(correction.is_outside(values).sum())
            writer.write({**table, column: corrected})
        for name, text in read_notes(path, (ABOUT,)).items():
            writer.annotate(name, text)
    return jets, outside
