"""Write columns to a ROOT tree or a parquet table, batch by batch and in bounded memory.

The file appears under its name only when it is complete. Another format is one more ``Sink``, and
an entry for its suffix in ``SINKS``.
"""

from __future__ import annotations

import contextlib
import copy
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

import awkward as ak
import pyarrow.parquet as pq
import uproot

from weaver_tt.errors import DataError, OutputError, nearest
from weaver_tt.formats.file_groups import is_remote
from weaver_tt.formats.reader import blame_file
from weaver_tt.log import log
from weaver_tt.system.locks import open_locked

Columns = Mapping[str, Any]  # name -> array of N rows: numpy (N,), (N, A) or awkward, jagged too

# what becomes one ROOT basket or one parquet row group: large enough to read fast, small enough to
# hold in memory
ROWS_PER_BASKET = 50_000
BYTES_PER_BASKET = 64 * 2**20

# in the metadata of a parquet file: what is the title of a ROOT tree
TITLE = "weaver_tt_title"

# types of a row that a TTree can hold
_IN_TREE = re.compile(r"(var \* |(\d+ \* )+)?(bool|u?int(8|16|32|64)|float(32|64))|string")


class Sink(Protocol):
    """An open file of one format; names and types of its columns never change."""

    def check(self, kind: str) -> None:
        """Accept the awkward type ``kind`` of a column's rows.

        Raises:
            ValueError: the format cannot hold such a column.
        """

    def append(self, columns: dict[str, ak.Array]) -> None:
        """Write rows (perhaps none) after those already there."""

    def annotate(self, name: str, text: str) -> None:
        """Keep a ``text`` beside the rows, once all of them are written."""

    def close(self) -> None:
        """Finish the file."""


class RootSink:
    """A TTree: scalars, jagged columns with a counter ``nNAME``, fixed-size arrays, strings."""

    def __init__(self, file: IO[bytes], tree: str, title: str) -> None:
        self.directory = uproot.recreate(file)
        self.name = tree
        self.title = title
        self.tree: Any = None

    def check(self, kind: str) -> None:
        """ROOT trees hold no lists of lists and no records."""
        if not _IN_TREE.fullmatch(kind):
            raise ValueError(
                "a ROOT tree holds numbers, lists of numbers, fixed-size arrays and strings; "
                "a .parquet file holds more"
            )

    def append(self, columns: dict[str, ak.Array]) -> None:
        """Write one basket per column."""
        if self.tree is None:
            kinds = {name: _row_type(column) for name, column in columns.items()}
            self.tree = self.directory.mktree(
                self.name,
                kinds,
                title=self.title,
                counter_name=lambda column: _counter_name(column, columns),
            )
        # a tree without rows has its branches, but no empty baskets
        if len(next(iter(columns.values()))) > 0:
            self.tree.extend(columns)

    def annotate(self, name: str, text: str) -> None:
        """Write a TObjString beside the tree."""
        self.directory[name] = text

    def close(self) -> None:
        """Write the directory."""
        self.directory.close()


class ParquetSink:
    """A parquet table, with lists of any depth and strings."""

    def __init__(self, file: IO[bytes], tree: str, title: str) -> None:
        self.file = file
        self.title = title
        self.writer: pq.ParquetWriter | None = None

    def check(self, kind: str) -> None:
        """Parquet holds all that awkward holds, except unions."""
        if "union[" in kind:
            raise ValueError("a column holds one type")

    def append(self, columns: dict[str, ak.Array]) -> None:
        """Write one row group."""
        records = ak.zip(columns, depth_limit=1)
        # lists with 32-bit offsets, which every reader of parquet understands
        table = ak.to_arrow_table(records, extensionarray=False, list_to32=True)
        if self.writer is None:
            self.writer = pq.ParquetWriter(self.file, table.schema, write_page_checksum=True)
        self.writer.write_table(table)

    def annotate(self, name: str, text: str) -> None:
        """Write key and value into the metadata of the file."""
        # rows, perhaps none, have been written
        assert self.writer is not None
        self.writer.add_key_value_metadata({name: text})

    def close(self) -> None:
        """Write the footer."""
        if self.writer is not None:
            if self.title:
                self.annotate(TITLE, self.title)
            self.writer.close()


SINKS: dict[str, type[RootSink] | type[ParquetSink]] = {".root": RootSink, ".parquet": ParquetSink}


def open_writer(path: str | Path, tree: str = "tree", title: str = "") -> Writer:
    """Open a writer for ``path``, its format chosen by the suffix (.root or .parquet).

    ``tree`` is the name of the ROOT tree, ``title`` a line about its rows.

    Raises:
        OutputError: the suffix is another one, the folder cannot be made or written to, or another
            process is writing the file.
    """
    path = Path(path)
    check_suffix(path)
    return Writer(path, tree, title)


