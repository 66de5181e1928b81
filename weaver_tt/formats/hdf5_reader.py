"""The reader of HDF5 files: plain columns and compound tables, read by slices."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import awkward as ak
import fsspec
import h5py
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import DataError, MissingTreeError, nearest
from weaver_tt.formats.file_groups import is_remote
from weaver_tt.formats.reader import MAX_BYTES, Reader, blame_file, column_spellings

# boolean field of a padded table that marks its real entries
VALID = "valid"

# rows between the boundaries of data sets stored without chunks, where any boundary is as good
UNCHUNKED = 8192
MAX_CLUSTERS = 1_000_000  # boundaries of one file
BLOCK_BYTES = 2**23  # of a table that are read at once; a call of h5py takes 0.1 ms
WHOLE_ENTRY = 10  # size of an entry / size of its fields that are needed, up to which it is read


class Hdf5Reader(Reader):
    """An HDF5 file. Columns are its plain data sets and the fields of its compound tables.

    A plain data set (N,) or (N, P) is a column of its name; field FIELD of a compound table TABLE
    is the column ``TABLE_FIELD``. ``jets`` (N,) thus gives ``jets_pt``, ``tracks`` (N, P) gives
    ``tracks_d0``; where a table (N, P) has a boolean field ``valid``, its columns are lists of the
    valid entries.

    Data sets are looked for in the group ``treename``, or at the top where there is no such group;
    where the top has none, in the only group. The longest ones set the number of rows; shorter ones
    (names, counters) are not columns.
    """

    def __init__(self, path: str, treename: str | None = None) -> None:
        super().__init__(path, path)
        self._rows = 0
        datasets = {}
        with blame_file(path, "the file"):
            self._source = fsspec.open(path, "rb").open() if is_remote(path) else None
            self._file = h5py.File(self._source or path, "r")
            group = self._choose_group(treename)
            for name, item in group.items():
                # a data set without dimensions is a single number
                if isinstance(item, h5py.Dataset) and item.ndim:
                    datasets[name] = item
                    self._rows = max(self._rows, int(item.shape[0]))
        self._columns: dict[str, tuple[h5py.Dataset, str | None]] = {}  # column -> where it is
        for name, dataset in datasets.items():
            if dataset.shape[0] == self._rows:
                self._columns.update(_dataset_columns(name, dataset))
        self._spellings = column_spellings(self._columns)

    def _choose_group(self, treename: str | None) -> h5py.Group:
        """The group that holds the data sets."""
        items = dict(self._file.items())
        groups = {name: item for name, item in items.items() if isinstance(item, h5py.Group)}
        if treename is not None:
            # may be a path into nested groups
            named = self._file.get(treename)
            if isinstance(named, h5py.Group):
                self.place = f"{self.path}, group {treename!r}"
                return named
        if any(isinstance(item, h5py.Dataset) for item in items.values()):
            return self._file
        if not groups:
            raise MissingTreeError(f"{self.path}: the file holds no data sets")
        if treename is not None:
            raise MissingTreeError(
                f"{self.path}: no group {treename!r}; {nearest(treename, groups)}"
            )
        if len(groups) != 1:
            raise DataError(
                f"{self.path}: treename is needed, the file holds {len(groups)} groups; "
                f"{nearest('', groups)}"
            )
        ((name, group),) = groups.items()
        self.place = f"{self.path}, group {name!r}"
        return group

    def columns(self) -> list[str]:
        return list(self._columns)

    def rows(self) -> int:
        return self._rows

    def known_columns(self) -> Mapping[str, str]:
        return self._spellings

    def clusters(self, columns: Sequence[str] | None = None) -> list[int]:
        """Boundaries of the longest chunks that the data sets of ``columns`` are stored in."""
        names = list(self._columns) if columns is None else self.resolve(columns)
        chunks = [self._columns[name][0].chunks for name in names]
        if self._rows == 0:
            return [0]
        step = max((chunk[0] for chunk in chunks if chunk), default=UNCHUNKED)
        # a file may say that it has any number of rows: without values they take no room in it
        step *= -(-self._rows // (step * MAX_CLUSTERS))
        return [*range(0, self._rows, step), self._rows]

    def _decodes_whole_clusters(self, names: Sequence[str]) -> bool:
        # of data sets without chunks, any rows can be read alone
        return any(self._columns[name][0].chunks is not None for name in names)

    def _close(self) -> None:
        self._file.close()
        if self._source is not None:
            self._source.close()

    def stored_type(self, name: str) -> str:
        """The type of the data set's elements, or of the field of a table."""
        dataset, field = self._columns[name]
        return str(dataset.dtype if field is None else dataset.dtype[field])

    def _read(self, names: Sequence[str], first: int, last: int) -> dict[str, ak.Array]:
        table = {}
        # fields are stored side by side, so each table is decoded once for all of its fields
        columns_of: dict[h5py.Dataset, dict[str, str]] = defaultdict(dict)  # -> field -> column
        for name in names:
            dataset, field = self._columns[name]
            if dataset not in columns_of:
                _check_filters(dataset)
                self._check_size(name, dataset)
            if field is None:
                table[name] = _read_plain(dataset, first, last)
            else:
                columns_of[dataset][field] = name
        for dataset, columns in columns_of.items():
            arrays = _read_fields(dataset, list(columns), first, last)
            for field, array in arrays.items():
                table[columns[field]] = array
        return table

    def _check_size(self, name: str, dataset: h5py.Dataset) -> None:
        """Refuse rows and chunks that no memory could hold: unwritten ones take no room in a file.

        Raises:
            DataError: they are too large.
        """
        for what, shape in (("a row", dataset.shape[1:]), ("a chunk", dataset.chunks or ())):
            size = math.prod(shape) * dataset.dtype.itemsize
            if size > MAX_BYTES:
                raise DataError(
                    f"{self.place}: column {name!r}: {what} takes {size} bytes; at most "
                    f"{MAX_BYTES} can be read"
                )


