"""A table of selected rows -> Rows: scaled input variables, labels, weight, monitors, observers.

Scaling is ``clip((x - center) * scale, low, high)`` in float32; an x that is not finite counts as
0. Without a center, the raw value stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import (
    DERIVED_INPUTS,
    DataConfig,
    InputGroup,
    Variable,
    window_label,
)
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows import labels
from weaver_tt.data.rows.labels import ANY_LABELS, WantedLabels
from weaver_tt.data.rows.rows import Floats, Integers, Interner, JaggedObjects, Rows, index_runs
from weaver_tt.data.rows.spectators import row_spectators
from weaver_tt.data.rows.table import Table, evaluate_column, flat_column, selection_hint
from weaver_tt.data.rows.target_checks import TargetChecks
from weaver_tt.errors import ConfigError, DataError, DataErrors
from weaver_tt.expressions.elementwise import JaggedColumn, fill_missing
from weaver_tt.system.wording import counted

SCALE_BLOCK = 32_768  # objects scaled at a time


@dataclass(slots=True)
class KeptObjects:
    """Which objects of R rows are kept for a group: the first ``length`` of each row.

    ``counts`` (R,) are kept of ``full_counts`` (R,); they are the same array where none is cut.
    ``kept`` are the places of the kept objects among all, None for all of them.
    """

    counts: Integers
    full_counts: Integers
    kept: Integers | None

    def cut(self, content: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The kept ones of (M,) values."""
        return content if self.kept is None else content.take(self.kept)


