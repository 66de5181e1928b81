"""The inputs of a graph that takes raw columns, from columns in any form. Needs neither torch nor
onnx.

N rows, M objects of all rows one after another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

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


def raw_inputs(
    taken: Mapping[str, RawColumn], columns: Mapping[str, Any] | ak.Array
) -> dict[str, npt.NDArray[Any]]:
    """What ONNX Runtime is given: a flat array (N,) or (M,) for each column, and offsets (N + 1,).

    ``columns`` is an awkward array of records, or maps names to arrays or lists.

    Raises:
        DataError: a column is missing, holds something else, or does not fit to the others.
    """
    names = columns.fields if isinstance(columns, ak.Array) else list(columns)
    inputs: dict[str, npt.NDArray[Any]] = {}
    for name, column in taken.items():
        if name not in names:
            raise DataError(f"no column {name!r}; {nearest(name, names)}")
        array = ak.Array(columns[name])
        has_lists = column.offsets is not None
        if array.ndim != 1 + has_lists:
            what = "lists of numbers" if has_lists else "one number for each row"
            raise DataError(f"column {name!r}: expected {what}, its type is {array.type}")
        try:
            content = ak.flatten(array) if has_lists else array
            inputs[name] = ak.to_numpy(content, allow_missing=False).astype(column.type)
            if column.offsets is None:
                continue
            counts = ak.to_numpy(ak.num(array), allow_missing=False)
        except ValueError as error:
            raise DataError(f"column {name!r}: {error}") from error
        offsets = np.concatenate([[0], np.cumsum(counts)])
        before = inputs.setdefault(column.offsets, offsets)
        if not np.array_equal(offsets, before):
            raise DataError(f"column {name!r} differs from others of {column.offsets!r} in objects")
    return inputs
