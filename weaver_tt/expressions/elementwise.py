"""Functions that act value by value, applied to the flat content of jagged columns.

Awkward broadcasts nested structures anew for each operation. Columns of one collection share their
counts, so comparing the offsets once and working on the content gives the same result in little
more than numpy's own time on one long array. Anything else is handed to awkward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
from awkward.contents import Content, ListArray, ListOffsetArray, NumpyArray, RegularArray
from awkward.index import Index64

from weaver_tt.errors import DataError
from weaver_tt.expressions.registry import ELEMENTWISE


@dataclass(slots=True)
class JaggedColumn:
    """A jagged column of R rows.

    ``content`` (M,) row after row, ``offsets`` (R + 1,) from 0 to M; ``name`` for messages.
    """

    content: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]
    name: str = ""

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Objects of each row (R,)."""
        return np.diff(self.offsets)

    def is_aligned_with(self, other: JaggedColumn) -> bool:
        """Whether both have the same number of objects in every row."""
        return self.offsets is other.offsets or np.array_equal(self.offsets, other.offsets)


def as_operand(values: Any, name: str) -> Any:
    """A table's column as the evaluation wants it.

    Whole numbers of 64 bits, per-row columns as numpy (R,), lists of numbers as JaggedColumn.
    """
    flat = as_flat(values)
    if isinstance(flat, JaggedColumn):
        return JaggedColumn(_as_64_bit(flat.content), flat.offsets, name)
    if isinstance(flat, np.ndarray):
        return _as_64_bit(flat)
    return flat


def _as_64_bit(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values.dtype.kind in "iu" and values.dtype.itemsize < 8:
        return values.astype(np.int64)
    return values


def as_flat(values: Any) -> Any:
    """Numbers as numpy (R,), lists of numbers as JaggedColumn, anything else as it is."""
    if isinstance(values, np.ndarray) and values.ndim == 0:
        # np.where of numbers
        return values[()]
    if not isinstance(values, ak.Array):
        return values
    layout = _project_index(values.layout)
    if not isinstance(layout, NumpyArray):
        return _jagged_or(layout, values)
    data = np.asarray(layout.data)
    if data.ndim == 1:
        return data
    return _jagged_or(layout.to_RegularArray(), values)


def _project_index(layout: Content) -> Content:
    """The layout with its rows in their order, where it holds them by their places."""
    if layout.is_indexed and not layout.is_option:
        return layout.project()
    return layout


def _jagged_or(layout: Content, otherwise: Any) -> Any:
    """Lists of numbers as JaggedColumn.

    ``otherwise`` where the layout is something else: text, missing values, records, deeper lists.
    """
    is_list = isinstance(layout, ListArray | ListOffsetArray | RegularArray)
    if not is_list or layout.parameter("__array__") is not None:
        return otherwise
    packed = layout if _is_packed(layout) else layout.to_ListOffsetArray64(True)
    content = _project_index(packed.content)
    if not isinstance(content, NumpyArray) or content.purelist_depth != 1:
        return otherwise
    offsets = np.asarray(packed.offsets.data)
    # the content may be longer than what the lists use of it
    used = np.asarray(content.data)[: offsets[-1]]
    return JaggedColumn(used, offsets)


def _is_packed(layout: Content) -> bool:
    """Whether the offsets can be taken as they are.

    They stay the same object then, so that ``is`` recognizes columns that share them.
    """
    return (
        isinstance(layout, ListOffsetArray)
        and layout.offsets.dtype == np.int64
        and layout.offsets[0] == 0
    )


def to_awkward(value: Any) -> Any:
    """A JaggedColumn as the awkward array it stands for; anything else as it is."""
    if isinstance(value, JaggedColumn):
        return ak.Array(ListOffsetArray(Index64(value.offsets), NumpyArray(value.content)))
    return value


def apply_function(
    function: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]
) -> Any:
    """The value of ``function``.

    Computed on flat content where it acts value by value on aligned columns, by awkward otherwise.

    Raises:
        DataError: jagged arguments differ in their numbers of objects.
    """
    flat = _flat_function(function, positional, named)
    if flat is None:
        others = {name: to_awkward(value) for name, value in named.items()}
        return as_flat(function(*map(to_awkward, positional), **others))
    jagged = [value for value in positional if isinstance(value, JaggedColumn)]
    if not jagged:
        return as_flat(flat(*positional, **named))
    first = jagged[0]
    for other in jagged[1:]:
        if not first.is_aligned_with(other):
            raise _misalignment_error(first, other)
    # their objects correspond one to one, so the content can be worked on as one long array
    contents = [_broadcast(value, first) for value in positional]
    result = flat(*contents, **named)
    if isinstance(result, tuple):
        # such as the two parts of np.divmod
        return tuple(JaggedColumn(part, first.offsets) for part in result)
    return JaggedColumn(result, first.offsets)


def _flat_function(
    function: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]
) -> Callable[..., Any] | None:
    """What computes ``function`` on flat content; None where it or its arguments need awkward."""
    flat = ELEMENTWISE.get(function)
    if flat is None:
        return None
    if flat is np.where and len(positional) != 3:
        # np.where(condition) gives places, not values
        return None
    if not all(_is_flat_argument(value) for value in positional):
        return None
    if any(isinstance(value, JaggedColumn | ak.Array | np.ndarray) for value in named.values()):
        return None
    return flat


def _is_flat_argument(value: Any) -> bool:
    """Whether an argument is jagged by one level, has one value a row, or is no array at all."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return isinstance(value, JaggedColumn | np.generic | int | float | str | type | None)


def _broadcast(value: Any, like: JaggedColumn) -> Any:
    """Flat content for a jagged value; a per-row value once for each of the row's objects."""
    if isinstance(value, JaggedColumn):
        return value.content
    if not isinstance(value, np.ndarray):
        return value
    rows = len(like.offsets) - 1
    if len(value) != rows:
        name = like.name or "a jagged column"
        raise DataError(f"{len(value)} values meet {rows} rows of {name}")
    return np.repeat(value, like.counts)


def _misalignment_error(left: JaggedColumn, right: JaggedColumn) -> DataError:
    names = f"{left.name or 'one side'} and {right.name or 'the other'}"
    if len(left.offsets) != len(right.offsets):
        return DataError(f"{names} have {len(left.offsets) - 1} and {len(right.offsets) - 1} rows")
    row = int(np.argmax(left.counts != right.counts))
    return DataError(
        f"{names} differ in their objects: {left.counts[row]} and {right.counts[row]} "
        f"in row {row} (counted from 0)"
    )
