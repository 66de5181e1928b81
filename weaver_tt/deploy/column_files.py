"""Files of columns that an exported network is applied to, and files of its outputs.

Each library is imported with the first file that needs it: CSV and JSON need none.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import awkward as ak

from weaver_tt.deploy.flat_columns import Columns
from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.formats.csv_files import read_csv, writing_csv
from weaver_tt.system.file_shapes import ANYTHING, ListOf, NamesTo
from weaver_tt.system.json_files import read_json

# suffixes; readers of other files refuse what they do not know
TEXT_FILES = (".csv", ".json")
WRITTEN = (".csv", ".parquet", ".root")
INSTALL = "pip install 'weaver-tt-deploy[files]'"


class ColumnFile(Protocol):
    """An open file of N rows."""

    def __contains__(self, name: object) -> bool:
        """Whether it has a column."""

    def rows(self) -> int:
        """N."""

    def resolve(self, names: Sequence[str]) -> list[str]:
        """The names of these columns in the file.

        Raises:
            DataError: there is no such column; the message gives the nearest.
        """

    def read(self, names: Sequence[str], first: int, last: int) -> Columns:
        """Rows [first, last) of some columns."""


class Output(Protocol):
    """A file that rows are written to."""

    def write(self, columns: Mapping[str, Any]) -> None:
        """Append rows."""


class TextFile:
    """The columns of a file of text, all of which are in memory."""

    def __init__(self, path: str, columns: Mapping[str, Any]) -> None:
        self.path = path
        self.columns = columns

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def rows(self) -> int:
        """N."""
        return len(next(iter(self.columns.values()), ()))

    def resolve(self, names: Sequence[str]) -> list[str]:
        """The same names.

        Raises:
            DataError: there is no such column.
        """
        for name in names:
            if name not in self.columns:
                raise DataError(f"{self.path}: no column {name!r}; {nearest(name, self.columns)}")
        return list(names)

    def read(self, names: Sequence[str], first: int, last: int) -> Columns:
        """Rows [first, last) of some columns."""
        return {name: self.columns[name][first:last] for name in names}


def _read_json_columns(path: str) -> dict[str, Any]:
    """Columns by name: lists of numbers, or of lists of them.

    Raises:
        DataError: it is something else, or the columns have different numbers of rows.
    """
    content = read_json(path, NamesTo(ListOf(ANYTHING)))
    sizes = {name: len(values) for name, values in content.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name}: {rows}" for name, rows in sizes.items())
        raise DataError(f"{path}: the columns have different numbers of rows: {shown}")
    return {name: ak.Array(values) for name, values in content.items()}


@contextmanager
def opening_columns(path: str, tree: str | None, lists: Collection[str]) -> Iterator[ColumnFile]:
    """Open a file of columns: ``.csv``, ``.json``, ``.parquet``, ``.root``, ``.h5``, or a URL.

    ``tree`` is the tree of a ROOT file with several; ``lists`` are columns of CSV that have lists.

    Raises:
        DataError: it cannot be read.
        ConfigError: a library that reads it is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        yield TextFile(path, read_csv(path, lists))
    elif suffix == ".json":
        yield TextFile(path, _read_json_columns(path))
    else:
        with _import_formats("open_reader", path).open_reader(path, tree) as reader:
            yield reader


def check_output(path: str) -> None:
    """Check what can be said of an output before there is one.

    Raises:
        ConfigError: files with its suffix are not written, or what writes them is not installed.
    """
    suffix = Path(path).suffix
    if suffix not in WRITTEN:
        raise ConfigError(f"-o {path}: cannot write {suffix!r} files; {nearest(suffix, WRITTEN)}")
    if suffix != ".csv":
        _import_formats("writers", path)


def opening_output(path: str) -> AbstractContextManager[Output]:
    """Open a file for outputs, which is there once all rows are written; of ROOT, its ``tree``.

    Raises:
        ConfigError: as :func:`check_output`.
        OutputError: it cannot be written.
    """
    check_output(path)
    if Path(path).suffix == ".csv":
        return writing_csv(path)
    writer: AbstractContextManager[Output] = _import_formats("writers", path).open_writer(path)
    return writer


def _import_formats(module: str, path: str) -> Any:
    """A module of ``weaver_tt.formats``.

    Raises:
        ConfigError: a library that it imports is not installed.
    """
    try:
        return importlib.import_module(f"weaver_tt.formats.{module}")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{path}: {error.name} is not installed, and only {' and '.join(TEXT_FILES)} files "
            f"need no library; {INSTALL}"
        ) from error
