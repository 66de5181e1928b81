"""What is to be learnt: label expressions -> one target for each row or object, checked.

Labels that the file lacks are an error in training and left out in prediction.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.table import Table, evaluate_column, flat_column
from weaver_tt.errors import DataError
from weaver_tt.expressions.elementwise import JaggedColumn
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.log import log

CLASS_LABEL = "_label_"  # name of the label that is a class
Numbers = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class WantedLabels:
    """What a task wants of its labels, beyond a number for each row or object.

    ``binary`` labels must be 0 or 1, and training data must have both.
    """

    binary: frozenset[str] = frozenset()


ANY_LABELS = WantedLabels()


def can_compute(expressions: list[Expression], table: Table, plan: Plan) -> bool:
    """Whether labels or weights can be computed: always in training, where a missing column is an error of its own."""
    return plan.purpose == "train" or all(
        expression.names <= table.keys() for expression in expressions
    )


def row_labels(
    table: Table, config: DataConfig, plan: Plan, where: str, wanted: WantedLabels = ANY_LABELS
) -> tuple[dict[str, Numbers], Accounting]:
    """Labels with one value a row: the class ``_label_`` int64 (R,), or custom labels float32 (R,) each."""
    labels, accounting = config.labels, Accounting()
    if (
        labels is None
        or labels.kind == "per_object"
        or not can_compute(list(labels.value.values()), table, plan)
    ):
        return {}, accounting
    columns = {
        name: _row_values(expression, table, f"{where}: label {name!r}")
        for name, expression in labels.value.items()
    }
    if labels.kind == "custom":
        for name in wanted.binary & columns.keys():
            accounting.targets.update(count_binary_targets(name, columns[name], where, "rows"))
        return {name: column.astype(np.float32) for name, column in columns.items()}, accounting
    found = _class_of_rows(columns, where, strict=plan.purpose == "train")
    counts = np.bincount(found, minlength=len(columns))
    accounting.targets.update(dict(zip(columns, counts.tolist(), strict=True)))
    return {CLASS_LABEL: found}, accounting


def _row_values(expression: Expression, table: Table, where: str) -> Numbers:
    values = flat_column(evaluate_column(expression, table, where))
    if not isinstance(values, np.ndarray) or values.ndim != 1:
        raise DataError(
            f"{where}: expected one value for each row, found one for each object; `type: per_object` is for those"
        )
    return values


def _class_of_rows(columns: dict[str, Numbers], where: str, strict: bool) -> npt.NDArray[np.int64]:
    """The class (R,) that each row's 0/1 columns name; where they do not name exactly one, an error, or (not ``strict``) a warning."""
    flags = np.stack(list(columns.values()), axis=1)  # (R, K)
    hits = (flags == 1).sum(axis=1)
    wrong = {
        "belong to no class": int((hits == 0).sum()),
        "belong to several": int((hits > 1).sum()),
        "have a value other than 0 and 1": int(((flags != 0) & (flags != 1)).any(axis=1).sum()),
    }
    if any(wrong.values()):
        counts = ", ".join(f"{number} {what}" for what, number in wrong.items() if number)
        message = f"{where}: labels {', '.join(columns)}: of {len(flags)} selected rows, {counts}; each must be 1 in exactly one of the columns"
        if strict:
            raise DataError(message)
        log.warning("%s", message)
    return np.argmax(flags == 1, axis=1)


def object_labels(
    table: Table, config: DataConfig, plan: Plan, where: str
) -> dict[str, JaggedColumn]:
    """Labels with one value for each object of their group, empty for other kinds of labels."""
    labels = config.labels
    if (
        labels is None
        or labels.kind != "per_object"
        or not can_compute(list(labels.value.values()), table, plan)
    ):
        return {}
    found = {}
    for name, expression in labels.value.items():
        values = flat_column(evaluate_column(expression, table, f"{where}: label {name!r}"))
        if not isinstance(values, JaggedColumn):
            raise DataError(
                f"{where}: label {name!r} is per object, but {expression.source!r} has one value for each row"
            )
        found[name] = values
    return found


def count_binary_targets(
    name: str, values: Numbers, where: str, entries: str = "objects"
) -> Counter[str]:
    """How many of a binary label's ``values`` (M,) are 0 and 1; anything else is an error."""
    ones = int((values == 1).sum())
    zeros = int((values == 0).sum())
    other = len(values) - ones - zeros
    if other:
        example = values[(values != 0) & (values != 1)][0]
        counted = f"{other} of {len(values)} {entries}"
        raise DataError(
            f"{where}: label {name!r}: {counted} are neither 0 nor 1 (such as {example})"
        )
    return Counter({f"{name} = 0": zeros, f"{name} = 1": ones})


def warn_of_empty_classes(accounting: Accounting, config: DataConfig, what: str) -> None:
    """Warn of classes that a full pass over the ``what`` data did not bring a row of."""
    if config.labels is not None and config.labels.kind == "simple" and accounting.targets.total():
        empty = [repr(name) for name in config.labels.value if not accounting.targets[name]]
        if empty:
            log.warning(
                "%s: labels: no %s row is of class %s", config.source, what, ", ".join(empty)
            )


def check_class_variety(
    accounting: Accounting, config: DataConfig, wanted: WantedLabels = ANY_LABELS
) -> None:
    """Check that a full pass over the training data brought more than one class of each label.

    Raises:
        DataError: all rows are of one class, or a binary label is 0 or 1 everywhere.
    """
    labels = config.labels
    found = accounting.targets
    if labels is None:
        return
    alternatives = [[f"{name} = 0", f"{name} = 1"] for name in sorted(wanted.binary)]
    if labels.kind == "simple" and len(labels.value) > 1:
        alternatives.append(list(labels.value))
    for names in alternatives:
        seen = [name for name in names if found[name]]
        if len(seen) == 1:
            absent = [name for name in names if name not in seen]
            others = " or ".join(map(repr, absent))
            raise DataError(
                f"{config.source}: labels: all {found[seen[0]]} training entries are {seen[0]!r}, none is {others}"
            )
