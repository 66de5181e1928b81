"""Files of jets -> one file with the Lund tree of each jet, streamed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from weaver_tt.errors import DataError
from weaver_tt.formats.file_groups import FileGroup
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader
from weaver_tt.formats.row_ranges import row_ranges
from weaver_tt.formats.writers import open_writer, without_counters
from weaver_tt.samples.lund.planes import LundPlanes, classes_of, label_columns
from weaver_tt.samples.lund.trees import (
    LUND_COLUMNS,
    Declustering,
    LundCounts,
    LundCuts,
    LundTrees,
    flat_momenta,
    lund_trees,
)
from weaver_tt.samples.workers import results_in_order
from weaver_tt.system.progress_bar import progress_bar

ROWS = 2000  # at once, with all their particles; of as many, each worker has two in memory
COMMAND = "lund"


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of a file, and what they are counted as."""

    table: dict[str, ak.Array]
    labels: list[str]
    group: str


def write_lund_trees(
    groups: Sequence[FileGroup],
    output: str,
    *,
    momenta: Sequence[str],
    cuts: LundCuts,
    workers: int = 1,
    treename: str | None = None,
    progress: bool = True,
) -> tuple[LundCounts, LundPlanes]:
    """Copy the jets of all files to ``output`` (.root or .parquet), with ``LUND_COLUMNS`` added.

    Rows keep their order, whatever the number of ``workers``. ``momenta`` are the columns of the
    constituents' px, py, pz and energy in GeV. ``treename``: tree of the files (None: their only
    one) and of ``output`` (None: ``tree``).

    Raises:
        ConfigError: FastJet is missing.
        DataError: a column is missing, is no list of numbers, differs in length from the others,
            or is there already.
        OutputError: the output cannot be written.
    """
    # each file is looked at before the first jet is clustered
    Declustering(COMMAND)
    rows = sum(_checked_rows(path, momenta, treename) for group in groups for path in group.paths)
    total = LundCounts()
    planes = LundPlanes()
    pieces: deque[_Piece] = deque()

    def arguments() -> Iterator[tuple[Any, ...]]:
        for piece, flat, counts in _read_pieces(groups, momenta, treename):
            pieces.append(piece)
            yield flat, counts, cuts, COMMAND

    with (
        open_writer(output, treename or "tree") as writer,
        progress_bar(COMMAND, rows, "jet", progress) as advance,
        closing(results_in_order(lund_trees, arguments(), workers, COMMAND)) as results,
    ):
        for trees in results:
            piece = pieces.popleft()
            _write_piece(writer, piece, trees, planes)
            total += trees.totals
            advance(trees.totals.jets)
    return total, planes


def _write_piece(writer: Any, piece: _Piece, trees: LundTrees, planes: LundPlanes) -> None:
    columns = trees.columns()
    writer.write({**piece.table, **columns})
    jets = trees.totals.jets
    planes.add(classes_of(piece.table, piece.labels, piece.group, jets), columns)


def _checked_rows(path: str, momenta: Sequence[str], treename: str | None) -> int:
    """The number of jets of a file, whose columns will do."""
    with open_reader(path, treename) as reader:
        present = [name for name in LUND_COLUMNS if name in reader.columns()]
        if present:
            raise DataError(
                f"{reader.place}: already has the column {', '.join(present)}; give the file that "
                f"it was made of"
            )
        for name, kind in reader.types(momenta).items():
            if not _is_list_of_numbers(kind):
                raise DataError(
                    f"{reader.place}: column {name!r} is {kind}; expected a list of numbers, an "
                    f"entry for each constituent (--columns px,py,pz,energy)"
                )
        return reader.rows()


def _is_list_of_numbers(kind: Any) -> bool:
    is_list = isinstance(kind, ak.types.ListType | ak.types.RegularType)
    if not is_list:
        return False
    entry = kind.content
    if isinstance(entry, ak.types.OptionType):
        entry = entry.content
    return isinstance(entry, ak.types.NumpyType) and entry.primitive != "bool"


def _read_pieces(
    groups: Sequence[FileGroup], momenta: Sequence[str], treename: str | None
) -> Iterator[tuple[_Piece, Any, Any]]:
    """Rows of all files, with the constituents' momenta (4, M) and their number (J,)."""
    for group in groups:
        for path in group.paths:
            with open_reader(path, treename) as reader:
                columns = without_counters(reader.columns())
                names = reader.resolve(momenta)
                labels = label_columns(columns, reader.types(columns))
                # a file without rows still makes a file with all columns
                for first, last in list(row_ranges(reader.clusters(columns), ROWS)) or [(0, 0)]:
                    table = reader.read(columns, first, last)
                    components = [table[name] for name in names]
                    _check_lengths(reader, momenta, components, first)
                    yield _Piece(table, labels, group.name), *flat_momenta(components)


def _check_lengths(
    reader: Reader, momenta: Sequence[str], components: Sequence[ak.Array], first: int
) -> None:
    """Raise DataError where columns differ in the number of constituents of a jet."""
    numbers = [ak.to_numpy(ak.num(values)) for values in components]
    for name, number in zip(momenta[1:], numbers[1:], strict=True):
        differing = np.flatnonzero(number != numbers[0])
        if len(differing):
            row = int(differing[0])
            raise DataError(
                f"{reader.place}, row {first + row}: column {momenta[0]!r} has "
                f"{numbers[0][row]} entries and {name!r} {number[row]}"
            )