@dataclass(slots=True)
class _RowsBuilder:
    """Makes the parts of one chunk's Rows."""

    table: Table
    config: DataConfig
    where: str
    row_numbers: Integers  # (R,) number of each row in the file
    accounting: Accounting = field(default_factory=Accounting)
    _once: Interner = field(default_factory=Interner)
    _columns: dict[str, JaggedColumn] = field(default_factory=dict)
    _objects: dict[tuple[int, int], KeptObjects] = field(default_factory=dict)
    _floats: dict[tuple[str, int, float], Floats] = field(default_factory=dict)

    def kept(self, group: InputGroup) -> KeptObjects:
        """The objects of a per-object group that are kept.

        Raises:
            DataError: columns of the group differ in their objects.
        """
        assert group.length is not None
        columns = {name: self.column(name, group) for name in group.names}
        first = columns[group.names[0]]
        for name, column in columns.items():
            what = f"input group {group.name!r}: {name!r}"
            self.check_aligned(column, first, what, [name])
        objects = self.objects(first, group.length)
        if objects.kept is not None:
            beyond = int(objects.full_counts.sum() - objects.counts.sum())
            self.accounting.truncated[group.name] += beyond
        return objects

    def jagged(
        self, groups: Sequence[InputGroup], objects: KeptObjects
    ) -> dict[str, JaggedObjects]:
        """Groups with the same objects, which are padded alike: scaled, in one content (M, W)."""
        variables: list[Variable] = []
        values: list[Floats] = []
        ends = [0]
        for group in groups:
            for variable in group.variables:
                content = objects.cut(self.column(variable.name, group).content)  # (M,)
                filled = self.floats(variable.name, content, objects, variable.replacement)
                values.append(filled)
                variables.append(variable)
            ends.append(len(variables))
        scaled = scale_columns(values, variables)  # (M, W)
        jagged = {}
        for group, (first, last) in zip(groups, pairwise(ends), strict=True):
            own = slice(first, last)
            jagged[group.name] = JaggedObjects(scaled, objects.counts, objects.full_counts, own)
        return jagged

    def scalars(self, group: InputGroup) -> Floats:
        """A per-row group: scaled (R, C)."""
        why = f"input group {group.name!r} has no length"
        if group.name == DERIVED_INPUTS:
            why = "what derived_outputs and transforms of targets read has one value a row"
        values = []
        for variable in group.variables:
            column = self.row_column(variable.name, why)
            filled = self.floats(variable.name, column, replacement=variable.replacement)
            values.append(filled)
        return scale_columns(values, group.variables)

    def column(self, name: str, group: InputGroup) -> JaggedColumn:
        """A column that must be per object.

        Raises:
            DataError: it is something else.
        """
        if name in self._columns:
            return self._columns[name]
        column = flat_column(self.table[name])
        if isinstance(column, JaggedColumn):
            self._columns[name] = JaggedColumn(column.content, self._once(column.offsets), name)
            return self._columns[name]
        if isinstance(column, np.ndarray):
            found = f"one value a row, shape {column.shape}"
        else:
            found = f"type {ak.type(column)}"
        raise DataError(
            f"{self.where}: input group {group.name!r} has {group.length} objects a row, "
            f"but its variable {name!r} has {found}"
        )

    def row_column(self, name: str, why: str) -> npt.NDArray[Any]:
        """A column that must be per row; ``why`` it must, for the message.

        Raises:
            DataError: it is something else.
        """
        column = flat_column(self.table[name])
        if isinstance(column, np.ndarray):
            return column
        if isinstance(column, JaggedColumn):
            objects = counted(len(column.content), "object")
            found = f"{objects} in {counted(len(column.offsets) - 1, 'row')}"
        else:
            found = f"type {ak.type(column)}"
        raise DataError(f"{self.where}: {why}, but {name!r} has {found} instead of one value a row")

    def objects(self, column: JaggedColumn, length: int) -> KeptObjects:
        """The objects kept of a column's; the same object for columns with equal counts."""
        # the interner keeps the offsets, so their id stays theirs
        key = id(self._once(column.offsets)), length
        if key in self._objects:
            return self._objects[key]
        full_counts = column.counts
        if len(full_counts) and full_counts.max() > length:
            counts = np.minimum(full_counts, length)
            places = index_runs(column.offsets[:-1], counts)
            objects = KeptObjects(counts, full_counts, places)
        else:
            # the same array twice: what is made from it is then made once
            objects = KeptObjects(full_counts, full_counts, None)
        self._objects[key] = objects
        return objects

    def check_aligned(
        self, column: JaggedColumn, first: JaggedColumn, what: str, names: Iterable[str]
    ) -> None:
        """Raise DataError unless both columns have the same number of objects in each row.

        ``names`` are the columns and new variables that ``what`` is made of.
        """
        if column.is_aligned_with(first):
            return
        row = int(np.argmax(column.counts != first.counts))
        hint = selection_hint([*names, first.name], self.table, self.config)
        raise DataError(
            f"{self.where}: {what} has {counted(int(column.counts[row]), 'object')} in row {row} "
            f"where {first.name!r} has {first.counts[row]}{hint}"
        )

    def rows_of_objects(self, objects: KeptObjects) -> Integers:
        """Number in the file of the row that each kept object is of, (M,)."""
        return np.repeat(self.row_numbers, objects.counts)

    def floats(
        self,
        name: str,
        values: npt.NDArray[Any],
        objects: KeptObjects | None = None,
        replacement: float = 0.0,
    ) -> Floats:
        """Raw values as finite float32; NaN and infinities become ``replacement`` and are counted.

        ``objects`` are those that the values are of, None where there is one for each row: a
        variable may be in several groups.
        """
        key = name, id(objects), replacement
        if key in self._floats:
            return self._floats[key]
        # doubles beyond the range of float32 become infinite, and are counted as such
        with np.errstate(over="ignore"):
            converted = values.astype(np.float32, copy=False)
        # whole numbers and booleans need no look
        if values.dtype.kind == "f":
            finite = np.isfinite(converted)
            if not finite.all():
                rows = self.row_numbers if objects is None else self.rows_of_objects(objects)
                self.accounting.add_rows("nonfinite", name, self.where, rows[~finite])
                converted = np.where(finite, converted, np.float32(replacement))
        self._floats[key] = converted
        return converted


