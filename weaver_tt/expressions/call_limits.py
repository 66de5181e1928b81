"""Limits of single calls, checked before they run: the values that they make, types, digits.

Padding, combinations of objects, joining and broadcasting along new axes make large arrays out of
small ones, and a system that is out of memory ends the process without a word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import DataError
from weaver_tt.expressions import helpers, methods
from weaver_tt.expressions.calls import number_of_axes
from weaver_tt.expressions.elementwise import ELEMENTWISE, JaggedColumn, to_awkward
from weaver_tt.expressions.methods import MAX_OBJECTS, validate_size
from weaver_tt.expressions.registry import ROW_RULES
from weaver_tt.expressions.row_rules import AlongAxis

MAX_DECIMALS = 400  # of the smallest and the largest float64
# kinds of numpy's types; values that are records or text may be of any size
NUMBERS = "biufc"
NUMBERS_AND_TIMES = "biufcmM"

_JOINING = frozenset(
    function for function, rule in ROW_RULES.items() if isinstance(rule, AlongAxis) and rule.joins
)
_PADDING = frozenset({methods.pad_none, methods.pad, helpers._pad, helpers._repeat_pad})
_COMBINING = frozenset({ak.cartesian, ak.argcartesian, ak.combinations, ak.argcombinations})
_MAKING_MORE = _JOINING | _PADDING | _COMBINING

Counts = npt.NDArray[np.float64]  # values of each row (R,); floats, which cannot overflow


def check_call(
    function: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]
) -> None:
    """Check that a call makes numbers, and no more of them than memory can hold.

    Raises:
        DataError: it would not.
    """
    # the name of a field may be any text
    if function is not ak.with_field:
        for value in [*positional, *named.values()]:
            if isinstance(value, str):
                _check_type(value)
    if function in (np.round, np.around):
        _check_decimals([*positional[1:], *named.values()])
    counts = _values_made(function, positional, named)
    if counts is not None:
        validate_size(float(counts.sum()), len(counts))


def check_result(result: Any) -> None:
    """Check the same of what has been made, which the next operation may enlarge again.

    Raises:
        DataError: it holds too many values, or objects have values that are no numbers.
    """
    if isinstance(result, JaggedColumn):
        if result.content.dtype.kind not in NUMBERS_AND_TIMES:
            raise DataError(f"its values are {result.content.dtype.name}, no numbers")
        validate_size(result.content.size, len(result.offsets) - 1)
    elif number_of_axes(result) > 1:
        validate_size(float(_values_of_rows(result).sum()), len(result))


def _check_type(name: str) -> None:
    """Refuse ``S1000000``: a type of values that are no numbers."""
    try:
        found = np.dtype(name)
    # any text may be given to numpy
    except (TypeError, ValueError, SyntaxError, DeprecationWarning):
        return
    if found.kind not in NUMBERS:
        raise DataError(f"{name!r} is no type of numbers")


def _check_decimals(arguments: Sequence[Any]) -> None:
    """Refuse to round to a million decimals, for which numpy counts up to a million."""
    for value in arguments:
        if _is_whole(value) and abs(value) > MAX_DECIMALS:
            raise DataError(f"{value} decimals; a number has no more than {MAX_DECIMALS}")


def _values_made(
    function: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]
) -> Counts | None:
    """Values of each row of what a call makes, at most; None where it cannot grow."""
    if function in ELEMENTWISE:
        return _broadcast_values(positional)
    if function not in _MAKING_MORE:
        return None
    arrays = list(_arrays([*positional, *named.values()]))
    if not arrays:
        return None
    if function in (ak.cartesian, ak.argcartesian):
        return np.prod(_row_counts(arrays), axis=0) * len(arrays)
    if function in _JOINING:
        return _row_counts(arrays).sum(axis=0)
    if function in (ak.combinations, ak.argcombinations):
        number = named.get("n", positional[1] if len(positional) > 1 else 2)
        return _combinations(_row_counts(arrays)[0], number)
    return _padded_values(arrays[0], [*positional[1:2], *named.values()])


def _padded_values(array: Any, arguments: Sequence[Any]) -> Counts | None:
    """Values of each row where each of its innermost lists is padded to the length given."""
    if array.ndim < 2:
        return None
    lengths = [value for value in arguments if _is_whole(value)]
    # of a length that is too long, the function itself says so
    length = min(max(lengths, default=0), MAX_OBJECTS)
    return _values_of_rows(ak.num(array, axis=-1)) * length


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _combinations(counts: Counts, number: Any) -> Counts | None:
    """``number`` values for each combination of ``number`` of a row's objects."""
    if not _is_whole(number) or number < 1:
        return None
    made = np.ones(len(counts))
    # with replacement there are (m + n - 1 choose n) of them, which are more
    for place in range(min(number, 64)):
        made *= (counts + place) / (place + 1)
    return made * number


def _broadcast_values(arguments: Sequence[Any]) -> Counts | None:
    """Values of each row where new axes meet the objects of other arguments, at most."""
    # a quick look first, as nearly all operations end here
    if max(map(number_of_axes, arguments), default=0) < 3:
        return None
    arrays = list(_arrays(arguments))
    if all(isinstance(array, np.ndarray) for array in arrays):
        try:
            shape = np.broadcast_shapes(*(array.shape for array in arrays))
        except ValueError:
            # the call itself says what does not fit
            return None
        return np.full(shape[0], float(math.prod(shape[1:])))
    return np.prod(_row_counts(arrays), axis=0)


def _arrays(arguments: Sequence[Any]) -> Iterator[Any]:
    """The arrays among arguments, those in lists too."""
    for value in arguments:
        if isinstance(value, list | tuple):
            yield from _arrays(value)
        elif isinstance(value, JaggedColumn):
            yield to_awkward(value)
        elif isinstance(value, np.ndarray | ak.Array) and value.ndim > 0:
            yield value


def _row_counts(arrays: Sequence[Any]) -> Counts:
    """Values of each row (K, R) of K arrays, of those that have as many rows as the first."""
    counts = []
    for array in arrays:
        if len(array) == len(arrays[0]):
            counts.append(_values_of_rows(array))
    return np.array(counts)


def _values_of_rows(array: Any) -> Counts:
    """Values of each row (R,) of an array of any depth; of records, of all their fields."""
    fields = 1
    # the fields of a record are alike: all pairs have two, all four-momenta have four
    while isinstance(array, ak.Array) and array.fields:
        fields *= len(array.fields)
        array = array[array.fields[0]]
    if array.ndim == 1:
        return np.full(len(array), float(fields))
    if isinstance(array, np.ndarray):
        return np.full(len(array), float(math.prod(array.shape[1:])))
    counts = ak.num(array, axis=-1)
    while counts.ndim > 1:
        counts = ak.sum(counts, axis=-1)
    return fields * np.asarray(ak.to_numpy(ak.fill_none(counts, 0)), float)