def without_counters(columns: Sequence[str]) -> list[str]:
    """Columns to copy: without the ``nNAME`` of jagged columns ``NAME`` of a ROOT tree.

    The writer makes its own.
    """
    return [name for name in columns if not (name.startswith("n") and name[1:] in columns)]


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """What a file that a :class:`Writer` has written says of its rows."""

    rows: int
    title: str
    notes: Mapping[str, str]  # those that were asked for, as far as they are there


def read_written(path: str | Path, tree: str, notes: Sequence[str] = ()) -> WrittenFile | None:
    """What the file at ``path`` says, and the ``notes`` in it.

    None where there is no such file, or one that cannot be read or has no such tree.
    """
    path = Path(path)
    if not path.is_file():
        return None
    try:
        if path.suffix == ".parquet":
            return _read_parquet(path, notes)
        return _read_root(path, tree, notes)
    # whatever a reader runs into, in a file that somebody else may have made
    except Exception as error:
        log.warning("%s: cannot be read (%s: %s)", path, type(error).__name__, error)
        return None


def _read_parquet(path: Path, notes: Sequence[str]) -> WrittenFile:
    metadata = pq.read_metadata(path)
    found = _parquet_notes(metadata, (*notes, TITLE))
    title = found.pop(TITLE, "")
    return WrittenFile(metadata.num_rows, title, found)


def _read_root(path: Path, tree: str, notes: Sequence[str]) -> WrittenFile:
    with uproot.open(path) as file:
        found = _root_notes(file, notes)
        return WrittenFile(file[tree].num_entries, file[tree].title, found)


def read_notes(path: str | Path, notes: Sequence[str]) -> dict[str, str]:
    """Those of the ``notes`` that the file at ``path`` has, whoever has written it.

    Files of other formats than those written here have none, and of remote ones only ROOT is read.

    Raises:
        BadFileError: the file cannot be read.
    """
    path = str(path)
    suffix = Path(path).suffix
    with blame_file(path, "its metadata"):
        if suffix == ".root":
            with uproot.open(path) as file:
                return _root_notes(file, notes)
        if suffix == ".parquet" and not is_remote(path):
            return _parquet_notes(pq.read_metadata(path), notes)
    return {}


def _parquet_notes(metadata: pq.FileMetaData, notes: Sequence[str]) -> dict[str, str]:
    texts = {}
    for key, value in (metadata.metadata or {}).items():
        texts[key.decode(errors="replace")] = value.decode(errors="replace")
    return {name: texts[name] for name in notes if name in texts}


def _root_notes(file: Any, notes: Sequence[str]) -> dict[str, str]:
    return {name: str(file[name]) for name in notes if name in file}


def check_suffix(path: str | Path) -> None:
    """Raise OutputError unless there is a writer for files that end as ``path`` does."""
    suffix = Path(path).suffix
    if suffix not in SINKS:
        raise OutputError(f"{path}: no writer for {suffix!r} files; {nearest(suffix, SINKS)}")