def _dataset_columns(
    name: str, dataset: h5py.Dataset
) -> Iterator[tuple[str, tuple[h5py.Dataset, str | None]]]:
    """Column -> (data set, field), for the columns of one data set."""
    if dataset.dtype.names is None:
        yield name, (dataset, None)
        return
    for field in dataset.dtype.names:
        yield f"{name}_{field}", (dataset, field)


def _check_filters(dataset: h5py.Dataset) -> None:
    """Raise ImportError where a compression of ``dataset`` is not installed."""
    settings = dataset.id.get_create_plist()
    for place in range(settings.get_nfilters()):
        number, _, _, name = settings.get_filter(place)
        if not h5py.h5z.filter_avail(number):
            raise ImportError(f"HDF5 filter {number} {name.decode()}".rstrip())


def _read_plain(dataset: h5py.Dataset, first: int, last: int) -> ak.Array:
    """Rows [first, last) of a plain data set; strings and variable-length lists included."""
    if h5py.check_string_dtype(dataset.dtype):
        texts = dataset.asstr()[first:last].tolist()
        # the empty text settles the type where there are no rows
        return ak.Array([*texts, ""])[: len(texts)]
    values = dataset[first:last]  # (R, ...), or (R,) of arrays for lists
    entry_type = h5py.check_vlen_dtype(dataset.dtype)
    if entry_type is None:
        return ak.from_numpy(_native_order(values), regulararray=True)
    counts = np.fromiter(map(len, values), np.int64, len(values))  # (R,)
    # the empty array settles the type where there are no rows
    entries = np.concatenate([np.empty(0, entry_type), *values])
    return ak.unflatten(_native_order(entries), counts)


def _read_fields(
    dataset: h5py.Dataset, names: list[str], first: int, last: int
) -> dict[str, ak.Array]:
    """Rows [first, last) of some fields of a compound table.

    Of a padded table with a field ``valid``, the valid entries of each row.
    """
    is_padded = dataset.ndim == 2 and VALID in dataset.dtype.names
    needed = list(names)
    if is_padded and VALID not in names:
        needed.append(VALID)
    read_rows = _row_reader(dataset, needed)
    counts = [np.zeros(0, np.int64)]
    parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in names}
    for begin, end in _blocks(dataset, first, last):
        entries = read_rows(begin, end)  # a structured array (B,) or (B, P)
        if is_padded:
            valid = entries[VALID].astype(bool)  # (B, P)
            counts.append(valid.sum(axis=1))
            # whole entries first, then their fields: what is padding is looked at once
            entries = _take_entries(entries, np.flatnonzero(valid))  # (M,)
        for name in names:
            parts[name].append(_native_order(entries[name]))
    columns = {}
    offsets = ak.index.Index64(np.cumsum(np.concatenate([[0], *counts]))) if is_padded else None
    for name, values in parts.items():
        column = values[0] if len(values) == 1 else np.concatenate(values)
        layout = _content(column)
        if offsets is not None:
            layout = ak.contents.ListOffsetArray(offsets, layout)
        columns[name] = ak.Array(layout)
    return columns


def _row_reader(dataset: h5py.Dataset, fields: list[str]) -> Callable[[int, int], npt.NDArray[Any]]:
    """What reads rows [first, last) of a compound table, of at least the ``fields``.

    Entries are taken as they are stored unless they are much larger than what is needed of them:
    HDF5 copies single fields one value at a time, which costs more than to read ten times as much.
    """
    stored = dataset.dtype
    needed = sum(stored[field].itemsize for field in fields)
    if stored.hasobject or stored.itemsize > WHOLE_ENTRY * needed:
        return lambda first, last: dataset.fields(fields)[first:last]
    return lambda first, last: dataset[first:last]


def _blocks(dataset: h5py.Dataset, first: int, last: int) -> list[tuple[int, int]]:
    """Rows [first, last) in blocks of about ``BLOCK_BYTES``, at least one.

    They are divided where chunks end, so that each chunk is decompressed once.
    """
    row_bytes = max(1, math.prod(dataset.shape[1:]) * dataset.dtype.itemsize)
    step = max(1, BLOCK_BYTES // row_bytes)
    if dataset.chunks is not None:
        step = -(-step // dataset.chunks[0]) * dataset.chunks[0]
    inner = range((first // step + 1) * step, last, step)
    return list(pairwise([first, *inner, last]))


def _take_entries(entries: npt.NDArray[Any], positions: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The entries of a structured array (R, P) at ``positions`` (M,) of R * P: (M,)."""
    if len(positions) == entries.size:
        return entries.reshape(-1)
    if entries.dtype.hasobject:
        return entries.reshape(-1).take(positions)
    # as one item each, which numpy moves many times as fast as a structure
    item = np.dtype((np.void, entries.dtype.itemsize))
    return entries.reshape(-1).view(item).take(positions).view(entries.dtype)


def _content(values: npt.NDArray[Any]) -> ak.contents.Content:
    """The layout of a column of numbers, of fixed-size arrays or of texts."""
    if values.ndim == 1 and values.dtype.kind in "biuf":
        # what from_numpy makes of them, after some more questions
        return ak.contents.NumpyArray(values)
    return ak.from_numpy(values, regulararray=True, highlevel=False)


def _native_order(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same numbers in this machine's byte order, side by side in memory."""
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