def to_rows(
    table: Table,
    config: DataConfig,
    plan: Plan,
    where: str = "",
    wanted: WantedLabels = ANY_LABELS,
    row_numbers: Integers | None = None,
) -> tuple[Rows, Accounting]:
    """The selected rows (at least one) of a table as Rows, and what was cut, replaced and counted.

    ``where`` is the file and ``row_numbers`` (R,) the rows in it, for messages; ``wanted`` is what
    the task wants of the labels.

    Raises:
        DataError: columns of a group do not fit together, labels are not what they should be, or
            a weight is not finite.
    """
    size = len(next(iter(table.values())))
    if row_numbers is None:
        row_numbers = np.arange(size)
    builder = _RowsBuilder(table, config, where or config.source, row_numbers)
    rows = Rows({}, {}, {}, size=size)
    objects: dict[str, KeptObjects] = {}
    # groups with the same objects that are padded alike share one content
    sharing: dict[tuple[int, str], list[InputGroup]] = {}
    for name, group in config.inputs.items():
        if group.length is not None:
            objects[name] = builder.kept(group)
            sharing.setdefault((id(objects[name]), group.pad_mode), []).append(group)
    for groups in sharing.values():
        rows.objects |= builder.jagged(groups, objects[groups[0].name])
    for name, group in config.batch_groups.items():
        if group.length is None:
            rows.scalars[name] = builder.scalars(group)
    # all labels that are wrong are said together
    wrong = DataErrors()
    with wrong.noted():
        rows.labels, accounting = labels.row_labels(
            table, config, plan, builder.where, wanted, row_numbers
        )
        builder.accounting.add(accounting)
    with wrong.noted():
        _add_object_labels(rows, builder, config, plan, objects, wanted)
    wrong.check()
    rows.monitors |= row_spectators(table, config, plan, builder.where, rows.labels, row_numbers)
    rows.weight = _event_weight(table, config, plan, builder.where)
    _add_monitors(rows, builder, config, objects)
    for name, flags in labels.class_columns(table, config, plan, builder.where).items():
        rows.observers[name] = ak.Array(flags)
    for name in plan.observers:
        if name in table:
            rows.observers[name] = ak.Array(fill_missing(table[name]))
    return rows, builder.accounting


def scale_columns(columns: Sequence[Floats], variables: Sequence[Variable]) -> Floats:
    """Finite columns (M,) of C variables -> scaled, side by side (M, C)."""
    size = len(columns[0])
    content = np.empty((size, len(columns)), dtype=np.float32)  # (M, C)
    # in blocks that stay in the cache: writing every C-th number of a large array is slow
    scratch = np.empty(min(SCALE_BLOCK, size), dtype=np.float32)
    for first in range(0, size, SCALE_BLOCK):
        last = min(first + SCALE_BLOCK, size)
        block = scratch[: last - first]
        for i, (column, variable) in enumerate(zip(columns, variables, strict=True)):
            scale_values(column[first:last], variable, block, content[first:last, i])
    return content


def scale_values(values: Floats, variable: Variable, scratch: Floats, out: Floats) -> None:
    """``clip((values - center) * scale, low, high)`` into ``out``; without a center, ``values``.

    ``scratch`` is as large as ``values`` and lies side by side in memory.

    Raises:
        ConfigError: the center has not been computed yet.
    """
    if variable.center is None:
        out[:] = values
        return
    if variable.center == "auto":
        raise ConfigError(
            f"variable {variable.name!r}: its center is 'auto', "
            "and no statistics of the training data are at hand"
        )
    # every step in float32, as the readers in C++ compute
    np.subtract(values, np.float32(variable.center), out=scratch)
    np.multiply(scratch, np.float32(variable.scale), out=scratch)
    np.clip(scratch, np.float32(variable.low), np.float32(variable.high), out=out)


def _add_object_labels(
    rows: Rows,
    builder: _RowsBuilder,
    config: DataConfig,
    plan: Plan,
    objects: dict[str, KeptObjects],
    wanted: WantedLabels,
) -> None:
    """Per-object labels (M, L) beside the content of their groups."""
    found = labels.object_labels(builder.table, config, plan, builder.where)
    for group_name, columns in found.items():
        numbers = _object_label_numbers(
            builder, config, plan, group_name, columns, objects[group_name], wanted
        )
        kept = [numbers[name] for name in config.object_label_names[group_name]]
        # side by side, so that all labels of an object move at once
        rows.object_labels[group_name] = np.stack(kept, axis=1)


def _object_label_numbers(
    builder: _RowsBuilder,
    config: DataConfig,
    plan: Plan,
    group_name: str,
    columns: dict[str, JaggedColumn],
    objects: KeptObjects,
    wanted: WantedLabels,
) -> dict[str, Floats]:
    """Label of the objects of a group, or window of a target -> its values (M,) of those kept."""
    group = config.inputs[group_name]
    first = builder.column(group.names[0], group)
    assert config.labels is not None
    names_in = {name: each.names for name, each in config.labels.expressions.items()}
    names_in |= {window_label(name): each.names for name, each in config.windows.items()}
    kept: dict[str, npt.NDArray[Any]] = {}
    wrong = DataErrors()
    for name, column in columns.items():
        with wrong.noted():
            builder.check_aligned(column, first, f"label {name!r}", names_in[name])
            kept[name] = objects.cut(column.content)  # (M,)
    wrong.check()
    is_regressed = group_name == config.regressed_group
    windows = {}
    if is_regressed:
        windows = {name: kept.pop(window_label(name)) for name in config.windows}
    checks = TargetChecks(
        builder.table,
        config,
        builder.where,
        builder.rows_of_objects(objects),
        entries="objects",
        values_of=partial(_values_of_objects, first=first, objects=objects),
    )
    return labels.target_numbers(
        kept,
        windows,
        checks,
        config.target_masks if is_regressed else {},
        plan,
        wanted,
        builder.accounting,
        is_real=is_regressed,
    )


