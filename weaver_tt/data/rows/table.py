"""A chunk's columns -> the table of selected rows.

Objects are filtered, then rows are selected, then new variables computed. Everything after the
object selection sees the file as if it held only the objects that passed. New variables that the
row selection does not need are computed only for the rows that passed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
from awkward.types import Type

from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.path_patterns import group_of, is_for_file
from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import DataConfig, ObjectSelection
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.rows import Integers, Interner, index_runs
from weaver_tt.errors import DataError
from weaver_tt.expressions.elementwise import (
    JaggedColumn,
    as_flat,
    fill_missing,
    to_awkward,
)
from weaver_tt.expressions.evaluate import Expression, evaluate
from weaver_tt.formats.column_types import cast_column
from weaver_tt.formats.file_groups import UNNAMED_GROUP
from weaver_tt.formats.reader import Reader
from weaver_tt.system.stage_times import Stage, stage
from weaver_tt.system.wording import counted

# types of columns that are read alone, as a file has them
AS_IN_FILE: Mapping[str, Type] = {}

# column -> ak.Array or np.ndarray of R rows; jagged columns with equal counts share their offsets
Table = dict[str, Any]
Mask = npt.NDArray[np.bool_]
# computes an expression on a table; the place is for its errors, the config for hints in them
Evaluator = Callable[[Expression, Table, str, DataConfig | None], Any]


@dataclass(slots=True)
class SelectedRows:
    """The rows of a chunk that passed; ``passed`` (chunk's rows,) says which.

    Where none passed, ``table`` holds nothing that is computed.
    """

    table: Table
    passed: Mask
    accounting: Accounting


def flat_column(values: Any) -> Any:
    """A column as numpy (R,) if it is per row, as JaggedColumn if it is per object.

    Missing numbers, such as ``ak.max`` of a row without objects, are NaN. Anything else (deeper
    lists, text) stays as it is.
    """
    return as_flat(fill_missing(_flat_with_missing(values)))


def _flat_with_missing(values: Any) -> Any:
    """A column as :func:`flat_column` has it, unless some of its numbers may be missing."""
    # an (R, P) array is R lists of P objects
    if isinstance(values, np.ndarray) and values.ndim > 1:
        values = ak.from_numpy(values)
    found = as_flat(values)
    # lists that are all empty need not say of what
    if isinstance(found, ak.Array) and str(found.type).endswith("unknown"):
        found = as_flat(ak.values_astype(found, np.float32, including_unknown=True))
    return found


def _is_of_rows(values: Any) -> bool:
    """Whether a column has one value for each row."""
    return isinstance(flat_column(values), np.ndarray)


def file_name(name: str, config: DataConfig) -> str:
    """What a column of the YAML is called in the file."""
    for text, replacement in config.branch_magic.items():
        name = name.replace(text, replacement)
    return name


def read_columns(
    reader: Reader,
    names: Iterable[str],
    config: DataConfig,
    first: int,
    last: int,
    types: Mapping[str, Type] = AS_IN_FILE,
) -> Table:
    """Rows [first, last) of columns under the names that the YAML gives them.

    ``types``: those that the columns have in all files together, by their names there (of
    :class:`~weaver_tt.data.scan.Scan`), so that nothing depends on which file a row is in.

    Raises:
        DataError: a file cannot be read, lacks a column, or has a value that does not fit.
    """
    names_in_file = {name: file_name(name, config) for name in names}
    # two names may mean the same column, which is read once
    distinct = list(dict.fromkeys(names_in_file.values()))
    columns = reader.read(distinct, first, last)
    if config.objects:
        _check_spellings(names_in_file, columns, reader, config)
    for name in distinct:
        if name not in types:
            continue
        try:
            columns[name] = cast_column(columns[name], types[name])
        except ValueError as error:
            raise DataError(
                f"{reader.place}: column {name!r} is {types[name]} in all files together: {error}"
            ) from error
    return {name: columns[name_in_file] for name, name_in_file in names_in_file.items()}


def _check_spellings(
    names: Mapping[str, str], columns: Table, reader: Reader, config: DataConfig
) -> None:
    """Check that a column under several ``names`` is filtered under all of them or none.

    ``names`` -> the spelling with which it was read, the key in ``columns``.

    Raises:
        DataError: it is filtered with the objects of a selection under some of its names only.
    """
    first_names: dict[str, str] = {}  # column of the file -> the first name for it
    for name, column in zip(names, reader.resolve(names.values()), strict=True):
        other = first_names.setdefault(column, name)
        owner = _owner_of_column(name, config)
        other_owner = _owner_of_column(other, config)
        # a value of the row is not filtered in any case
        if owner != other_owner and not _is_of_rows(columns[names[name]]):
            raise DataError(
                f"{reader.place}: {other!r} and {name!r} are the same column {column!r}, but only "
                f"one of them is filtered with the objects of {owner or other_owner!r}; use one "
                "name for it, or list both (`columns:`)"
            )


def make_table(
    columns: Table, plan: Plan, config: DataConfig, path: str, group: str
) -> tuple[Table, Accounting]:
    """:func:`select_rows`, for those who need not know which rows passed."""
    selected = select_rows(columns, plan, config, path, group)
    return selected.table, selected.accounting


def evaluate_column(
    expression: Expression, table: Table, where: str, config: DataConfig | None = None
) -> Any:
    """``evaluate``, with the place in its errors.

    With the ``config`` of selected objects, the errors name columns that were not filtered with
    the others of the expression.
    """
    try:
        with stage(Stage.EXPRESSIONS, expression.source):
            return evaluate(expression, table)
    except DataError as error:
        hint = "" if config is None else selection_hint(expression.names, table, config)
        raise DataError(f"{where}: {error}{hint}") from error


def select_rows(
    columns: Table,
    plan: Plan,
    config: DataConfig,
    path: str,
    group: str,
    evaluator: Evaluator = evaluate_column,
) -> SelectedRows:
    """The selected rows of raw ``columns`` (R rows each) with all of ``plan.computed``.

    ``path`` is the file, for messages and ``file_magic``, and ``group`` the file group that it is
    of, under which rows are counted. Every expression is computed by ``evaluator``.

    Raises:
        DataError: an expression does not fit the columns, or columns of one collection differ in
            their objects.
    """
    rows = len(next(iter(columns.values())))
    table = dict(columns)
    for name in config.file_magic:
        if plan.is_optional(name) and not _is_known(config.file_magic[name], group):
            # as a column that the files lack
            continue
        table[name] = file_magic_column(name, config, path, group, rows)
    accounting = Accounting()
    if config.objects:
        table = _select_objects(table, plan, config, path, accounting, evaluator)
    passed = np.ones(rows, dtype=bool)  # (R,)
    if plan.selection is not None:
        # the others are computed below, for the rows that pass
        _add_new_variables(table, plan.selection.names, plan, config, path, evaluator)
        passed = _row_mask(plan.selection, table, config, path, evaluator)
    kept = int(passed.sum())
    if kept < rows:
        table = take_table_rows(table, passed)
        accounting.dropped[group, "selection"] += rows - kept
    # expressions need not work on no rows
    if kept:
        _add_new_variables(table, plan.computed, plan, config, path, evaluator)
    accounting.read[group] += rows
    accounting.selected[group] += kept
    return SelectedRows(table, passed, accounting)


def file_magic_column(
    name: str, config: DataConfig, path: str, group: str, rows: int
) -> npt.NDArray[Any]:
    """A column of ``file_magic``: the same value (R,) for all rows of the file ``path``.

    ``group`` is the group of files that it is in.
    """
    values = config.file_magic[name]
    return np.full(rows, _value_of_file(path, group, values), file_magic_type(values))


def _is_known(patterns: Iterable[str], group: str) -> bool:
    """Whether a file without a group's name has a value by ``patterns``: not by groups alone."""
    if group != UNNAMED_GROUP:
        return True
    return any(group_of(pattern) is None for pattern in patterns)


def file_magic_type(values: Mapping[str, float]) -> np.dtype[Any]:
    """The type that holds the values of all files, and the 0 of those that no pattern is for."""
    return np.result_type(0, *values.values())


def _value_of_file(path: str, group: str, values: Mapping[str, float]) -> float:
    """The value of the first pattern that is for the file, else 0 (as in Weaver)."""
    for pattern, value in values.items():
        if is_for_file(pattern, path, group):
            return value
    return 0


def _add_new_variables(
    table: Table,
    names: Iterable[str],
    plan: Plan,
    config: DataConfig,
    path: str,
    evaluator: Evaluator,
) -> None:
    """Put the new variables among ``names``, and those that they are made of, into ``table``.

    Optional ones are left out where they cannot be computed.
    """
    for name in dependency_order(config, names):
        if name in table or name not in config.new_variables:
            continue
        expression = config.new_variables[name]
        if plan.is_optional(name) and not expression.names <= table.keys():
            continue
        table[name] = evaluator(expression, table, f"{path}: new variable {name!r}", config)


def selection_hint(names: Iterable[str], table: Table, config: DataConfig) -> str:
    """The end of an error about ``names`` that do not fit together, if a selection may be why.

    It names those that were not filtered with the objects of others; empty if there are none.
    """
    filtered: dict[str, str] = {}  # group -> a column of its
    unfiltered = []
    for name in dependency_order(config, names):
        if not config.is_in_file(name) or name not in table:
            continue
        owner = _owner_of_column(name, config)
        if owner is not None:
            filtered.setdefault(owner, name)
        elif not _is_of_rows(table[name]):
            unfiltered.append(repr(name))
    if not filtered or not unfiltered:
        return ""
    group, column = next(iter(filtered.items()))
    others = ", ".join(unfiltered)
    return (
        f"; {column!r} holds the selected objects of {group!r}, {others} all objects "
        f"(`columns:` of object_selection.{group} lists what is filtered)"
    )


def _row_mask(
    selection: Expression, table: Table, config: DataConfig, path: str, evaluator: Evaluator
) -> Mask:
    """Which rows pass, (R,); where the selection has no value, they do not."""
    where = f"{path}: selection {selection.source!r}"
    values = _true_or_false(evaluator(selection, table, where, config))
    if not isinstance(values, np.ndarray):
        found = f"type {ak.type(to_awkward(values))}"
    elif values.ndim != 1 or values.dtype.kind not in "biu":
        found = f"shape {values.shape}, type {values.dtype}"
    else:
        return values.astype(bool)
    raise DataError(f"{where}: expected true or false for each row, found {found}")


def _true_or_false(values: Any) -> Any:
    """A column of a selection, in which missing values are false."""
    return as_flat(fill_missing(_flat_with_missing(values), False))


def _select_objects(
    table: Table,
    plan: Plan,
    config: DataConfig,
    path: str,
    accounting: Accounting,
    evaluator: Evaluator,
) -> Table:
    """Raw columns with only the objects that pass; nothing computed from the others is kept."""
    masks: dict[str, JaggedColumn] = {}
    offsets: dict[str, Integers] = {}  # of the objects that pass
    original_indices: Table = {}
    for name, chosen in config.objects.items():
        # a selection may look at what an earlier one has left
        mask = _object_mask(chosen, table | original_indices, config, path, evaluator)
        accounting.objects[name] += len(mask.content)
        accounting.objects_dropped[name] += len(mask.content) - int(mask.content.sum())
        passed_before = np.concatenate([[0], np.cumsum(mask.content)])  # (M + 1,)
        offsets[name] = passed_before[mask.offsets]
        masks[name] = mask
        if chosen.original_index in plan.original_indices:
            original_indices[chosen.original_index] = _original_index(mask, offsets[name])
    filtered = dict(table)
    for column, values in table.items():
        owner = _owner_of_column(column, config)
        if owner is not None:
            where = f"{path}: objects of {owner!r}"
            filtered[column] = _take_objects(values, masks[owner], offsets[owner], where, column)
    return filtered | original_indices


def describe_empty_selections(accounting: Accounting, config: DataConfig) -> list[str]:
    """What to say of each object selection that no object of the rows that were read passed."""
    found = []
    for name, chosen in config.objects.items():
        number = accounting.objects[name]
        if number and accounting.objects_dropped[name] == number:
            found.append(
                f"no object of {name!r} passes its selection {chosen.expression.source!r}: all "
                f"{number:,} objects in {accounting.read.total():,} rows are dropped"
            )
    return found


def _original_index(mask: JaggedColumn, offsets: Integers) -> ak.Array:
    """The place in its row of each object that passes; ``offsets`` (R + 1,) are of those."""
    passed = np.flatnonzero(mask.content)  # (M,)
    first = np.repeat(mask.offsets[:-1], np.diff(offsets))  # (M,)
    return to_awkward(JaggedColumn(passed - first, offsets))


def _owner_of_column(column: str, config: DataConfig) -> str | None:
    """The input group with whose objects ``column`` is filtered, if any.

    Raises:
        DataError: there are several.
    """
    owners = [name for name, chosen in config.objects.items() if chosen.filters(column)]
    if len(owners) > 1:
        raise DataError(
            f"{config.source}: objects: column {column!r} belongs to {' and '.join(owners)}; "
            "give their `columns`"
        )
    return owners[0] if owners else None


def _object_mask(
    chosen: ObjectSelection,
    table: Table,
    config: DataConfig,
    path: str,
    evaluator: Evaluator,
) -> JaggedColumn:
    """Which objects pass, as a column of booleans; where there is no value, they do not."""
    where = f"{path}: objects of {chosen.group!r}"
    # computed from all objects, so not for later use
    scratch = dict(table)
    for name in dependency_order(config, chosen.expression.names):
        if name in config.new_variables:
            place = f"{where}: new variable {name!r}"
            scratch[name] = evaluator(config.new_variables[name], scratch, place, None)
    mask = _true_or_false(evaluator(chosen.expression, scratch, where, None))
    if not isinstance(mask, JaggedColumn) or mask.content.dtype.kind not in "biu":
        raise DataError(
            f"{where}: {chosen.expression.source!r} must be true or false for each object, "
            "found one value a row or numbers"
        )
    return JaggedColumn(mask.content.astype(bool), mask.offsets, chosen.expression.source)


def _take_objects(
    values: Any, mask: JaggedColumn, offsets: Integers, where: str, column: str
) -> Any:
    """The objects of a column that pass, which begin at ``offsets``; a per-row column as it is.

    Raises:
        DataError: the column does not have the objects of ``mask``.
    """
    found = flat_column(values)
    # a per-row column may share the prefix of the collection
    if isinstance(found, np.ndarray):
        return values
    is_flat = isinstance(found, JaggedColumn)
    counts = found.counts if is_flat else ak.to_numpy(ak.num(values, axis=1))
    if not np.array_equal(counts, mask.counts):
        row = int(np.argmax(counts != mask.counts))
        raise DataError(
            f"{where}: column {column!r} has {counted(int(counts[row]), 'object')} in row {row} of "
            f"the chunk where {mask.name!r} has {mask.counts[row]}; "
            "if it is of another collection, name the columns to filter (`columns:`)"
        )
    if is_flat:
        return to_awkward(JaggedColumn(found.content[mask.content], offsets))
    # deeper lists; packed, as a view would keep all objects in memory
    return ak.to_packed(values[to_awkward(mask)])


def take_table_rows(table: Table, passed: Mask) -> Table:
    """The rows of all columns where ``passed`` (R,); shared offsets stay shared."""
    rows = np.flatnonzero(passed)
    once = Interner()
    # id of the offsets -> offsets of the rows taken, and places of their objects
    objects_by_offsets: dict[int, tuple[Integers, Integers]] = {}
    taken: Table = {}
    for name, values in table.items():
        # expressions that are still to come may ask for missing values
        found = _flat_with_missing(values)
        if isinstance(found, JaggedColumn):
            offsets = once(found.offsets)
            if id(offsets) not in objects_by_offsets:
                counts = np.diff(offsets)[rows]
                new_offsets = np.concatenate([[0], np.cumsum(counts)])
                objects_by_offsets[id(offsets)] = (
                    new_offsets,
                    index_runs(offsets[:-1][rows], counts),
                )
            new_offsets, places = objects_by_offsets[id(offsets)]
            taken[name] = to_awkward(JaggedColumn(found.content[places], new_offsets))
        elif isinstance(values, np.ndarray):
            taken[name] = values[passed]
        else:
            taken[name] = ak.to_packed(values[passed])
    return taken


def row_numbers(values: Any, where: str) -> npt.NDArray[np.float64]:
    """A column that must have one number for each row: (R,).

    Raises:
        DataError: it is jagged, or no numbers.
    """
    found = flat_column(values)
    if isinstance(found, np.ndarray) and found.ndim == 1 and found.dtype.kind in "biuf":
        return found.astype(np.float64)
    if isinstance(found, JaggedColumn):
        what = "it has one for each object"
    else:
        what = f"its type is {ak.type(found)}"
    raise DataError(f"{where}: expected one number for each row, but {what}")
