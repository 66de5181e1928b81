"""The inputs of a graph that takes raw columns. Needs neither torch nor onnx.

N rows, M objects of all rows one after another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from weaver_tt.deploy.flat_columns import (
    Collection,
    Columns,
    Offsets,
    Values,
    common_rows,
    names_of,
)
from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.system.file_shapes import TEXT, AnyOf, NamesTo, Value
from weaver_tt.system.json_files import json_text, parse_json

RAW_COLUMNS = "raw_columns"  # the metadata of a graph that takes such columns

_SHAPE = NamesTo({"type": TEXT, "offsets": AnyOf((TEXT, Value((type(None),))))})


@dataclass(frozen=True, slots=True)
class RawColumn:
    """A column that a graph takes: the type of its numbers, and the input with its offsets.

    ``offsets`` is None for numbers of rows.
    """

    type: str
    offsets: str | None


def columns_text(columns: Mapping[str, RawColumn]) -> str:
    """The columns as metadata of a file."""
    return json_text({name: asdict(column) for name, column in columns.items()}, indent=None)


def read_raw_columns(metadata: Mapping[str, str], source: str) -> dict[str, RawColumn]:
    """The columns that a graph takes, by name, from its metadata.

    Raises:
        ConfigError: the graph takes prepared tensors.
        DataError: the metadata are damaged.
    """
    if RAW_COLUMNS not in metadata:
        raise ConfigError(f"{source}: takes no raw columns; --target raw writes such a file")
    found = parse_json(metadata[RAW_COLUMNS], _SHAPE, f"{source}: damaged metadata")
    return {name: RawColumn(**values) for name, values in found.items()}


@dataclass(frozen=True, slots=True)
class RawInput:
    """Columns that a graph takes together: those of rows, or those with the same offsets.

    ``name`` is that of their offsets, "" for numbers of rows; ``types`` are those of the columns.
    """

    name: str
    types: Mapping[str, str]

    @property
    def column_names(self) -> list[str]:
        """The columns that it needs."""
        return list(self.types)

    @property
    def has_objects(self) -> bool:
        """Whether it has lists."""
        return bool(self.name)

    @property
    def axis(self) -> str:
        """What the objects are known by."""
        return self.name

    def collect(self, columns: Columns, source: str) -> Collection:
        """The columns of all rows; ``source`` is the file that needs them, for messages.

        Raises:
            DataError: a column is missing, or does not fit to the others.
        """
        title = f"those with {self.name!r}" if self.has_objects else "numbers of rows"
        collection = Collection(title, self.has_objects)
        names = names_of(columns)
        for name in self.types:
            if name not in names:
                raise DataError(
                    f"{source}: the graph needs the column {name!r}; {nearest(name, names)}"
                )
            collection.add(name, columns[name])
        return collection

    def slots(self, collection: Collection, rows: int) -> Offsets:
        """The objects of each row."""
        if collection.offsets is None:
            return np.ones(rows, np.int64)
        return collection.counts(0, rows)

    def prepare(self, collection: Collection) -> Collection:
        """The columns in the types that the graph takes.

        Raises:
            DataError: a number is not one of this type.
        """
        prepared = Collection(collection.title, collection.has_lists)
        prepared.offsets = collection.offsets
        for name, kind in self.types.items():
            values = collection.values[name]
            # only masks of prepared inputs may be missing
            assert values is not None
            prepared.values[name] = _cast(name, values, np.dtype(kind))
        return prepared

    def feeds(self, prepared: Collection, first: int, last: int) -> dict[str, Values]:
        """What ONNX Runtime is given of rows [first, last): offsets (N + 1,) and columns (M,)."""
        feeds: dict[str, Values] = {}
        if prepared.offsets is not None:
            feeds[self.name] = prepared.offsets[first : last + 1] - prepared.offsets[first]
        of_rows = prepared.range_of(first, last)
        for name, values in prepared.values.items():
            assert values is not None
            feeds[name] = values[of_rows]
        return feeds


def _cast(name: str, values: Values, kind: np.dtype[Any]) -> Values:
    """``values`` as the type of the graph, which may round but nothing more.

    Raises:
        DataError: a number is not whole, or too large.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        cast = values.astype(kind)
    if kind.kind != "f" and values.dtype != kind:
        differs = cast != values
        if differs.any():
            raise DataError(
                f"column {name!r}: {values[np.argmax(differs)]} is no {kind}, which the graph takes"
            )
    return cast


def group_by_offsets(taken: Mapping[str, RawColumn]) -> list[RawInput]:
    """The columns that a graph takes, those with the same offsets together."""
    groups: dict[str, dict[str, str]] = {}
    for name, column in taken.items():
        groups.setdefault(column.offsets or "", {})[name] = column.type
    return [RawInput(name, types) for name, types in groups.items()]


def raw_inputs(taken: Mapping[str, RawColumn], columns: Columns, source: str) -> dict[str, Values]:
    """What ONNX Runtime is given: a flat array (N,) or (M,) for each column, and offsets (N + 1,).

    ``columns`` is an awkward array of records, or maps names to columns in any form that a
    ``Tagger`` takes; ``source`` is the file that needs them, for messages.

    Raises:
        DataError: a column is missing, holds something else, or does not fit to the others.
    """
    inputs = group_by_offsets(taken)
    collections = [one.collect(columns, source) for one in inputs]
    rows = common_rows(collections)
    feeds: dict[str, Values] = {}
    for one, collection in zip(inputs, collections, strict=True):
        feeds |= one.feeds(one.prepare(collection), 0, rows)
    return feeds
