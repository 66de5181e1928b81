"""An exported network on named columns, without torch: in an analysis, a coffea processor, a test.

N rows, P objects of a row, M objects in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.deploy.raw_columns import RAW_COLUMNS, RawColumn, read_raw_columns
from weaver_tt.deploy.session import open_session
from weaver_tt.deploy.sidecar import (
    MOST_OBJECTS,
    Channel,
    Floats,
    Group,
    make_sidecar,
    read_sidecar,
)
from weaver_tt.errors import ConfigError, DataError, OutputError, nearest
from weaver_tt.system.file_shapes import ANYTHING, NamesTo
from weaver_tt.system.json_files import parse_json

Offsets = npt.NDArray[np.int64]
Values = npt.NDArray[Any]
# an array of awkward or numpy, a list, or values and offsets
Column: TypeAlias = Any

MASK = "_mask"  # ending of a variable that is 1 for each object
SPREAD = "_std"  # ending of an output that is the spread of an ensemble


class Tagger:
    """The network in a folder that ``--export-onnx`` wrote, called with raw columns.

    Models of weaver-core, those that CMS publishes and the one file of ``--target raw`` are read as
    well. It may be pickled, for workers of dask, and called by several threads at once.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        model: str = "model.onnx",
        preprocess: str = "preprocess.json",
        threads: int = 1,
        batch_size: int = 256,
    ) -> None:
        """``threads`` of ONNX Runtime in a call; ``batch_size``: most rows given to it at once.

        Raises:
            ConfigError: a file is missing, holds no network, or the two do not fit together.
            DataError: ``preprocess.json`` is malformed; names the place.
        """
        if batch_size < 1:
            raise ConfigError(f"Tagger: batch_size {batch_size}; expected at least 1")
        self.folder = Path(folder)
        self._settings = {"model": model, "preprocess": preprocess}
        self._numbers = {"threads": threads, "batch_size": batch_size}
        self._path = self.folder / model
        self._session = open_session(self._path, threads)
        self._batch_size = batch_size
        metadata = self._session.get_modelmeta().custom_metadata_map
        if RAW_COLUMNS in metadata:
            # how columns are prepared is in the graph; the side-car names the outputs
            where = f"{self._path}: metadata 'preprocess'"
            content = parse_json(metadata.get("preprocess", ""), NamesTo(ANYTHING), where)
            self._sidecar = make_sidecar(content, where)
            self._inputs = _raw_inputs(read_raw_columns(metadata, str(self._path)))
        else:
            self._sidecar = read_sidecar(self.folder / preprocess)
            self._inputs = [self._read_input(item) for item in self._session.get_inputs()]
        layout = metadata.get("layout", "rows")
        found = self._session.get_outputs()
        self._outputs = [
            self._read_output(item, number, layout == "objects")
            for number, item in enumerate(found)
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        # a session cannot be pickled: the copy opens the files again
        return _reopen, (self.folder, {**self._settings, **self._numbers})

    @property
    def column_names(self) -> list[str]:
        """The columns that it needs."""
        names = [channel.name for item in self._inputs for channel in item.group.channels]
        return list(dict.fromkeys(names))

    @property
    def output_names(self) -> list[str]:
        """The outputs, in the order of the network."""
        return [name for output in self._outputs for name in output.columns]

    def __call__(self, columns: Mapping[str, Column] | ak.Array) -> dict[str, Any]:
        """The outputs by name: (N,) numbers for each row, or awkward lists, one for each object.

        ``columns`` is an awkward array of records, or maps names to columns: numbers of N rows or
        lists, as arrays of awkward or numpy or as ``(values, offsets)`` with N + 1 offsets. Columns
        that the network does not need are not looked at. Objects beyond the length of the input are
        not given to the network, their outputs are NaN.

        Raises:
            DataError: a column is missing, or does not fit to the others.
            OutputError: ONNX Runtime cannot run the network on these.
        """
        found, rows = self._find_all(columns)
        parts: list[list[Values]] = [[] for _ in self._outputs]
        for first in range(0, rows, self._batch_size):
            last = min(first + self._batch_size, rows)
            for kept, values in zip(parts, self._run(found, first, last), strict=True):
                kept.append(values)
        results: dict[str, Any] = {}
        for output, of_batches in zip(self._outputs, parts, strict=True):
            results |= output.name_results(of_batches, found)
        return results

    def inputs(self, columns: Mapping[str, Column] | ak.Array) -> dict[str, Values]:
        """The tensors that the network is given, (N, C, P) or (N, C), all rows in one batch.

        A graph of raw columns is given these, (M,) each, and their offsets (N + 1,).

        Raises:
            DataError: a column is missing, or does not fit to the others.
        """
        found, rows = self._find_all(columns)
        return _feeds(found, 0, rows)

    # --- what the files say

    def _read_input(self, item: Any) -> _Input:
        groups = self._sidecar.groups
        if item.name not in groups:
            raise ConfigError(
                f"{self._sidecar.source}: does not describe the network's input {item.name!r}; "
                f"{nearest(item.name, groups)}"
            )
        group = groups[item.name]
        where = f"{self._sidecar.source}: {item.name}"
        if item.type != "tensor(float)" or len(item.shape) not in (2, 3):
            raise ConfigError(
                f"{self._path}: input {item.name!r} is no float32 (N, C) or (N, C, P)"
            )
        channels = item.shape[1]
        if isinstance(channels, int) and channels != len(group.channels):
            raise ConfigError(
                f"{where}: there are {len(group.channels)} var_names, the network takes {channels}"
            )
        shortest, longest = group.shortest, group.longest
        size = item.shape[2] if len(item.shape) == 3 else 1
        if isinstance(size, int):
            if len(item.shape) == 3 and not shortest <= size <= longest:
                raise ConfigError(
                    f"{where}: the network takes {size} objects; the file says {shortest} to "
                    f"{longest}"
                )
            shortest = longest = size
        return _Input(item.name, group, len(item.shape), shortest, longest, item.shape[-1])

    def _read_output(self, item: Any, number: int, of_objects: bool) -> _Output:
        if of_objects:
            with_objects = [i for i, one in enumerate(self._inputs) if one.rank == 3]
            if not with_objects:
                raise ConfigError(f"{self._path}: no input has the objects of {item.name!r}")
            # the input whose axis of objects has the same name, or else the first one with objects
            named = [i for i in with_objects if self._inputs[i].axis == item.shape[1]]
            return _Output(item.name, (item.name,), (named or with_objects)[0])
        names = self._sidecar.output_names
        if number == 0:
            columns = names
        elif item.name.endswith(SPREAD):
            columns = tuple(name + SPREAD for name in names)
        else:
            columns = (item.name,)
        width = item.shape[-1] if len(item.shape) == 2 else 1
        if isinstance(width, int) and width != len(columns):
            raise ConfigError(
                f"{self._sidecar.source}: names {len(columns)} outputs, the network gives {width} "
                f"in {item.name!r}"
            )
        return _Output(item.name, columns, None)

    # --- columns

    def _find_all(self, columns: Mapping[str, Column] | ak.Array) -> tuple[list[_Found], int]:
        """The columns of all inputs, and the number of rows."""
        found = [self._find(item, columns) for item in self._inputs]
        rows = self._common_rows(found)
        self._find_masks(found)
        return found, rows

    def _find(self, item: _Input, columns: Mapping[str, Column] | ak.Array) -> _Found:
        """The columns of one input."""
        names = columns.fields if isinstance(columns, ak.Array) else list(columns)
        found = _Found(item)
        for channel in item.group.channels:
            if channel.name not in names:
                if item.rank == 3 and channel.name.endswith(MASK) and not item.types:
                    found.values.append(None)
                    continue
                what = "the graph" if item.types else f"input {item.name!r}"
                raise DataError(
                    f"{self._sidecar.source}: {what} needs the column {channel.name!r}; "
                    f"{nearest(channel.name, names)}"
                )
            found.add(channel.name, *_take_apart(channel.name, columns[channel.name]))
        return found

    def _common_rows(self, found: Sequence[_Found]) -> int:
        sizes = {name: rows for of_input in found for name, rows in of_input.rows.items()}
        if len(set(sizes.values())) > 1:
            shown = ", ".join(f"{name}: {rows}" for name, rows in sizes.items())
            raise DataError(f"the columns have different numbers of rows: {shown}")
        return next(iter(sizes.values()), 0)

    def _find_masks(self, found: Sequence[_Found]) -> None:
        """A mask that is not given is 1 for the objects of the input with the same prefix."""
        for of_input in found:
            masks = of_input.missing_masks
            if of_input.offsets is not None or not masks:
                continue
            prefix, _, _ = of_input.input.name.rpartition("_")
            for other in found:
                if prefix and other.input.name.startswith(f"{prefix}_"):
                    of_input.offsets = of_input.offsets if other.offsets is None else other.offsets
            if of_input.offsets is None:
                raise DataError(
                    f"{self._sidecar.source}: input {of_input.input.name!r} needs the column "
                    f"{masks[0]!r}, and no other input {prefix}_... has objects"
                )

    # --- the network

    def _run(self, found: Sequence[_Found], first: int, last: int) -> Iterator[Values]:
        """The outputs of rows [first, last): (N, K), or those of all objects, (M,)."""
        tensors = _feeds(found, first, last)
        try:
            results = self._session.run([output.name for output in self._outputs], tensors)
        # errors of ONNX Runtime have no common base
        except Exception as error:
            shapes = {name: tensor.shape for name, tensor in tensors.items()}
            raise OutputError(
                f"{self._path}: ONNX Runtime cannot run inputs of shape {shapes}: {error}"
            ) from error
        for output, values in zip(self._outputs, results, strict=True):
            if output.objects_of is None:
                yield values.reshape(last - first, -1)
            else:
                yield found[output.objects_of].cut(values, first, last)


def _raw_inputs(columns: Mapping[str, RawColumn]) -> list[_Input]:
    """The inputs of a graph of raw columns: those with the same offsets stand together."""
    groups: dict[str | None, list[str]] = {}
    for name, column in columns.items():
        groups.setdefault(column.offsets, []).append(name)
    inputs = []
    for offsets, names in groups.items():
        channels = tuple(Channel(name, 0, 1, 0, 0, 0, 0) for name in names)
        most = 1 if offsets is None else MOST_OBJECTS
        group = Group(offsets or "", channels, 1, most)
        types = tuple(columns[name].type for name in names)
        rank = 2 if offsets is None else 3
        inputs.append(_Input(group.name, group, rank, 1, most, group.name, types))
    return inputs


def _feeds(found: Sequence[_Found], first: int, last: int) -> dict[str, Values]:
    """What ONNX Runtime is given of rows [first, last)."""
    feeds: dict[str, Values] = {}
    for of_input in found:
        if of_input.input.types:
            feeds |= of_input.raw_columns(first, last)
        else:
            feeds[of_input.input.name] = of_input.tensor(first, last)
    return feeds


def _reopen(folder: Path, settings: dict[str, Any]) -> Tagger:
    return Tagger(folder, **settings)


@dataclass(frozen=True, slots=True)
class _Input:
    """An input of the graph: (N, C) of rank 2, or (N, C, P)."""

    name: str
    group: Group
    rank: int
    shortest: int
    longest: int
    axis: str | int  # what the graph calls its objects, or how many there are
    # of a graph of raw columns, where the name is that of their offsets ("" for numbers of rows)
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Output:
    """An output of the graph: ``columns`` of each row, or one of the objects of an input."""

    name: str
    columns: tuple[str, ...]
    objects_of: int | None

    def name_results(self, parts: Sequence[Values], found: Sequence[_Found]) -> dict[str, Any]:
        """The results of all batches by name."""
        if self.objects_of is None:
            values = np.concatenate(
                [np.zeros((0, len(self.columns)), np.float32), *parts]
            )  # (N, K)
            if values.shape[1] != len(self.columns):
                raise OutputError(
                    f"output {self.name!r} has {values.shape[1]} columns; expected "
                    f"{', '.join(self.columns)}"
                )
            return dict(zip(self.columns, np.ascontiguousarray(values.T), strict=True))
        flat = np.concatenate([np.zeros(0, np.float32), *parts])  # (M,)
        offsets = found[self.objects_of].offsets
        if offsets is None:
            return {self.name: flat}
        # those of a slice may begin anywhere
        layout = ak.contents.ListOffsetArray(
            ak.index.Index64(offsets - offsets[0]), ak.contents.NumpyArray(flat)
        )
        return {self.name: ak.Array(layout)}


class _Found:
    """The columns of one input."""

    def __init__(self, of_input: _Input) -> None:
        self.input = of_input
        # of each channel, beginning with the first row; None: 1 for each object
        self.values: list[Values | None] = []
        self.rows: dict[str, int] = {}
        # of the lists, from 0; None for numbers of rows
        self.offsets: Offsets | None = None

    @property
    def missing_masks(self) -> list[str]:
        """Channels that are 1 for each object, as their column is not given."""
        pairs = zip(self.input.group.channels, self.values, strict=True)
        return [channel.name for channel, values in pairs if values is None]

    def add(self, name: str, values: Values, offsets: Offsets | None) -> None:
        """Take in a column.

        Raises:
            DataError: it is of another kind or other lists than the input, or than those before.
        """
        where = f"column {name!r} of input {self.input.name!r}"
        is_list = offsets is not None
        if is_list and self.input.rank == 2:
            raise DataError(f"{where}: has lists; expected one number for each row")
        if not is_list and (self.input.longest != 1 or self.offsets is not None):
            raise DataError(f"{where}: has one number for each row; expected lists, as of others")
        if is_list and self.rows and self.offsets is None:
            raise DataError(f"{where}: has lists, and others have one number for each row")
        self.rows[name] = len(values) if offsets is None else len(offsets) - 1
        if offsets is not None:
            if self.offsets is None:
                self.offsets = offsets
            elif not np.array_equal(offsets, self.offsets):
                self._refuse_lists(where, offsets)
        self.values.append(values)

    def _refuse_lists(self, where: str, offsets: Offsets) -> None:
        assert self.offsets is not None
        if len(offsets) != len(self.offsets):
            # the numbers of rows are compared later, over all inputs
            return
        counts = np.diff(offsets)
        expected = np.diff(self.offsets)
        row = int(np.flatnonzero(counts != expected)[0])
        raise DataError(
            f"{where}: has {counts[row]} values in row {row}, others have {expected[row]}"
        )

    def raw_columns(self, first: int, last: int) -> dict[str, Values]:
        """Rows [first, last) of each column in the type that the graph takes, and the offsets."""
        begin, end = first, last
        feeds: dict[str, Values] = {}
        if self.offsets is not None:
            feeds[self.input.name] = self.offsets[first : last + 1] - self.offsets[first]
            begin, end = self.offsets[first], self.offsets[last]
        channels = self.input.group.channels
        for channel, kind, values in zip(channels, self.input.types, self.values, strict=True):
            assert values is not None
            feeds[channel.name] = values[begin:end].astype(kind)
        return feeds

    def tensor(self, first: int, last: int) -> Floats:
        """Rows [first, last) as (N, C, P), or (N, C)."""
        rows = last - first
        channels = self.input.group.channels
        if self.offsets is None:
            columns = []
            for channel, values in zip(channels, self.values, strict=True):
                assert values is not None
                columns.append(channel.prepare(values[first:last]))
            tensor = np.stack(columns, 1)  # (N, C)
            return tensor if self.input.rank == 2 else tensor[:, :, None]
        counts = np.diff(self.offsets[first : last + 1])  # (N,)
        # no more than the fullest of these rows has, where the network does with less
        length = int(np.clip(counts.max(initial=0), self.input.shortest, self.input.longest))
        row, place = _places(counts)
        kept = place < length
        begin, end = self.offsets[first], self.offsets[last]
        tensor = np.empty((rows, len(channels), length), np.float32)
        for c, (channel, values) in enumerate(zip(channels, self.values, strict=True)):
            raw = np.ones(end - begin) if values is None else values[begin:end]
            tensor[:, c] = channel.pad
            tensor[row[kept], c, place[kept]] = channel.prepare(raw)[kept]
        return tensor

    def cut(self, values: Values, first: int, last: int) -> Values:
        """(N, P) outputs of rows [first, last) -> those of their objects, (M,), NaN beyond P."""
        if self.offsets is None:
            return values.reshape(-1)
        row, place = _places(np.diff(self.offsets[first : last + 1]))
        inside = place < values.shape[1]
        flat = np.full(len(row), np.nan, np.float32)
        flat[inside] = values[row[inside], place[inside]]
        return flat


def _places(counts: Offsets) -> tuple[Offsets, Offsets]:
    """Row and place in its row of each of the objects, (M,) each, from ``counts`` (N,)."""
    row = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    return row, place


def _take_apart(name: str, column: Column) -> tuple[Values, Offsets | None]:
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
