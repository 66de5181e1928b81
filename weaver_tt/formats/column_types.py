"""Types of columns: the one that fits the columns of several files, and arrays brought to it."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
from awkward.contents import Content, EmptyArray, NumpyArray
from awkward.types import ListType, NumpyType, RegularType, Type, UnknownType

# largest whole number up to which a double has all of them
EXACT_IN_DOUBLE = 2**53


def common_type(first: Type, second: Type) -> Type:
    """The type that holds the values of both: of numbers, of lists, of lists of lists.

    Numbers promote as in numpy, except that signed and unsigned whole numbers stay whole: uint64
    and int32 give int64. A boolean and a number give the number. A fixed-size array and lists of
    any length give lists.

    Raises:
        ValueError: there is none: one value a row and lists, text and numbers.
    """
    if first == second or isinstance(second, UnknownType):
        return first
    if isinstance(first, UnknownType):
        return second
    if isinstance(first, NumpyType) and isinstance(second, NumpyType):
        return NumpyType(_common_number(first.primitive, second.primitive))
    if _is_list(first) and _is_list(second):
        content = common_type(first.content, second.content)
        are_arrays = isinstance(first, RegularType) and isinstance(second, RegularType)
        if are_arrays and first.size == second.size:
            return RegularType(content, first.size)
        return ListType(content)
    raise ValueError(f"{first} and {second} have no type in common")


def _common_number(first: str, second: str) -> str:
    """The common type of two numbers, by name."""
    kinds = {np.dtype(first).kind, np.dtype(second).kind}
    if not kinds <= set("biuf"):
        raise ValueError(f"{first} and {second} have no type in common")
    promoted = np.promote_types(first, second)
    # numpy takes float64 for uint64 and a signed type, which has not all whole numbers
    if promoted.kind == "f" and "f" not in kinds:
        return "int64"
    return promoted.name


def _is_list(kind: Type) -> bool:
    """Whether values are lists of others, and no text."""
    return isinstance(kind, ListType | RegularType) and kind.parameter("__array__") is None


def cast_column(array: ak.Array, kind: Type) -> ak.Array:
    """``array`` with rows of the type ``kind``, the common type of theirs and others'.

    Raises:
        ValueError: a value does not fit.
    """
    if array.type.content == kind:
        return array
    return ak.Array(_cast(array.layout, kind))


def _cast(layout: Content, kind: Type) -> Content:
    """``layout`` with another type; offsets are kept."""
    if isinstance(layout, EmptyArray):
        return empty_column(kind).layout
    if layout.is_indexed and not layout.is_option:
        layout = layout.project()
    if isinstance(layout, NumpyArray) and layout.purelist_depth > 1:
        layout = layout.to_RegularArray()
    if isinstance(kind, NumpyType) and isinstance(layout, NumpyArray):
        return NumpyArray(_cast_numbers(np.asarray(layout.data), np.dtype(kind.primitive)))
    if _is_list(kind) and layout.is_list:
        if isinstance(kind, ListType) and layout.is_regular:
            layout = layout.to_ListOffsetArray64(start_at_zero=True)
        return layout.copy(content=_cast(layout.content, kind.content))
    raise ValueError(f"values of type {layout.form.type} are no {kind}")


def empty_column(kind: Type) -> ak.Array:
    """A column of no rows."""
    return ak.Array(ak.forms.from_type(kind).length_zero_array(highlevel=False))


def _cast_numbers(values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Numbers of another type.

    Raises:
        ValueError: one of them is not in it.
    """
    if values.dtype == dtype:
        return values
    if values.dtype.kind in "iu" and len(values):
        low = int(values.min())
        high = int(values.max())
        if dtype.kind == "f" and max(-low, high) > EXACT_IN_DOUBLE:
            raise ValueError(f"{max(-low, high)} is too large a whole number for {dtype}")
        if dtype.kind in "iu" and not np.iinfo(dtype).min <= low <= high <= np.iinfo(dtype).max:
            raise ValueError(f"whole numbers from {low} to {high} do not fit into {dtype}")
    return values.astype(dtype)
