"""Observers of no rows: their types are known before the first row is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import awkward as ak
import numpy as np
from awkward.types import ListType, NumpyType, Type

from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.rows.labels import can_compute
from weaver_tt.data.rows.table import Table, file_magic_type, file_name
from weaver_tt.expressions.elementwise import fill_missing
from weaver_tt.expressions.evaluate import calls_custom_function, evaluate
from weaver_tt.formats.column_types import empty_column

# place of an object in the file's list
ORIGINAL_INDEX = ListType(NumpyType("int64"))


def empty_observers(
    columns: Iterable[str], types: Mapping[str, Type], plan: Plan, config: DataConfig
) -> dict[str, ak.Array]:
    """The observers of no rows, made of ``columns`` with the ``types`` of a scan.

    With the columns that tell the class, which are written beside the scores. Left out are those
    that cannot be computed without rows, and those that a function of the user's own computes:
    their types are known only from rows.
    """
    table: Table = {}
    for name in columns:
        # the types of an optional column may be known from other groups only, or not at all
        if file_name(name, config) in types:
            table[name] = empty_column(types[file_name(name, config)])
    for name, values in config.file_magic.items():
        table[name] = np.zeros(0, file_magic_type(values))
    for name in plan.original_indices:
        table[name] = empty_column(ORIGINAL_INDEX)
    classes = {} if config.labels is None else config.labels.class_columns
    of_classes: list[str] = []
    for expression in classes.values():
        of_classes += sorted(expression.names)
    for name in dependency_order(config, [*plan.observers, *of_classes]):
        if name in table or name not in config.new_variables:
            continue
        expression = config.new_variables[name]
        if calls_custom_function(expression) or not expression.names <= table.keys():
            continue
        try:
            table[name] = evaluate(expression, table)
        # whatever it is: expressions need not work on no rows
        except Exception:
            continue
    found = {}
    if can_compute(classes.values(), table, plan):
        found = {name: ak.Array(np.zeros(0, np.float32)) for name in classes}
    for name in plan.observers:
        if name in table:
            found[name] = ak.Array(fill_missing(table[name]))
    return found
