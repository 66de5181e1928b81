"""Whether the expressions of a data YAML look at one row at a time, tried on some rows.

The listed functions keep rows apart (``expressions/row_rules.py``), but nobody knows what functions
of the user's own do. So each expression is evaluated on some rows and on the two halves of them:
f(rows of a, then rows of b) must be f(a), then f(b).
"""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.config.places import expressions_of_rows
from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.rows.table import Table, evaluate_column, flat_column, select_rows
from weaver_tt.errors import DataError
from weaver_tt.expressions.elementwise import JaggedColumn, fill_missing, to_awkward
from weaver_tt.expressions.evaluate import Expression

TOLERANCE = 1e-5
"""How far floating-point numbers may differ, as a share of the number or, where that is larger, of
the median size of the column.

Sums over a matrix are rounded in another way for another number of rows, by about 5e-7 of their
size in float32, and functions of the user's own may be whole networks. Functions of numpy that act
value by value give the same bits for any number of rows. A mean or maximum over hundreds of rows
differs by some per cent between the halves.
"""

MOST_ROWS = 1000
SHOWN = 3  # objects of a row in a message


def check_row_independence(
    columns: Table, plan: Plan, config: DataConfig, path: str, group: str
) -> None:
    """Check on raw ``columns`` (R rows each) that no expression of a pass depends on other rows.

    Those are the object selections, the row selection, and of the selected rows the new variables
    (so inputs, observers, monitored columns), labels and weights. Rows after the first
    ``MOST_ROWS`` are not looked at, and one row says nothing. ``path`` is the file that they are
    of, and ``group`` its file group.

    Raises:
        DataError: one does, or draws random numbers; names it. Or it does not fit the columns.
    """

    def evaluator(
        expression: Expression, table: Table, where: str, hints: DataConfig | None
    ) -> Any:
        place = f"{config.source}: {where.removeprefix(f'{path}: ')}"
        return _evaluate_in_halves(expression, table, where, place, hints)

    first = {name: values[:MOST_ROWS] for name, values in columns.items()}
    selected = select_rows(first, plan, config, path, group, evaluator)
    if not selected.passed.any():
        return
    for place, expression in expressions_of_rows(config).items():
        # that prediction lacks labels is no error, and that training does is reported elsewhere
        if expression.names <= selected.table.keys():
            evaluator(expression, selected.table, f"{path}: {place}", config)


def _evaluate_in_halves(
    expression: Expression, table: Table, where: str, place: str, hints: DataConfig | None
) -> Any:
    """The value of an expression, once it has been found to be that of the two halves."""
    whole = evaluate_column(expression, table, where, hints)
    rows = len(whole)
    middle = rows // 2
    if middle == 0:
        return whole
    # a function of the user's own may need no column
    names = expression.names or {next(iter(table))}
    for first, last in ((0, middle), (middle, rows)):
        half = {name: table[name][first:last] for name in names}
        part = evaluate_column(expression, half, f"{where} (of {last - first} rows alone)", hints)
        row = first_difference(whole[first:last], part)
        if row is not None:
            raise DataError(_message(expression, place, whole[first + row], part[row], rows, half))
    return whole


def _message(
    expression: Expression, place: str, of_all: Any, of_half: Any, rows: int, half: Table
) -> str:
    number = len(next(iter(half.values())))
    # a selection is named by its expression already
    named = place if repr(expression.source) in place else f"{place}: {expression.source!r}"
    of_all, of_half, where = _differing_entries(of_all, of_half)
    message = (
        f"{named} depends on the other rows, or on random numbers: {where}of one row it is "
        f"{_shown(of_all)} where {rows} rows are read together, and {_shown(of_half)} where "
        f"{number} are; which rows are read together is a matter of chance"
    )
    if expression.functions_file is not None:
        message += (
            f". Functions of {expression.functions_file} must give each row a value that depends "
            "on that row alone"
        )
    return message


def _differing_entries(left: Any, right: Any) -> tuple[Any, Any, str]:
    """The first entries that differ in two values of a row, and ``entry N `` of a list, from 0."""
    left = ak.to_list(left)
    right = ak.to_list(right)
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for i, pair in enumerate(zip(left, right, strict=True)):
            if not _are_equal_lists(*pair):
                return *pair, f"entry {i} "
    return left, right, ""


def _shown(value: Any) -> str:
    """A value, or the first of a list of them."""
    if not isinstance(value, list):
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    shown = [_shown(part) for part in value[:SHOWN]]
    if len(value) > SHOWN:
        shown.append("…")
    return f"[{', '.join(shown)}]"


def first_difference(left: Any, right: Any) -> int | None:
    """The first row in which two columns of as many rows differ, None if they are equal.

    NaN is equal to NaN, and so is a missing number; types may differ.
    """
    flat_left = flat_column(left)
    flat_right = flat_column(right)
    if isinstance(flat_left, JaggedColumn) and isinstance(flat_right, JaggedColumn):
        return _first_jagged_difference(flat_left, flat_right)
    if isinstance(flat_left, np.ndarray) and isinstance(flat_right, np.ndarray):
        return _first_true(~are_close(flat_left, flat_right))
    # deeper lists, records, text, or lists that are all missing
    rows_left = ak.to_list(fill_missing(to_awkward(flat_left)))
    rows_right = ak.to_list(fill_missing(to_awkward(flat_right)))
    for row, pair in enumerate(zip(rows_left, rows_right, strict=True)):
        if not _are_equal_lists(*pair):
            return row
    return None


def _first_jagged_difference(left: JaggedColumn, right: JaggedColumn) -> int | None:
    row = _first_true(left.counts != right.counts)
    if row is not None:
        return row
    entry = _first_true(~are_close(left.content, right.content))
    if entry is None:
        return None
    return int(np.searchsorted(left.offsets, entry, side="right")) - 1


def _first_true(flags: npt.NDArray[np.bool_]) -> int | None:
    return int(flags.argmax()) if flags.any() else None


def are_close(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which numbers (M,) are equal, floating-point numbers within ``TOLERANCE``; NaN is to NaN."""
    equal: npt.NDArray[np.bool_] = left == right
    if left.dtype.kind != "f" and right.dtype.kind != "f":
        return equal
    first = left.astype(np.float64)
    second = right.astype(np.float64)
    size = np.abs(first)
    finite = size[np.isfinite(size)]
    typical = float(np.median(finite)) if len(finite) else 0.0
    with np.errstate(invalid="ignore"):
        is_near = np.abs(first - second) <= TOLERANCE * np.maximum(size, typical)
    is_near &= np.isfinite(first) & np.isfinite(second)
    return equal | is_near | (np.isnan(first) & np.isnan(second))


def _are_equal_lists(left: Any, right: Any) -> bool:
    """Whether rows of any structure are equal, numbers as :func:`are_close` compares them."""
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_are_equal_lists, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            _are_equal_lists(left[name], right[name]) for name in left
        )
    if isinstance(left, float) and isinstance(right, float):
        return bool(are_close(np.array([left]), np.array([right]))[0])
    return bool(left == right)
