"""What a graph takes and gives, as it and its ``preprocess.json`` say together. Needs no torch.

N rows, C channels, P objects of a row, M objects in all, K values of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from weaver_tt.deploy.flat_columns import (
    Collection,
    Columns,
    Offsets,
    Values,
    names_of,
    places_of,
)
from weaver_tt.deploy.sidecar import Channel, Floats, Group, Sidecar
from weaver_tt.errors import ConfigError, DataError, nearest

MASK = "_mask"  # ending of a variable that is 1 for each object
SPREAD = "_std"  # ending of an output that is the spread of an ensemble


# of outputs of objects that a graph of raw columns selects or joins, what their axis is called
CHOSEN_OBJECTS = "chosen objects"


class Input(Protocol):
    """What a graph is given of columns: prepared tensors, or the columns as they are."""

    @property
    def name(self) -> str:
        """What the graph calls it."""

    @property
    def column_names(self) -> list[str]:
        """The columns that it needs."""

    @property
    def has_objects(self) -> bool:
        """Whether it has objects of rows, and not numbers of rows alone."""

    @property
    def axis(self) -> str | int:
        """What the graph calls these objects, or how many there are."""

    def collect(self, columns: Columns, source: str) -> Collection:
        """The columns of all rows; ``source`` is the file that needs them, for messages."""

    def slots(self, collection: Collection, rows: int) -> Offsets:
        """How many slots each of the ``rows`` needs, (N,)."""

    def prepare(self, collection: Collection) -> Collection:
        """The numbers that the graph takes, of each row alone."""

    def feeds(self, prepared: Collection, first: int, last: int) -> dict[str, Values]:
        """What ONNX Runtime is given of rows [first, last) that have been prepared."""


@dataclass(frozen=True, slots=True)
class TensorInput:
    """A float32 input (N, C), (N, C, P) or (N, C, P, 1), made as ``preprocess.json`` says.

    P is at least ``shortest`` and at most ``longest``; both are the same where the graph fixes it.
    ``axis`` is what the graph calls its objects, or how many there are.
    """

    name: str
    channels: tuple[Channel, ...]
    rank: int
    shortest: int
    longest: int
    axis: str | int

    @property
    def column_names(self) -> list[str]:
        """The columns that it needs; masks may be left out."""
        return [channel.name for channel in self.channels]

    @property
    def has_objects(self) -> bool:
        """Whether it has an axis of objects."""
        return self.rank > 2

    def collect(self, columns: Columns, source: str) -> Collection:
        """The columns of all rows, None for a mask that is not given.

        Raises:
            DataError: a column is missing, or does not fit to the others.
        """
        has_lists: bool | None = self.has_objects
        if self.has_objects and self.longest == 1:
            # (N, C, 1) may be numbers of rows as well
            has_lists = None
        collection = Collection(f"input {self.name!r}", has_lists)
        names = names_of(columns)
        for channel in self.channels:
            if channel.name in names:
                collection.add(channel.name, columns[channel.name])
            elif self.has_objects and channel.name.endswith(MASK):
                collection.values[channel.name] = None
            else:
                raise DataError(
                    f"{source}: input {self.name!r} needs the column {channel.name!r}; "
                    f"{nearest(channel.name, names)}"
                )
        return collection

    def slots(self, collection: Collection, rows: int) -> Offsets:
        """The objects of each row, between ``shortest`` and ``longest``."""
        if collection.offsets is None:
            return np.full(rows, self.shortest)
        return np.clip(collection.counts(0, rows), self.shortest, self.longest)

    def prepare(self, collection: Collection) -> Collection:
        """The columns shifted, scaled and clipped; masks that are not given are 1."""
        prepared = Collection(collection.title, collection.has_lists)
        prepared.offsets = collection.offsets
        for channel in self.channels:
            values = collection.values[channel.name]
            if values is None:
                assert collection.offsets is not None
                values = np.ones(collection.offsets[-1])
            prepared.values[channel.name] = channel.prepare(values)
        return prepared

    def feeds(self, prepared: Collection, first: int, last: int) -> dict[str, Values]:
        """The tensor of rows [first, last) by its name."""
        tensor = self._tensor(prepared, first, last)
        return {self.name: tensor[..., None] if self.rank == 4 else tensor}

    def _tensor(self, prepared: Collection, first: int, last: int) -> Floats:
        of_rows = prepared.range_of(first, last)
        columns = []
        for values in prepared.values.values():
            assert values is not None
            columns.append(values[of_rows])
        stacked = np.stack(columns, 1)  # (N, C) or (M, C)
        if prepared.offsets is None:
            return stacked[:, :, None] if self.has_objects else stacked
        counts = prepared.counts(first, last)  # (N,)
        # no more than the fullest of these rows has, where the network does with less
        length = int(np.clip(counts.max(initial=0), self.shortest, self.longest))
        row, place = places_of(counts)
        kept = place < length
        tensor = np.empty((last - first, len(self.channels), length), np.float32)
        pads = np.array([channel.pad for channel in self.channels], np.float32)  # (C,)
        tensor[:] = pads[:, None]
        tensor[row[kept], :, place[kept]] = stacked[kept]
        return tensor


@dataclass(frozen=True, slots=True)
class GraphOutput:
    """An output of a graph: ``columns`` of each row, (N, K), or one of each object, (N, P).

    ``objects_of`` is the number of the input that has these objects; None for values of rows.
    """

    name: str
    columns: tuple[str, ...]
    objects_of: int | None = None


def tensor_inputs(session: Any, sidecar: Sidecar, path: Path) -> list[TensorInput]:
    """The inputs of the graph at ``path``, which ``sidecar`` describes.

    Raises:
        ConfigError: it does not describe them, or they are none of this kind.
    """
    return [_tensor_input(item, sidecar, path) for item in session.get_inputs()]


def _tensor_input(item: Any, sidecar: Sidecar, path: Path) -> TensorInput:
    name = item.name
    if name not in sidecar.groups:
        raise ConfigError(
            f"{sidecar.source}: does not describe the network's input {name!r}; "
            f"{nearest(name, sidecar.groups)}"
        )
    group = sidecar.groups[name]
    where = f"{sidecar.source}: {name}"
    rank = len(item.shape)
    is_known = rank in (2, 3) or (rank == 4 and item.shape[3] == 1)
    if item.type != "tensor(float)" or not is_known:
        raise ConfigError(
            f"{path}: input {name!r} is {item.type} of shape {item.shape}; expected float32 "
            "(N, C), (N, C, P) or (N, C, P, 1)"
        )
    channels = item.shape[1]
    if isinstance(channels, int) and channels != len(group.channels):
        raise ConfigError(
            f"{where}: there are {len(group.channels)} var_names, the network takes {channels}"
        )
    shortest, longest = _lengths(item, group, where)
    axis = item.shape[2] if rank > 2 else item.shape[1]
    return TensorInput(name, group.channels, rank, shortest, longest, axis)


def _lengths(item: Any, group: Group, where: str) -> tuple[int, int]:
    """The smallest and largest number of objects that an input is given.

    Raises:
        ConfigError: the graph fixes another one.
    """
    if len(item.shape) == 2:
        return 1, 1
    size = item.shape[2]
    if not isinstance(size, int):
        return group.shortest, group.longest
    if not group.shortest <= size <= group.longest:
        raise ConfigError(
            f"{where}: the network takes {size} objects; the file says {group.shortest} to "
            f"{group.longest}"
        )
    return size, size


def outputs_of_rows(session: Any, sidecar: Sidecar, path: Path) -> list[GraphOutput]:
    """The outputs of a graph whose values are those of rows.

    The sidecar names the columns of all outputs, one after another, or those of the first one
    alone. The spread of that has the same names with an ending, further outputs have their own,
    numbered where they have several columns.

    Raises:
        ConfigError: one has another shape, or other columns than names.
    """
    widths = {}
    for item in session.get_outputs():
        if len(item.shape) not in (1, 2):
            raise ConfigError(
                f"{path}: output {item.name!r} has the shape {item.shape}; expected (N, K), values "
                "of rows"
            )
        widths[item.name] = item.shape[1] if len(item.shape) == 2 else 1
    names = sidecar.output_names
    are_known = all(isinstance(width, int) for width in widths.values())
    has_all_names = are_known and sum(widths.values()) == len(names)
    found = []
    first = session.get_outputs()[0].name
    for item in session.get_outputs():
        width = widths[item.name]
        if has_all_names:
            columns = names[:width]
            names = names[width:]
        elif item.name == first:
            columns = sidecar.output_names
        elif item.name == first + SPREAD:
            columns = tuple(name + SPREAD for name in sidecar.output_names)
        elif width == 1:
            columns = (item.name,)
        elif isinstance(width, int):
            columns = tuple(f"{item.name}_{i}" for i in range(width))
        else:
            raise ConfigError(f"{path}: output {item.name!r} has any number of columns")
        if isinstance(width, int) and width != len(columns):
            raise ConfigError(
                f"{sidecar.source}: names {len(columns)} outputs, {', '.join(columns)}; the "
                f"network gives {width} in {item.name!r}"
            )
        found.append(GraphOutput(item.name, columns))
    return found


def outputs_of_objects(session: Any, inputs: Sequence[Input], path: Path) -> list[GraphOutput]:
    """The outputs of a graph whose values are those of objects, one column each.

    They are those of the input whose axis has the same name, or else of the first one with objects.

    Raises:
        ConfigError: no input has these objects, or they are chosen inside of the graph.
    """
    found = []
    with_objects = [number for number, one in enumerate(inputs) if one.has_objects]
    for item in session.get_outputs():
        axis = item.shape[1]
        if axis == CHOSEN_OBJECTS:
            raise ConfigError(
                f"{path}: the objects of {item.name!r} are selected or joined inside of the graph: "
                "nobody can tell which of those that are given are left; --target generic takes "
                "the selected ones"
            )
        if not with_objects:
            raise ConfigError(f"{path}: no input has the objects of {item.name!r}")
        named = [number for number in with_objects if inputs[number].axis == axis]
        found.append(GraphOutput(item.name, (item.name,), (named or with_objects)[0]))
    return found
