"""A table of selected rows -> Rows: input variables scaled and side by side, labels, weight, monitors and observers.

Scaling is ``finite? -> (x - center) * scale -> clip(low, high)`` in float32; a non-finite x counts as 0. Without a center the raw value stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows import labels
from weaver_tt.data.rows.labels import WantedLabels
from weaver_tt.data.rows.rows import Floats, Integers, Interner, JaggedObjects, Rows, index_runs
from weaver_tt.data.rows.table import Table, evaluate_column, flat_column
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.elementwise import JaggedColumn as Column

SCALE_BLOCK = 32_768  # objects scaled at a time


@dataclass(slots=True)
class KeptObjects:
    """Which objects of R rows are kept for a group: the first ``length`` of each row."""

    counts: Integers  # (R,) kept
    full_counts: Integers  # (R,); the same object where none is cut
    kept: Integers | None  # places of the kept ones among all, None for all

    def cut(self, content: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The kept ones of (M,) values."""
        return content if self.kept is None else content.take(self.kept)


@dataclass(slots=True)
class _RowsBuilder:
    """Makes the parts of one chunk's Rows."""

    table: Table
    where: str
    accounting: Accounting = field(default_factory=Accounting)
    _once: Interner = field(default_factory=Interner)
    _objects: dict[tuple[int, int], KeptObjects] = field(default_factory=dict)
    _floats: dict[tuple[str, int], Floats] = field(default_factory=dict)

    def kept(self, group: InputGroup) -> KeptObjects:
        """The objects of a per-object group that are kept, once it is known that all of its columns have them."""
        assert group.length is not None
        columns = {name: self.column(name, group) for name in group.names}
        first = columns[group.names[0]]
        for name, column in columns.items():
            self.check_aligned(column, first, f"input group {group.name!r}: {name!r}", first.name)
        objects = self.objects(first, group.length)
        if objects.kept is not None:
            self.accounting.truncated[group.name] += int(
                objects.full_counts.sum() - objects.counts.sum()
            )
        return objects

    def jagged(
        self, groups: Sequence[InputGroup], objects: KeptObjects
    ) -> dict[str, JaggedObjects]:
        """Per-object groups with the same objects, which are padded alike: scaled, side by side in one content."""
        names = [(variable.name, group) for group in groups for variable in group.variables]
        values = [
            self.floats(name, objects.cut(self.column(name, group).content), id(objects))
            for name, group in names
        ]
        content = scale_columns(
            values, [variable for group in groups for variable in group.variables]
        )
        ends = np.cumsum([len(group.variables) for group in groups]).tolist()
        columns = [slice(first, last) for first, last in zip([0, *ends], ends, strict=False)]
        return {
            group.name: JaggedObjects(content, objects.counts, objects.full_counts, own)
            for group, own in zip(groups, columns, strict=True)
        }

    def scalars(self, group: InputGroup) -> Floats:
        """A per-row group: scaled (R, C)."""
        why = f"input group {group.name!r} has no length"
        return scale_columns(
            [self.floats(name, self.row_column(name, why), 0) for name in group.names],
            group.variables,
        )

    def column(self, name: str, group: InputGroup) -> Column:
        """A column that must be per object."""
        column = flat_column(self.table[name])
        if isinstance(column, Column):
            return Column(column.content, self._once(column.offsets), name)
        kind = (
            f"one value a row, shape {column.shape}"
            if isinstance(column, np.ndarray)
            else f"type {ak.type(column)}"
        )
        raise DataError(
            f"{self.where}: input group {group.name!r} has {group.length} objects a row, but its variable {name!r} has {kind}"
        )

    def row_column(self, name: str, why: str) -> npt.NDArray[Any]:
        """A column that must be per row."""
        column = flat_column(self.table[name])
        if isinstance(column, np.ndarray):
            return column
        kind = (
            f"{len(column.content)} objects in {len(column.offsets) - 1} rows"
            if isinstance(column, Column)
            else f"type {ak.type(column)}"
        )
        raise DataError(f"{self.where}: {why}, but {name!r} has {kind} instead of one value a row")

    def objects(self, column: Column, length: int) -> KeptObjects:
        """The objects kept of a column's; the same object for columns with equal counts."""
        key = id(self._once(column.offsets)), length
        if key not in self._objects:
            full = column.counts
            if len(full) and full.max() > length:
                counts = np.minimum(full, length)
                self._objects[key] = KeptObjects(
                    counts, full, index_runs(column.offsets[:-1], counts)
                )
            else:
                self._objects[key] = KeptObjects(full, full, None)
        return self._objects[key]

    def check_aligned(self, column: Column, first: Column, what: str, first_name: str) -> None:
        """Raise DataError unless both columns have the same number of objects in each row."""
        if column.is_aligned_with(first):
            return
        row = int(np.argmax(column.counts != first.counts))
        raise DataError(
            f"{self.where}: {what} has {column.counts[row]} objects in row {row} where {first_name!r} has {first.counts[row]}"
        )

    def floats(self, name: str, values: npt.NDArray[Any], objects: int) -> Floats:
        """Raw values as finite float32; NaN and infinities become 0 and are counted."""
        key = name, objects
        if key not in self._floats:
            with np.errstate(over="ignore"):
                converted = values.astype(np.float32, copy=False)
            if values.dtype.kind == "f" and not (finite := np.isfinite(converted)).all():
                self.accounting.nonfinite[name] += len(finite) - int(finite.sum())
                converted = np.where(finite, converted, np.float32(0))
            self._floats[key] = converted
        return self._floats[key]