def _values_of_objects(
    column: Any, first: JaggedColumn, objects: KeptObjects
) -> npt.NDArray[Any] | None:
    """Values (M,) of the objects kept of ``first``: those of a column, or of the row's.

    None for a column of other objects.
    """
    values = flat_column(column)
    if isinstance(values, JaggedColumn):
        return objects.cut(values.content) if values.is_aligned_with(first) else None
    if isinstance(values, np.ndarray) and values.ndim == 1:
        return np.repeat(values, objects.counts)
    return None


def regressed_objects(
    table: Table, config: DataConfig, plan: Plan, where: str
) -> dict[str, Floats]:
    """Real target of objects, mask or window -> its values (M,) of the objects that are kept.

    As a batch has them; of a table of at least one row.

    Raises:
        DataError: a target is not what it should be.
    """
    size = len(next(iter(table.values())))
    builder = _RowsBuilder(table, config, where, np.arange(size))
    name = config.regressed_group
    assert name is not None
    columns = labels.object_labels(table, config, plan, where)[name]
    kept = builder.kept(config.inputs[name])
    return _object_label_numbers(builder, config, plan, name, columns, kept, labels.ANY_LABELS)


def _event_weight(table: Table, config: DataConfig, plan: Plan, where: str) -> Floats | None:
    """The event weight (R,), where there is one."""
    expression = config.event_weight
    if expression is None or not labels.can_compute([expression], table, plan):
        return None
    values = flat_column(evaluate_column(expression, table, f"{where}: event_weight", config))
    if not isinstance(values, np.ndarray):
        raise DataError(
            f"{where}: event_weight {expression.source!r} must have one value for each row"
        )
    weight = values.astype(np.float32)
    bad = len(weight) - int(np.isfinite(weight).sum())
    if bad:
        raise DataError(
            f"{where}: event_weight {expression.source!r} is not finite "
            f"in {bad} of {len(weight)} selected rows"
        )
    return weight


def _add_monitors(
    rows: Rows, builder: _RowsBuilder, config: DataConfig, objects: dict[str, KeptObjects]
) -> None:
    """Monitored columns, per row or per object of the :func:`main_group`.

    They are scaled like the input of the same name, where there is one.
    """
    if not config.monitor_variables:
        return
    variables = {variable.name: variable for _, variable in config.input_variables()}
    owner = main_group(config)
    for name in config.monitor_variables:
        column = flat_column(builder.table[name])
        if owner is not None and isinstance(column, JaggedColumn):
            first = builder.column(owner.names[0], owner)
            builder.check_aligned(column, first, f"monitored {name!r}", [name])
            kept = objects[owner.name]
            values = builder.floats(name, kept.cut(column.content), kept)
            values = _scaled_like_input(values, variables.get(name))
            rows.object_monitors[owner.name, name] = values.reshape(-1, 1)
        else:
            why = "there are no objects that monitored columns could be of"
            values = builder.floats(name, builder.row_column(name, why))
            rows.monitors[name] = _scaled_like_input(values, variables.get(name))


def _scaled_like_input(values: Floats, variable: Variable | None) -> Floats:
    """Values as the input ``variable`` is scaled, or as they are."""
    if variable is None:
        return values
    scaled = np.empty_like(values)
    scale_values(values, variable, scaled, scaled)
    return scaled


def main_group(config: DataConfig) -> InputGroup | None:
    """The group whose objects monitored columns are of.

    It is the first that is labelled, else the first with objects that is no mask.
    """
    if config.labels is not None and config.labels.object_targets:
        return config.inputs[next(iter(config.labels.object_targets))]
    for group in config.inputs.values():
        if group.length is not None and not group.is_mask:
            return group
    return None
