"""Tables as CSV: a header of names, and a line for each row; ``;`` parts the values of a list."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import DataError
from weaver_tt.system.atomic_files import writing

SEPARATOR = ";"  # of the values of a list
MOST_CHARACTERS = 2**30  # of a cell


def read_csv(path: str | Path, lists: Collection[str]) -> dict[str, Any]:
    """The columns of a file by name, N rows each.

    Columns in ``lists`` have lists of numbers, in which an empty cell is a list without values.
    Others have one number a row, whole ones where all are; or else lists, where ``;`` stands in a
    cell and all cells are such; or else text.

    Raises:
        DataError: the file cannot be read, or a line or a cell is of another form.
    """
    try:
        # a byte order mark is what spreadsheets begin with
        with open(path, encoding="utf-8-sig", newline="") as file:
            names, cells = _read_cells(file, str(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}") from error
    columns: dict[str, Any] = {}
    for name, texts in zip(names, cells, strict=True):
        if name in lists:
            columns[name] = _parse_lists(texts, f"{path}: column {name!r}")
        else:
            columns[name] = _parse_any(texts)
    return columns


def _parse_any(texts: list[str]) -> Any:
    """Numbers, lists of numbers or texts, whatever all cells are."""
    numbers = _parse(texts)
    if numbers is not None:
        return numbers
    if any(SEPARATOR in text for text in texts):
        # texts may have it as well
        with contextlib.suppress(DataError):
            return _parse_lists(texts, "")
    return texts


def _read_cells(file: Any, path: str) -> tuple[list[str], list[list[str]]]:
    """The names, and the cells of each column.

    Raises:
        DataError: there are no names, one comes twice, or a line has another number of cells.
    """
    csv.field_size_limit(MOST_CHARACTERS)
    reader = csv.reader(file)
    names = next(reader, [])
    if not names:
        raise DataError(f"{path}: is empty; expected a line with the names of the columns")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{path}: line 1 names the column {twice[0]!r} twice")
    rows = []
    for row in reader:
        if len(row) != len(names):
            # what a file of one column has for an empty list
            if row == [] and len(names) == 1:
                row = [""]
            else:
                raise DataError(
                    f"{path}: line {reader.line_num} has {len(row)} cells, the first one names "
                    f"{len(names)} columns"
                )
        rows.append(row)
    return names, [[row[number] for row in rows] for number in range(len(names))]


def _parse(texts: Sequence[str]) -> npt.NDArray[Any] | None:
    """Numbers, whole ones where all are; None where one is none."""
    for kind in (np.int64, np.float64):
        try:
            return np.array(texts, dtype=str).astype(kind)
        except (ValueError, OverflowError):
            continue
    return None


def _parse_lists(texts: Sequence[str], where: str) -> ak.Array:
    """Lists of numbers.

    Raises:
        DataError: a cell holds something else; names its line.
    """
    parts = [text.split(SEPARATOR) if text.strip() else [] for text in texts]
    numbers = _parse([text for row in parts for text in row])
    if numbers is None:
        line = 2 + next(i for i, row in enumerate(parts) if _parse(row) is None)
        raise DataError(
            f"{where}: {texts[line - 2]!r:.60} (row {line - 2}); expected numbers with "
            f"{SEPARATOR!r} between them"
        )
    return ak.unflatten(numbers, np.array([len(row) for row in parts], np.int64))


class CsvWriter:
    """Writes rows, the first time with a header before them."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._writer = csv.writer(text, lineterminator="\n")
        self._names: list[str] = []

    def write(self, columns: Mapping[str, Any]) -> None:
        """Append N rows: arrays of numbers or texts (N,), or lists of numbers."""
        if not self._names:
            self._names = list(columns)
            self._writer.writerow(self._names)
        cells = [_cells(columns[name]) for name in self._names]
        self._writer.writerows(zip(*cells, strict=True))


def _cells(column: Any) -> list[str]:
    """The shortest texts of the values, which read back are the same numbers."""
    array = ak.Array(column)
    if array.ndim == 1:
        return [str(value) for value in np.asarray(column)]
    values = [str(value) for value in ak.to_numpy(ak.flatten(array))]
    offsets = np.cumsum([0, *ak.to_numpy(ak.num(array))])
    return [SEPARATOR.join(values[start:end]) for start, end in itertools.pairwise(offsets)]


@contextmanager
def writing_csv(path: str | Path) -> Iterator[CsvWriter]:
    """Write a file that is there once all of it is written.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(path, make_folders=True) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        yield CsvWriter(text)
        # flushes, and leaves the file to who has opened it
        text.detach()