def to_rows(
    table: Table,
    config: DataConfig,
    plan: Plan,
    where: str = "",
    wanted: WantedLabels = labels.ANY_LABELS,
) -> tuple[Rows, Accounting]:
    """The selected rows (at least one) of a table as Rows, and what was cut, replaced and seen.

    ``where`` is the file, for messages; ``wanted`` is what the task wants of the labels.

    Raises:
        DataError: columns of a group do not fit together, labels are not what they should be, or
            a weight is not finite.
    """
    maker = _RowsBuilder(table, where or config.source)
    size = len(next(iter(table.values())))
    rows = Rows({}, {}, {}, size=size)
    objects = {
        name: maker.kept(group) for name, group in config.inputs.items() if group.length is not None
    }
    alike: dict[tuple[int, str], list[str]] = {}
    for name, kept in objects.items():
        alike.setdefault((id(kept), config.inputs[name].pad_mode), []).append(name)
    for names in alike.values():
        rows.objects |= maker.jagged([config.inputs[name] for name in names], objects[names[0]])
    rows.scalars = {
        name: maker.scalars(group) for name, group in config.inputs.items() if group.length is None
    }
    rows.labels, seen = labels.row_labels(table, config, plan, maker.where, wanted)
    maker.accounting.add(seen)
    _add_object_labels(rows, maker, config, plan, objects, wanted)
    rows.weight = _event_weight(table, config, plan, maker.where)
    _add_monitors(rows, maker, config, objects)
    rows.observers = {name: ak.Array(table[name]) for name in plan.observers if name in table}
    return rows, maker.accounting


def scale_columns(columns: Sequence[Floats], variables: Sequence[Variable]) -> Floats:
    """Finite columns (M,) of C variables -> scaled, side by side (M, C)."""
    size = len(columns[0])
    content = np.empty((size, len(columns)), dtype=np.float32)
    scratch = np.empty(min(SCALE_BLOCK, size), dtype=np.float32)
    for first in range(0, size, SCALE_BLOCK):
        last = min(first + SCALE_BLOCK, size)
        for i, (column, variable) in enumerate(zip(columns, variables, strict=True)):
            content[first:last, i] = scale_values(
                column[first:last], variable, scratch[: last - first]
            )
    return content


def scale_values(values: Floats, variable: Variable, out: Floats) -> Floats:
    """``clip((values - center) * scale, low, high)`` in ``out``; without a center, ``values`` themselves."""
    if variable.center is None:
        return values
    if variable.center == "auto":
        raise ConfigError(
            f"variable {variable.name!r}: its center is 'auto', and no statistics of the training data are at hand"
        )
    np.subtract(values, np.float32(variable.center), out=out)
    np.multiply(out, np.float32(variable.scale), out=out)
    return np.clip(out, np.float32(variable.low), np.float32(variable.high), out=out)


def _add_object_labels(
    rows: Rows,
    maker: _RowsBuilder,
    config: DataConfig,
    plan: Plan,
    objects: dict[str, KeptObjects],
    wanted: WantedLabels,
) -> None:
    """Per-object labels (M, L) beside the content of their groups."""
    found = labels.object_labels(maker.table, config, plan, maker.where)
    for group_name, columns in found.items():
        group = config.inputs[group_name]
        first = maker.column(group.names[0], group)
        kept: list[Floats] = []
        for name, column in columns.items():
            maker.check_aligned(column, first, f"label {name!r}", first.name)
            values = objects[group_name].cut(column.content)  # (M,)
            if name in wanted.binary:
                counts = labels.count_binary_targets(name, values, maker.where)
                maker.accounting.targets.update(counts)
            kept.append(values.astype(np.float32))
        rows.object_labels[group_name] = np.stack(kept, axis=1)


def _event_weight(table: Table, config: DataConfig, plan: Plan, where: str) -> Floats | None:
    """The event weight (R,), where there is one."""
    if config.event_weight is None or not labels.can_compute([config.event_weight], table, plan):
        return None
    source = config.event_weight.source
    values = flat_column(evaluate_column(config.event_weight, table, f"{where}: event_weight"))
    if not isinstance(values, np.ndarray):
        raise DataError(f"{where}: event_weight {source!r} must have one value for each row")
    weight = values.astype(np.float32)
    if bad := len(weight) - int(np.isfinite(weight).sum()):
        raise DataError(
            f"{where}: event_weight {source!r} is not finite in {bad} of {len(weight)} selected rows"
        )
    return weight


def _add_monitors(
    rows: Rows, maker: _RowsBuilder, config: DataConfig, objects: dict[str, KeptObjects]
) -> None:
    """Monitored columns, per row or per object of the :func:`main_group`, scaled like the input of that name if there is one."""
    variables = {
        variable.name: variable for group in config.inputs.values() for variable in group.variables
    }
    for name in config.monitor_variables:
        column, owner = flat_column(maker.table[name]), main_group(config)
        if isinstance(column, Column) and owner is not None:
            maker.check_aligned(
                column, maker.column(owner.names[0], owner), f"monitored {name!r}", owner.names[0]
            )
            kept = objects[owner.name]
            values = maker.floats(name, kept.cut(column.content), id(kept))
        else:
            owner, values = (
                None,
                maker.floats(
                    name,
                    maker.row_column(
                        name, "there are no objects that monitored columns could be of"
                    ),
                    0,
                ),
            )
        if name in variables:
            values = scale_values(values, variables[name], np.empty_like(values))
        if owner is None:
            rows.monitors[name] = values
        else:
            rows.object_monitors[owner.name, name] = values.reshape(-1, 1)


def main_group(config: DataConfig) -> InputGroup | None:
    """The group whose objects monitored columns are of.

    It is the first that is labelled, else the first with objects that is no mask.
    """
    for name in config.labels.object_targets if config.labels is not None else ():
        return config.inputs[name]
    return next(
        (
            group
            for group in config.inputs.values()
            if group.length is not None and not group.is_mask
        ),
        None,
    )
