"""The columns of data files, by what some rows of them say: what a person would look at first."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.data.first_rows import FILES_OF_GROUP, spread_over
from weaver_tt.data.rows.table import flat_column
from weaver_tt.data.survey import NINES, find_sentinel
from weaver_tt.errors import DataError
from weaver_tt.expressions.elementwise import JaggedColumn
from weaver_tt.formats.file_groups import FileGroup, parse_groups
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader, identifier_of
from weaver_tt.formats.root_reader import tree_names
from weaver_tt.formats.row_objects import RowObjects, matches

# columns that are decoded together, which bounds the memory of files with thousands
COLUMNS_AT_ONCE = 50
# different whole numbers of a column that are kept: as many as a label may have
MOST_DISTINCT = 500
# relative difference of values that are the same: the mass of a muon as a file rounds it
SAME = 1e-3
# of fewer values it is not said that one stands for a missing one, unless it is -99 or such
LEAST_VALUES = 1000

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Column:
    """A column of numbers: one for each row, or a list for each row.

    ``counts`` (R,) are the entries of each row, None of a column with one number a row; columns
    with equal counts share one array. ``low``, ``median`` and ``high`` are of finite values, None
    where there is none. ``distinct`` are the different values of whole numbers, None where there
    are too many or they are no whole numbers.
    """

    name: str  # as expressions spell it
    counts: Integers | None
    values: int
    nonfinite: float  # share
    low: float | None
    median: float | None
    high: float | None
    distinct: tuple[int, ...] | None
    sentinel: float | None
    row_values: npt.NDArray[np.float64] | None = field(default=None, repr=False)  # (R,) if distinct

    @property
    def is_constant(self) -> bool:
        """Whether it says nothing in the rows that were looked at."""
        return self.low is None or math.isclose(self.low, self.high or 0.0, rel_tol=SAME)

    @property
    def is_flag(self) -> bool:
        """Whether its values are 0 and 1, or one of them."""
        return self.distinct is not None and set(self.distinct) <= {0, 1}


@dataclass(frozen=True)
class Sample:
    """What was looked at: the columns of numbers of ``rows`` rows, and those that are none."""

    groups: Sequence[FileGroup]
    treename: str | None  # None where a file has only one
    rows: int
    columns: dict[str, Column]
    unread: dict[str, str]  # column -> why it is no column of numbers

    @property
    def counts(self) -> list[Integers]:
        """Objects of each row (R,), of every collection once."""
        of_lists = [column.counts for column in self.columns.values() if column.counts is not None]
        # columns with equal counts share one array
        return list({id(counts): counts for counts in of_lists}.values())


def read_sample(
    patterns: Sequence[str],
    treename: str | None,
    rows: int,
    objects: RowObjects | None = None,
    beside: Container[str] = (),
) -> Sample:
    """The first ``rows`` rows of each file group, from a few files of it.

    With ``objects`` rows are these, and of the other columns there are those that are linked, and
    those whose names are ``beside``.

    Raises:
        DataError: a file cannot be read, or there is no row.
    """
    groups = parse_groups(patterns)
    paths = []
    for group in groups:
        chosen = spread_over(group.paths, FILES_OF_GROUP)
        paths += [(path, -(-rows // len(chosen))) for path in chosen]
    treename = treename or choose_tree(paths[0][0])
    readers = [open_reader(path, treename, objects) for path, _ in paths]
    try:
        limits = [
            min(most, reader.rows()) for reader, (_, most) in zip(readers, paths, strict=True)
        ]
        if not sum(limits):
            raise DataError(f"{readers[0].place}: no rows, so there is nothing to look at")
        columns, unread = _read_columns(readers, limits, objects, beside)
    finally:
        for reader in readers:
            reader.close()
    return Sample(groups, treename, sum(limits), columns, unread)


def choose_tree(path: str) -> str | None:
    """Of a ROOT file with several trees the one with the most columns; None for any other file."""
    if not path.endswith(".root"):
        return None
    names = tree_names(path)
    if len(names) < 2:
        return None
    sizes = {}
    for name in names:
        with open_reader(path, name) as reader:
            sizes[name] = len(reader.columns())
    return max(sizes, key=lambda name: sizes[name])


def _read_columns(
    readers: Sequence[Reader],
    limits: Sequence[int],
    objects: RowObjects | None,
    beside: Container[str],
) -> tuple[dict[str, Column], dict[str, str]]:
    """Columns that all files have, by the names that expressions give them."""
    common = set.intersection(*(set(reader.columns()) for reader in readers))
    names = [name for name in readers[0].columns() if name in common]
    if objects is not None:
        names = [name for name in names if _is_of(name, objects) or identifier_of(name) in beside]
    columns: dict[str, Column] = {}
    unread: dict[str, str] = {}
    known_counts: dict[bytes, Integers] = {}
    for first in range(0, len(names), COLUMNS_AT_ONCE):
        for name, parts in _read_together(readers, limits, names[first : first + COLUMNS_AT_ONCE]):
            if isinstance(parts, str):
                unread[identifier_of(name)] = parts
                continue
            column = describe_column(identifier_of(name), parts, known_counts)
            if column is None:
                unread[identifier_of(name)] = str(parts.type.content)
            else:
                columns[column.name] = column
    return columns, unread


def _is_of(name: str, objects: RowObjects) -> bool:
    """Whether a column is of the objects that are rows, or are linked to them."""
    linked = [pattern for each in objects.linked for pattern in each.columns]
    return matches(name, [*objects.columns, *linked])


def _read_together(
    readers: Sequence[Reader], limits: Sequence[int], names: Sequence[str]
) -> Iterator[tuple[str, ak.Array | str]]:
    """Column -> its rows in all files, or why it cannot be read."""
    try:
        tables = _read_tables(readers, limits, names)
    except DataError as error:
        if len(names) == 1:
            yield names[0], str(error).rpartition(": ")[2]
            return
        # one by one: which it is
        for name in names:
            yield from _read_together(readers, limits, [name])
        return
    for name in names:
        yield name, ak.concatenate([table[name] for table in tables])


def _read_tables(
    readers: Sequence[Reader], limits: Sequence[int], names: Sequence[str]
) -> list[dict[str, ak.Array]]:
    return [reader.read(names, 0, rows) for reader, rows in zip(readers, limits, strict=True)]


def describe_column(
    name: str, values: ak.Array, known_counts: dict[bytes, Integers]
) -> Column | None:
    """What ``values`` (R rows) say; None where they are no numbers, or lists of lists.

    ``known_counts`` makes equal counts one array.
    """
    found = flat_column(values)
    counts = None
    if isinstance(found, JaggedColumn):
        counts = np.diff(np.asarray(found.offsets)).astype(np.int64)
        counts = known_counts.setdefault(counts.tobytes(), counts)
        found = found.content
    if not isinstance(found, np.ndarray) or found.ndim != 1 or found.dtype.kind not in "biuf":
        return None
    numbers = found.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    low = median = high = sentinel = None
    if len(finite):
        low, median, high = (float(x) for x in np.percentile(finite, [0, 50, 100]))
    distinct = _whole_numbers(finite)
    candidate, _ = find_sentinel(finite)
    if candidate in NINES or len(finite) >= LEAST_VALUES:
        sentinel = candidate
    of_rows = counts is None and distinct is not None
    return Column(
        name=name,
        counts=counts,
        values=len(numbers),
        nonfinite=1 - len(finite) / max(1, len(numbers)),
        low=low,
        median=median,
        high=high,
        distinct=distinct,
        sentinel=sentinel,
        row_values=numbers if of_rows else None,
    )


def _whole_numbers(finite: npt.NDArray[np.float64]) -> tuple[int, ...] | None:
    """The different values, where they are not too many and all are whole numbers."""
    if not len(finite) or (finite != np.round(finite)).any():
        return None
    different = np.unique(finite)
    if len(different) > MOST_DISTINCT:
        return None
    return tuple(int(number) for number in different)