class Writer:
    """Append rows to ``path``; a context manager.

    Rows go to ``path + '.part'``, which is renamed when all went well and removed otherwise. It is
    locked: of two processes that write the same file the second is refused. Written arrays are
    copied, so that the caller may overwrite its buffers.

    Raises:
        OutputError: the file cannot be written (disk full), or another process is writing it.
        DataError: names or types of the columns change.
    """

    def __init__(self, path: Path, tree: str = "tree", title: str = "") -> None:
        self.path = path
        self.rows = 0  # written so far
        self._part = path.with_name(path.name + ".part")
        # column -> awkward type of one row; it contains "unknown" while only empty lists were seen
        self._kinds: dict[str, str] = {}
        self._notes: dict[str, str] = {}
        self._waiting: list[dict[str, ak.Array]] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        with self._output_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = open_locked(self._part, str(path))
        with self._output_errors():
            # what a killed process has left is emptied
            self._file = self._part.open("w+b")
            self._opened = os.fstat(self._file.fileno())
        try:
            with self._output_errors():
                self._sink: Sink = SINKS[path.suffix](self._file, tree, title)
        except OutputError:
            self._discard()
            raise

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._abandon()
            return
        try:
            self._finish()
        except BaseException:
            self._abandon()
            raise

    def annotate(self, name: str, text: str) -> None:
        """Keep a ``text`` about the rows: a TObjString beside the tree, or parquet metadata."""
        self._notes[name] = text

    def write(self, columns: Columns) -> None:
        """Append N rows: arrays of equal length, the same names and types each time.

        N may be 0, which only fixes names and types.
        """
        arrays = {name: self._plain(name, column) for name, column in columns.items()}
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(
                f"{self.path}: columns of one batch differ in their number of rows: {lengths}"
            )
        if self._kinds and arrays.keys() != self._kinds.keys():
            changed = sorted(arrays.keys() ^ self._kinds.keys())
            raise DataError(f"{self.path}: columns {', '.join(changed)} are not in all batches")
        if not arrays:
            raise DataError(f"{self.path}: a batch without any column")

        for name, array in arrays.items():
            self._settle(name, _row_type(array))
        rows = next(iter(lengths.values()))
        self.rows += rows
        self._waiting.append(arrays)
        self._waiting_rows += rows
        self._waiting_bytes += sum(array.nbytes for array in arrays.values())
        # small batches are put together, since each flush makes baskets of their own
        if self._waiting_rows >= ROWS_PER_BASKET or self._waiting_bytes >= BYTES_PER_BASKET:
            self._flush()

    def _plain(self, name: str, column: Any) -> ak.Array:
        """A copy of a column, without option types and without notes such as ``__doc__``.

        Raises:
            DataError: values are missing.
        """
        array = ak.Array(column)
        kind = _row_type(array)
        # parameters show in the type as [...]; those of strings make them strings
        if "string" not in kind and "[" in kind:
            array = ak.without_parameters(array)
            kind = _row_type(array)
        if "?" in kind or "option[" in kind:
            complete = re.sub(r"option\[(.*)\]", r"\1", kind).replace("?", "")
            try:
                array = ak.enforce_type(array, complete)
            except ValueError as error:
                raise DataError(
                    f"{self.path}: column {name!r} ({kind}) has missing values"
                ) from error
        return copy.deepcopy(ak.to_packed(array))

    def _settle(self, name: str, kind: str) -> None:
        """Hold a column to the type it had first; lists that were all empty take any type later."""
        known = self._kinds.get(name, kind)
        if name in self._kinds and (kind == known or "unknown" in kind):
            return
        if kind != known and "unknown" not in known:
            raise DataError(f"{self.path}: column {name!r} was {known} and is now {kind}")
        try:
            self._sink.check(_settled_type(kind))
        except ValueError as error:
            raise OutputError(f"{self.path}: column {name!r} is {kind}; {error}") from error
        self._kinds[name] = kind

    def _flush(self) -> None:
        """Hand the waiting rows to the file."""
        self._kinds = {name: _settled_type(kind) for name, kind in self._kinds.items()}
        columns = {}
        for name, kind in self._kinds.items():
            column = ak.concatenate([batch[name] for batch in self._waiting])
            # only lists that were all empty; enforce_type parses the type, which is slow
            if _row_type(column) != kind:
                column = ak.enforce_type(column, kind)
            columns[name] = column
        self._waiting = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        with self._output_errors():
            self._sink.append(columns)

    def _finish(self) -> None:
        """Write what is waiting and give the file its name."""
        if not self._kinds:
            raise OutputError(f"{self.path}: nothing was written, not even the columns' names")
        if self._waiting:
            self._flush()
        with self._output_errors():
            for name, text in self._notes.items():
                self._sink.annotate(name, text)
            self._sink.close()
            self._file.close()
            # network file systems report a full disk only now
            with self._part.open("rb+") as file:
                os.fsync(file.fileno())
            self._check_ours()
            os.replace(self._part, self.path)
        self._release()

    def _check_ours(self) -> None:
        """Raise OutputError where another process writes the file: there are no locks here."""
        if not os.path.samestat(self._part.stat(), self._opened):
            raise OutputError(f"{self.path}: another process has begun to write it")

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def _abandon(self) -> None:
        """Leave nothing behind; an error is on its way already, so others are not raised."""
        # a ValueError says that the file is closed already
        with contextlib.suppress(OSError, ValueError):
            self._sink.close()
        self._discard()

    def _discard(self) -> None:
        """Remove the incomplete file."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError, OutputError):
            self._check_ours()
            self._part.unlink()
        self._release()

    @contextlib.contextmanager
    def _output_errors(self) -> Iterator[None]:
        """Turn errors of the file system into an OutputError that names the file."""
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written: {error.strerror or error}"
            ) from error


def _row_type(array: ak.Array) -> str:
    """Awkward type of one row."""
    return str(ak.type(array).content)


def _settled_type(kind: str) -> str:
    """The type of a column; lists that were all empty become lists of float32."""
    return kind.replace("unknown", "float32")


def _counter_name(column: str, columns: Columns) -> str:
    """Name of the branch that counts the entries of a jagged column."""
    name = f"n{column}"
    while name in columns:
        name += "_"
    return name
