"""Methods of columns: reductions over each row's objects, and spellings of awkward 0.

``x.sum()`` acts on each row; ``awkward.JaggedArray.ones_like(x)`` is ``ak.ones_like(x)``, as old
data YAMLs write it. ``registry.py`` lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak

from weaver_tt.errors import DataError

MAX_OBJECTS = 100_000  # the longest padding an expression can ask for
MAX_PER_ROW = 1_000_000  # values of a row, on average: all pairs of 1000 objects
MAX_VALUES = 2**30  # of all rows that are read together


def pad_none(array: Any, target: int, axis: int = 1, *, clip: bool = False) -> ak.Array:
    """``ak.pad_none`` that refuses a ``target`` no memory could hold."""
    return ak.pad_none(array, validate_length(target), axis, clip=clip)


def validate_length(length: int) -> int:
    """A length to pad to.

    Raises:
        DataError: no memory could hold it.
    """
    if not 0 <= length <= MAX_OBJECTS:
        raise DataError(f"cannot pad to {length} objects; between 0 and {MAX_OBJECTS} can be")
    return length


def validate_size(values: float, rows: int) -> None:
    """Check a number of values that are made for ``rows`` rows.

    Raises:
        DataError: there are too many.
    """
    if values > MAX_PER_ROW * max(1, rows):
        raise DataError(
            f"{values / max(1, rows):.3g} values for each row; at most {MAX_PER_ROW} can be"
        )
    if values > MAX_VALUES:
        raise DataError(
            f"{values:.3g} values for the {rows} rows that are read together; at most "
            f"{MAX_VALUES:.3g} can be (--pool-size makes these rows fewer)"
        )


def reduce_objects(function: Callable[..., Any], array: Any, axis: int = -1) -> Any:
    """``function`` over each row's objects: (R, var) -> (R,).

    Without objects a sum is 0, a mean NaN, and a largest value -infinity.
    """
    return function(array, axis=axis, mask_identity=False)


def find_extremum(function: Callable[..., Any], array: Any, axis: int | None = None) -> Any:
    """Places of the smallest or largest objects, by ``ak.argmin`` or ``ak.argmax``.

    Without ``axis`` as in awkward 0: a list of one place (or none) a row, with which to index.
    """
    if axis is not None:
        return function(array, axis=axis)
    places = function(array, axis=-1, keepdims=True)
    # a row without objects has a missing place, which becomes an empty list
    return ak.drop_none(ak.from_regular(places, axis=-1), axis=-1)


def counts(array: Any) -> Any:
    """Objects of each row: (R, var) -> (R,)."""
    return ak.num(array, axis=1)


def pad(array: Any, length: int, clip: bool = False) -> ak.Array:
    """Rows filled up with missing values to ``length`` objects; with ``clip`` cut there too."""
    return pad_none(array, length, clip=clip)


def fromcounts(counts: Any, content: Any) -> ak.Array:
    """Content (M,) divided into rows of ``counts`` (R,) objects: (R, var)."""
    return ak.unflatten(content, counts)
