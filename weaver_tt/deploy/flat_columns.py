"""Columns in any form as flat values and offsets: what all that runs without torch begins with.

N rows, P objects of a row, M objects in all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import DataError
from weaver_tt.system.wording import counted

Offsets = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]
Values = npt.NDArray[Any]
# an array of awkward or numpy, a list, or values and offsets
Column: TypeAlias = Any
Columns: TypeAlias = Mapping[str, Column] | ak.Array


class Collection:
    """Columns of the same rows (N,), or of the same objects (M,) with their offsets (N + 1,).

    ``title`` says in messages what they are needed for. ``has_lists``: whether they are of objects;
    None leaves that to the first column. A column may be None: 1 for each object.
    """

    def __init__(self, title: str, has_lists: bool | None) -> None:
        self.title = title
        self.has_lists = has_lists
        self.values: dict[str, Values | None] = {}
        self.offsets: Offsets | None = None  # from 0

    @property
    def rows(self) -> int | None:
        """N; None where no column says it."""
        if self.offsets is not None:
            return len(self.offsets) - 1
        return next((len(values) for values in self.values.values() if values is not None), None)

    @property
    def missing(self) -> list[str]:
        """The columns that are 1 for each object."""
        return [name for name, values in self.values.items() if values is None]

    def add(self, name: str, column: Column) -> None:
        """Take in a column.

        Raises:
            DataError: it is of another kind, or has other lists or rows than those before.
        """
        values, offsets = take_apart(name, column)
        where = f"column {name!r} of {self.title}"
        has_lists = offsets is not None
        if self.has_lists is None:
            self.has_lists = has_lists
        if has_lists and not self.has_lists:
            raise DataError(f"{where}: has lists; expected one number for each row")
        if self.has_lists and not has_lists:
            raise DataError(f"{where}: has one number for each row; expected lists")
        rows = len(values) if offsets is None else len(offsets) - 1
        if self.rows is not None and rows != self.rows:
            raise DataError(f"{where}: has {counted(rows, 'row')}, others have {self.rows}")
        if offsets is not None and self.offsets is not None:
            _check_same_lists(where, offsets, self.offsets)
        if self.offsets is None:
            self.offsets = offsets
        self.values[name] = values

    def range_of(self, first: int, last: int) -> slice:
        """Where the values of rows [first, last) stand."""
        if self.offsets is None:
            return slice(first, last)
        return slice(int(self.offsets[first]), int(self.offsets[last]))

    def counts(self, first: int, last: int) -> Offsets:
        """The number of objects of each of the rows [first, last), (N,)."""
        assert self.offsets is not None
        return np.diff(self.offsets[first : last + 1])

    def places_in(self, rows: Rows) -> Rows:
        """Where the values of these rows stand, (M',), in the order of ``rows``."""
        if self.offsets is None:
            return rows
        counts = np.diff(self.offsets)[rows]
        row, place = places_of(counts)
        return self.offsets[rows][row] + place

    def take(self, rows: Rows) -> Collection:
        """The same columns of these rows, in their order."""
        taken = Collection(self.title, self.has_lists)
        places = self.places_in(rows)
        for name, values in self.values.items():
            taken.values[name] = None if values is None else values[places]
        if self.offsets is not None:
            counts = np.diff(self.offsets)[rows]
            taken.offsets = np.concatenate([[0], np.cumsum(counts)])
        return taken

    def without_padding(self, padded: Values, first: int, last: int) -> Values:
        """(N, P) values of rows [first, last) -> those of their objects, (M,), NaN beyond P."""
        if self.offsets is None:
            return padded.reshape(-1)
        row, place = places_of(self.counts(first, last))
        inside = place < padded.shape[1]
        flat = np.full(len(row), np.nan, np.float32)
        flat[inside] = padded[row[inside], place[inside]]
        return flat

    def as_lists(self, flat: Values) -> Values | ak.Array:
        """Values (M,) of all objects -> the lists of the rows; numbers of rows as they are."""
        if self.offsets is None:
            return flat
        layout = ak.contents.ListOffsetArray(
            ak.index.Index64(self.offsets), ak.contents.NumpyArray(flat)
        )
        return ak.Array(layout)


def common_rows(collections: Sequence[Collection]) -> int:
    """The number of rows of all collections; 0 where none has a column.

    Raises:
        DataError: they differ.
    """
    sizes = {}
    for collection in collections:
        for name in collection.values:
            if collection.rows is not None:
                sizes[name] = collection.rows
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name}: {rows}" for name, rows in sizes.items())
        raise DataError(f"the columns have different numbers of rows: {shown}")
    return next(iter(sizes.values()), 0)


def places_of(counts: Offsets) -> tuple[Offsets, Offsets]:
    """Row and place in its row of each of the objects, (M,) each, from ``counts`` (N,)."""
    row = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    return row, place


def names_of(columns: Columns) -> list[str]:
    """The names of the columns."""
    return list(columns.fields) if isinstance(columns, ak.Array) else list(columns)


def take_apart(name: str, column: Column) -> tuple[Values, Offsets | None]:
    """Values and, of lists, offsets from 0, of a column in any form.

    Raises:
        DataError: it holds something else than numbers or lists of numbers.
    """
    if isinstance(column, tuple):
        return _take_buffers(name, *column)
    try:
        array = ak.Array(column)
        if array.ndim == 1:
            return _check_numbers(name, ak.to_numpy(array, allow_missing=False)), None
        if array.ndim == 2:
            # equally long lists, as those of numpy, become lists of any length
            counts = ak.to_numpy(ak.num(array), allow_missing=False)
            values = ak.to_numpy(ak.flatten(array), allow_missing=False)
            offsets = np.concatenate([[0], np.cumsum(counts)])
            return _check_numbers(name, values), offsets
    # awkward's errors are those of Python, each of its own kind
    except (TypeError, ValueError) as error:
        raise DataError(f"column {name!r}: expected numbers or lists of them: {error}") from error
    raise DataError(
        f"column {name!r}: expected numbers or lists of numbers, its type is {array.type}"
    )


def _take_buffers(name: str, values: Any, offsets: Any) -> tuple[Values, Offsets]:
    """The same of values and offsets, which may begin anywhere."""
    numbers = _check_numbers(name, np.asarray(values))
    offsets = np.asarray(offsets)
    if offsets.ndim != 1 or len(offsets) == 0 or offsets.dtype.kind not in "iu":
        raise DataError(f"column {name!r}: expected rows + 1 whole numbers as offsets")
    offsets = offsets.astype(np.int64)
    if offsets[0] < 0 or (np.diff(offsets) < 0).any():
        raise DataError(f"column {name!r}: its offsets decrease, or are negative")
    if offsets[-1] > len(numbers):
        raise DataError(
            f"column {name!r}: its offsets end at {offsets[-1]}, beyond its {len(numbers)} values"
        )
    return numbers[offsets[0] : offsets[-1]], offsets - offsets[0]


def _check_numbers(name: str, values: Values) -> Values:
    if values.dtype.kind not in "biuf" or values.ndim != 1:
        raise DataError(
            f"column {name!r}: expected numbers, found {values.dtype} of shape {values.shape}"
        )
    return values


def _check_same_lists(where: str, offsets: Offsets, expected: Offsets) -> None:
    """Check that two columns have as many values in each row.

    Raises:
        DataError: they have not.
    """
    differs = np.diff(offsets) != np.diff(expected)
    if differs.any():
        row = int(np.argmax(differs))
        found = counted(int(np.diff(offsets)[row]), "value")
        raise DataError(f"{where}: has {found} in row {row}, others have {np.diff(expected)[row]}")
