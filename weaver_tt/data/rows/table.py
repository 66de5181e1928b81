"""A chunk's columns -> the table of selected rows: objects filtered, rows selected, new variables computed, in that order.

Everything after the object selection sees the file as if it held only the objects that passed. New variables that the row selection does not
need are computed for the rows that passed it only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.config.plan import Plan, dependency_order
from weaver_tt.config.schema import DataConfig, ObjectSelection
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.rows import Interner, index_runs
from weaver_tt.errors import DataError
from weaver_tt.expressions.elementwise import JaggedColumn, as_flat, to_awkward
from weaver_tt.expressions.evaluate import Expression, evaluate
from weaver_tt.formats.reader import Reader

Table = dict[
    str, Any
]  # column -> ak.Array or np.ndarray of R rows; jagged columns with equal counts share their offsets
Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class SelectedRows:
    """The rows of a chunk that passed; ``passed`` (chunk's rows,) says which. Without any, ``table`` holds nothing that is computed."""

    table: Table
    passed: Mask
    accounting: Accounting


def flat_column(values: Any) -> Any:
    """A column as numpy (R,) if it is per row, as Jagged if it is per object, as it is if neither (deeper lists, text)."""
    found = as_flat(
        ak.from_numpy(values) if isinstance(values, np.ndarray) and values.ndim > 1 else values
    )
    if isinstance(found, ak.Array) and str(found.type).endswith(
        "unknown"
    ):  # lists that are all empty need not say of what
        found = as_flat(ak.values_astype(found, np.float32, including_unknown=True))
    return found


def file_name(name: str, config: DataConfig) -> str:
    """What a column of the YAML is called in the file."""
    for text, replacement in config.branch_magic.items():
        name = name.replace(text, replacement)
    return name


def read_columns(
    reader: Reader, names: Iterable[str], config: DataConfig, first: int, last: int
) -> Table:
    """Rows [first, last) of columns under the names that the YAML gives them."""
    in_file = {name: file_name(name, config) for name in names}
    found = reader.read(list(dict.fromkeys(in_file.values())), first, last)
    return {name: found[there] for name, there in in_file.items()}


def make_table(
    columns: Table, plan: Plan, config: DataConfig, path: str, group: str
) -> tuple[Table, Accounting]:
    """:func:`select_rows`, for those who need not know which rows passed."""
    selected = select_rows(columns, plan, config, path, group)
    return selected.table, selected.accounting


def select_rows(
    columns: Table, plan: Plan, config: DataConfig, path: str, group: str
) -> SelectedRows:
    """The selected rows of raw ``columns`` (R rows each) with all of ``plan.computed``.

    :param path: file, for messages and ``file_magic``.
    :param group: file group that the rows are counted under.
    :raises DataError: an expression does not fit the columns, or columns of one collection differ in their objects.
    """
    rows = len(next(iter(columns.values())))
    table = columns | {
        name: np.full(rows, _value_by_path(path, values))
        for name, values in config.file_magic.items()
    }
    accounting = Accounting()
    if config.objects:
        table = _select_objects(table, config, path, accounting)
    passed = np.ones(rows, dtype=bool)
    if plan.selection is not None:
        _add_new_variables(table, plan.selection.names, plan, config, path)
        passed = _row_mask(plan.selection, table, path)
    kept = int(passed.sum())
    if kept < rows:
        table = take_table_rows(table, passed)
        accounting.dropped[group, "selection"] += rows - kept
    if kept:
        _add_new_variables(table, plan.computed, plan, config, path)
    accounting.read[group] += rows
    accounting.selected[group] += kept
    return SelectedRows(table, passed, accounting)


def _value_by_path(path: str, values: dict[str, float] | Any) -> float:
    """The value of the first pattern that is found in ``path``, else 0 (as in Weaver)."""
    return next((value for pattern, value in values.items() if re.search(pattern, path)), 0)


def _add_new_variables(
    table: Table, names: Iterable[str], plan: Plan, config: DataConfig, path: str
) -> None:
    """Put the new variables among ``names``, and those that they are made of, into ``table``; optional ones where they can be computed."""
    for name in dependency_order(config, names):
        if name in table or name not in config.new_variables:
            continue
        expression = config.new_variables[name]
        if plan.is_optional(name) and not expression.names <= table.keys():
            continue
        table[name] = evaluate_column(expression, table, f"{path}: new variable {name!r}")


def evaluate_column(expression: Expression, table: Table, where: str) -> Any:
    """``evaluate``, with the place in its errors."""
    try:
        return evaluate(expression, table)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _row_mask(selection: Expression, table: Table, path: str) -> Mask:
    where = f"{path}: selection {selection.source!r}"
    values = flat_column(evaluate_column(selection, table, where))
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in "biu":
        kind = (
            f"type {ak.type(to_awkward(values))}"
            if not isinstance(values, np.ndarray)
            else f"shape {values.shape}, type {values.dtype}"
        )
        raise DataError(f"{where}: expected true or false for each row, found {kind}")
    return values.astype(bool)


def _select_objects(table: Table, config: DataConfig, path: str, accounting: Accounting) -> Table:
    """Raw columns with only the objects that pass; nothing computed from the others is kept."""
    masks = {
        name: _object_mask(chosen, table, config, path) for name, chosen in config.objects.items()
    }
    for name, mask in masks.items():
        accounting.objects_dropped[name] += len(mask.content) - int(mask.content.sum())
    offsets = {
        name: np.concatenate([[0], np.cumsum(mask.content)])[mask.offsets]
        for name, mask in masks.items()
    }
    filtered = dict(table)
    for column, values in table.items():
        owners = [
            name
            for name, chosen in config.objects.items()
            if any(fnmatchcase(column, pattern) for pattern in chosen.columns)
        ]
        if len(owners) > 1:
            raise DataError(
                f"{config.source}: objects: column {column!r} belongs to {' and '.join(owners)}; give their `columns`"
            )
        if owners:
            filtered[column] = _take_objects(
                values,
                masks[owners[0]],
                offsets[owners[0]],
                f"{path}: objects of {owners[0]!r}",
                column,
            )
    return filtered


def _object_mask(
    chosen: ObjectSelection, table: Table, config: DataConfig, path: str
) -> JaggedColumn:
    where = f"{path}: objects of {chosen.group!r}"
    scratch = dict(table)
    for name in dependency_order(config, chosen.expression.names):
        if name in config.new_variables:
            scratch[name] = evaluate_column(
                config.new_variables[name], scratch, f"{where}: new variable {name!r}"
            )
    mask = flat_column(evaluate_column(chosen.expression, scratch, where))
    if not isinstance(mask, JaggedColumn) or mask.content.dtype.kind not in "biu":
        raise DataError(
            f"{where}: {chosen.expression.source!r} must be true or false for each object, found one value a row or numbers"
        )
    return JaggedColumn(mask.content.astype(bool), mask.offsets, chosen.expression.source)


def _take_objects(
    values: Any, mask: JaggedColumn, offsets: npt.NDArray[np.int64], where: str, column: str
) -> Any:
    """The objects of a column that pass; a per-row column as it is."""
    found = flat_column(values)
    if isinstance(found, np.ndarray):
        return values
    counts = (
        found.counts if isinstance(found, JaggedColumn) else ak.to_numpy(ak.num(values, axis=1))
    )
    if not np.array_equal(counts, mask.counts):
        row = int(np.argmax(counts != mask.counts))
        raise DataError(
            f"{where}: column {column!r} has {counts[row]} objects in row {row} of the chunk where {mask.name!r} has {mask.counts[row]}; "
            "if it is of another collection, name the columns to filter (`columns:`)"
        )
    if isinstance(found, JaggedColumn):
        return to_awkward(JaggedColumn(found.content[mask.content], offsets))
    return ak.to_packed(values[to_awkward(mask)])


def take_table_rows(table: Table, passed: Mask) -> Table:
    """The rows of all columns where ``passed`` (R,); shared offsets stay shared."""
    index = np.flatnonzero(passed)
    once = Interner()
    known: dict[
        int, tuple[Any, Any]
    ] = {}  # id of the offsets -> offsets and places of the rows taken
    taken: Table = {}
    for name, values in table.items():
        found = flat_column(values)
        if isinstance(found, JaggedColumn):
            offsets = once(found.offsets)
            key = id(offsets)
            if key not in known:
                counts = np.diff(offsets)[index]
                known[key] = (
                    np.concatenate([[0], np.cumsum(counts)]),
                    index_runs(offsets[:-1][index], counts),
                )
            taken[name] = to_awkward(JaggedColumn(found.content[known[key][1]], known[key][0]))
        else:
            taken[name] = (
                values[passed] if isinstance(values, np.ndarray) else ak.to_packed(values[passed])
            )
    return taken


def row_numbers(values: Any, where: str) -> npt.NDArray[np.float64]:
    """A column that must have one number for each row: (R,).

    :raises DataError: it is jagged, or no numbers.
    """
    found = flat_column(values)
    if not isinstance(found, np.ndarray) or found.ndim != 1 or found.dtype.kind not in "biuf":
        kind = (
            "it has one for each object"
            if isinstance(found, JaggedColumn)
            else f"its type is {ak.type(found)}"
        )
        raise DataError(f"{where}: expected one number for each row, but {kind}")
    return found.astype(np.float64)
