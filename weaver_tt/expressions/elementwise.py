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
from awkward.contents import (
    ByteMaskedArray,
    Content,
    ListArray,
    ListOffsetArray,
    NumpyArray,
    RegularArray,
)
from awkward.index import Index8, Index64

from weaver_tt.errors import DataError
from weaver_tt.expressions.registry import ELEMENTWISE, ROW_RULES


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
    if isinstance(flat, ak.Array) and _has_short_integers(flat.layout):
        # deeper lists
        return ak.values_astype(flat, np.int64)
    return flat


def _has_short_integers(layout: Content) -> bool:
    """Whether lists hold, at whatever depth, whole numbers of fewer than 64 bits."""
    while layout.is_list or layout.is_option or layout.is_indexed:
        # characters of a text are no numbers
        if layout.parameter("__array__") is not None:
            return False
        layout = layout.content
    return layout.is_numpy and layout.dtype.kind in "iu" and layout.dtype.itemsize < 8


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
        and layout.offsets.data[0] == 0
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
    missing = None
    if function in ROW_RULES:
        # the user's own functions are given what they ask for
        both = _with_rows_first([*positional, *named.values()], is_of_awkward(function))
        positional = both[: len(positional)]
        named = dict(zip(named, both[len(positional) :], strict=True))
    if function in ELEMENTWISE:
        positional, missing = _without_missing_rows(positional, ELEMENTWISE[function] is np.where)
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
    return _with_missing(JaggedColumn(result, first.offsets), missing)


def is_of_awkward(function: Callable[..., Any]) -> bool:
    """Whether a function is one of awkward's own."""
    return getattr(function, "__module__", "").startswith("awkward.")


def _with_rows_first(arguments: Sequence[Any], only_lists: bool) -> Sequence[Any]:
    """Arguments whose rows meet rows when they are broadcast.

    numpy, and awkward for arrays of fixed size, aligns the last axes: (R,) and (R, 2) would meet in
    the wrong way where R is 2. So an array of fixed size becomes lists where it meets anything but
    arrays of numpy of as many axes; with ``only_lists`` always, as ``ak.softmax`` broadcasts what
    it has made of its argument itself.
    """
    if not any(_is_of_fixed_size(value) for value in arguments):
        return arguments
    arrays = [value for value in arguments if _axes(value)]
    is_numpy = all(isinstance(value, np.ndarray) for value in arrays)
    is_alike = is_numpy and len({_axes(value) for value in arrays}) == 1
    if not only_lists and (len(arrays) == 1 or is_alike):
        return arguments
    # one value for all objects of a row, such as a sum with keepdims=True, stays that beside lists
    wide = [_as_lists(value) if _has_width(value) else value for value in arguments]
    if any(_is_jagged(value) for value in wide):
        return wide
    return [_as_lists(value) if _is_of_fixed_size(value) else value for value in arguments]


def _axes(value: Any) -> int:
    if isinstance(value, JaggedColumn):
        return 2
    return int(value.ndim) if isinstance(value, np.ndarray | ak.Array) else 0


def _is_of_fixed_size(value: Any) -> bool:
    """Whether a value is an array of several axes, of which each list has the same length."""
    if isinstance(value, np.ndarray):
        return value.ndim > 1
    return isinstance(value, ak.Array) and value.ndim > 1 and value.layout.purelist_isregular


def _has_width(value: Any) -> bool:
    """Whether it is one, and its lists are not all of length 1."""
    if not _is_of_fixed_size(value):
        return False
    if isinstance(value, np.ndarray):
        return value.shape[1:] != (1,)
    layout = value.layout.to_RegularArray() if value.layout.is_numpy else value.layout
    return value.ndim > 2 or not layout.is_regular or layout.size != 1


def _is_jagged(value: Any) -> bool:
    if isinstance(value, ak.Array):
        return value.ndim > 1 and not value.layout.purelist_isregular
    return isinstance(value, JaggedColumn)


def _as_lists(array: Any) -> Any:
    """(R, P) as R lists, and so on for more axes."""
    return as_flat(ak.from_regular(array, axis=None))


def _without_missing_rows(
    arguments: Sequence[Any], with_nan: bool
) -> tuple[Sequence[Any], npt.NDArray[np.bool_] | None]:
    """Arguments without missing values of rows, and the rows (R,) in which one is missing.

    Only beside jagged columns: a row without objects has no largest one (``ak.max``), but neither
    has it an object that the missing value would meet. ``with_nan``: in the place of missing values
    is NaN, and no row counts as missing.
    """
    if not any(isinstance(value, JaggedColumn) for value in arguments):
        return arguments, None
    found = []
    missing = None
    for value in arguments:
        if isinstance(value, ak.Array) and value.layout.is_option and value.ndim == 1:
            content = value.layout.content
            if content.is_numpy and with_nan:
                value = as_flat(fill_missing(value))
            elif content.is_numpy:
                is_missing = value.layout.mask_as_bool(valid_when=False)
                missing = is_missing if missing is None else missing | is_missing
                value = as_flat(fill_missing(value, 0))
        found.append(value)
    return found, missing


def _with_missing(column: JaggedColumn, missing: npt.NDArray[np.bool_] | None) -> Any:
    """A jagged column in which the objects of the rows ``missing`` (R,) are missing values."""
    if missing is None:
        return column
    objects = np.repeat(missing, column.counts)
    if not objects.any():
        return column
    content = ByteMaskedArray(Index8(objects), NumpyArray(column.content), valid_when=False)
    return ak.Array(ListOffsetArray(Index64(column.offsets), content))


def fill_missing(values: Any, number: float = np.nan) -> Any:
    """A column with ``number`` in place of missing numbers; anything else as it is.

    With NaN, whole numbers and booleans become float64, whether one is missing or not: a column
    has the same type in every part of the data.
    """
    if not isinstance(values, ak.Array):
        return values
    layout = _fill_missing(values.layout, number)
    return values if layout is values.layout else ak.Array(layout)


def _fill_missing(layout: Content, number: float) -> Content:
    if layout.is_indexed and not layout.is_option:
        return _fill_missing(layout.project(), number)
    if layout.is_list and layout.parameter("__array__") is None:
        content = _fill_missing(layout.content, number)
        return layout if content is layout.content else layout.copy(content=content)
    if not layout.is_option:
        return layout
    present = layout.project()
    if not present.is_numpy or present.purelist_depth != 1:
        return layout
    kind = present.dtype
    if np.isnan(number) and kind.kind != "f":
        kind = np.dtype(np.float64)
    filled = np.full(layout.length, number, kind)
    filled[layout.mask_as_bool(valid_when=True)] = present.data
    return NumpyArray(filled)


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
