"""HDF5 files: plain columns and compound tables, read by slices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import awkward as ak
import fsspec
import h5py
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import DataError, nearest
from weaver_tt.formats.file_groups import is_remote
from weaver_tt.formats.reader import Reader, blame_file, column_spellings

VALID = "valid"  # boolean field of a padded table that tells its real entries
UNCHUNKED = 8192  # rows between the borders of data sets that are stored in one piece, where any border is as good


class Hdf5Reader(Reader):
    """An HDF5 file. A plain data set (N,) or (N, P) is a column of its name; field FIELD of a compound table TABLE is the column ``TABLE_FIELD``.

    ``jets`` (N,) thus gives ``jets_pt``, ``tracks`` (N, P) gives ``tracks_d0``; where a table (N, P) has a boolean field ``valid``, its columns
    are lists of the valid entries. Data sets are looked for in the group ``treename``, or at the top where there is no such group; where the top
    has none, in the only group. The longest ones give the number of rows; shorter ones (names, counters) are not columns.
    """

    def __init__(self, path: str, treename: str | None = None) -> None:
        super().__init__(path, path)
        with blame_file(path, "the file"):
            self._source = fsspec.open(path, "rb").open() if is_remote(path) else None
            self._file = h5py.File(self._source or path, "r")
            group = self._choose(treename)
            found = {
                name: item
                for name, item in group.items()
                if isinstance(item, h5py.Dataset) and item.ndim
            }
        self._rows = max((dataset.shape[0] for dataset in found.values()), default=0)
        tables = {
            name: dataset for name, dataset in found.items() if dataset.shape[0] == self._rows
        }
        self._columns = dict(
            column for name, dataset in tables.items() for column in _dataset_columns(name, dataset)
        )
        self._spellings = column_spellings(self._columns)

    def _choose(self, treename: str | None) -> h5py.Group:
        """The group that holds the data sets."""
        groups = {name: item for name, item in self._file.items() if isinstance(item, h5py.Group)}
        if treename is not None and isinstance(chosen := self._file.get(treename), h5py.Group):
            self.place = f"{self.path}, group {treename!r}"
            return chosen
        if any(isinstance(item, h5py.Dataset) for item in self._file.values()):
            return self._file
        if not groups:
            raise DataError(f"{self.path}: the file holds no data sets")
        if treename is not None:
            raise DataError(f"{self.path}: no group {treename!r}; {nearest(treename, groups)}")
        if len(groups) != 1:
            raise DataError(
                f"{self.path}: treename is needed, the file holds {len(groups)} groups; {nearest('', groups)}"
            )
        ((name, group),) = groups.items()
        self.place = f"{self.path}, group {name!r}"
        return group

    def columns(self) -> list[str]:
        return list(self._columns)

    def rows(self) -> int:
        return int(self._rows)

    def known_columns(self) -> Mapping[str, str]:
        return self._spellings

    def clusters(self, columns: Sequence[str] | None = None) -> list[int]:
        """Borders of the longest chunks that the data sets of ``columns`` are stored in."""
        datasets = [
            self._columns[name][0]
            for name in (self._columns if columns is None else self.resolve(columns))
        ]
        step = max((dataset.chunks[0] for dataset in datasets if dataset.chunks), default=UNCHUNKED)
        return [*range(0, self._rows, step), self._rows] if self._rows else [0]

    def _close(self) -> None:
        self._file.close()
        if self._source is not None:
            self._source.close()

    def _read(self, names: Sequence[str], first: int, last: int) -> dict[str, ak.Array]:
        fields: dict[h5py.Dataset, dict[str, str]] = defaultdict(
            dict
        )  # data set -> field -> column
        table = {}
        for name in names:
            dataset, field = self._columns[name]
            if field is None:
                table[name] = _read_plain(dataset, first, last)
            else:
                fields[dataset][field] = name
        for dataset, wanted in fields.items():  # each table is decoded once for all of its fields
            arrays = _read_fields(dataset, list(wanted), first, last)
            table |= {wanted[field]: array for field, array in arrays.items()}
        return table


def _dataset_columns(
    name: str, dataset: h5py.Dataset
) -> Iterator[tuple[str, tuple[h5py.Dataset, str | None]]]:
    """Column -> where it is, for one data set."""
    if dataset.dtype.names is None:
        yield name, (dataset, None)
    for field in dataset.dtype.names or ():
        yield f"{name}_{field}", (dataset, field)


def _read_plain(dataset: h5py.Dataset, first: int, last: int) -> ak.Array:
    """Rows of a plain data set; strings and variable-length lists included."""
    if h5py.check_string_dtype(dataset.dtype):
        return ak.Array(dataset.asstr()[first:last].tolist())
    values = dataset[first:last]
    base = h5py.check_vlen_dtype(dataset.dtype)
    if base is None:
        return ak.from_numpy(_native_order(values), regulararray=True)
    counts = np.fromiter(map(len, values), np.int64, len(values))
    return ak.unflatten(_native_order(np.concatenate([np.empty(0, base), *values])), counts)


def _read_fields(
    dataset: h5py.Dataset, names: list[str], first: int, last: int
) -> dict[str, ak.Array]:
    """Rows of some fields of a compound table; of a padded one with ``valid``, the valid entries of each row."""
    padded = dataset.ndim == 2 and VALID in dataset.dtype.names
    needed = [*names, VALID] if padded and VALID not in names else names
    values = dataset.fields(needed)[first:last]  # a structured array, only of these fields
    if not padded:
        return {
            name: ak.from_numpy(_native_order(values[name]), regulararray=True) for name in names
        }
    valid = values[VALID].astype(bool)
    counts, entries = valid.sum(axis=1), np.flatnonzero(valid)
    return {
        name: ak.unflatten(_native_order(values[name].reshape(-1).take(entries)), counts)
        for name in names
    }


def _native_order(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same numbers in this machine's byte order, side by side in memory."""
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
