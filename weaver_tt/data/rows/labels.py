"""What is to be learnt: label expressions -> one target for each row or object, checked.

Labels that the file lacks are an error in training and left out in prediction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import CLASS_LABEL, DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.table import Table, evaluate_column, flat_column
from weaver_tt.errors import DataError
from weaver_tt.expressions.elementwise import JaggedColumn
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.log import log

Numbers = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class WantedLabels:
    """What a task wants of its labels, beyond a number for each row or object.

    ``binary`` labels must be 0 or 1, and training data must have both.
    """

    binary: frozenset[str] = frozenset()


ANY_LABELS = WantedLabels()


def can_compute(expressions: Iterable[Expression], table: Table, plan: Plan) -> bool:
    """Whether labels or weights can be computed from the columns of ``table``.

    Always in training, where a column that is missing is an error of its own.
    """
    if plan.purpose == "train":
        return True
    return all(expression.names <= table.keys() for expression in expressions)


def row_labels(
    table: Table, config: DataConfig, plan: Plan, where: str, wanted: WantedLabels = ANY_LABELS
) -> tuple[dict[str, Numbers], Accounting]:
    """Labels with one value a row: the class ``_label_`` int64 (R,), each target float32 (R,).

    Where prediction lacks columns, it goes without the classes, or without all targets.
    """
    labels = config.labels
    accounting = Accounting()
    found: dict[str, Numbers] = {}
    if labels is None:
        return found, accounting
    if labels.classes and can_compute(labels.classes.values(), table, plan):
        flags = _row_columns(labels.classes, table, where)
        found[CLASS_LABEL] = _class_of_rows(flags, where, strict=plan.purpose == "train")
        counts = np.bincount(found[CLASS_LABEL], minlength=len(flags))
        accounting.targets.update(dict(zip(flags, counts.tolist(), strict=True)))
    if labels.targets and can_compute(labels.targets.values(), table, plan):
        targets = _row_columns(labels.targets, table, where)
        for name in wanted.binary & targets.keys():
            values = targets[name]
            if name in labels.masks:
                values = values[targets[labels.masks[name]] != 0]
            accounting.targets.update(count_binary_targets(name, values, where, "rows"))
        found |= {name: values.astype(np.float32) for name, values in targets.items()}
    return found, accounting


def _row_columns(labels: Mapping[str, Expression], table: Table, where: str) -> dict[str, Numbers]:
    """Each label's values, (R,)."""
    return {
        name: _row_values(expression, table, f"{where}: label {name!r}")
        for name, expression in labels.items()
    }


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
) -> dict[str, dict[str, JaggedColumn]]:
    """Input group -> its labels with one value for each object, where they can be computed."""
    found: dict[str, dict[str, JaggedColumn]] = {}
    if config.labels is None:
        return found
    for group, labels in config.labels.object_targets.items():
        if can_compute(labels.values(), table, plan):
            found[group] = {
                name: _object_values(expression, table, f"{where}: label {name!r}")
                for name, expression in labels.items()
            }
    return found


def _object_values(expression: Expression, table: Table, where: str) -> JaggedColumn:
    values = flat_column(evaluate_column(expression, table, where))
    if not isinstance(values, JaggedColumn):
        raise DataError(
            f"{where} is per object, but {expression.source!r} has one value for each row"
        )
    return values


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
    """Warn of classes of which a full pass over the ``what`` data brought no row."""
    if config.labels is None:
        return
    rows = {name: accounting.targets[name] for name in config.labels.classes}
    empty = [repr(name) for name, number in rows.items() if number == 0]
    # data without labels has no row of any class, and is not worth a warning
    if empty and len(empty) < len(rows):
        log.warning("%s: labels: no %s row is of class %s", config.source, what, ", ".join(empty))


def check_class_variety(
    accounting: Accounting, config: DataConfig, wanted: WantedLabels = ANY_LABELS
) -> None:
    """Check that a full pass over the training data brought more than one class of each label.

    Raises:
        DataError: all rows are of one class, or a binary label is 0 or 1 everywhere.
    """
    if config.labels is None:
        return
    found = accounting.targets
    alternatives = [[f"{name} = 0", f"{name} = 1"] for name in sorted(wanted.binary)]
    if len(config.labels.classes) > 1:
        alternatives.append(list(config.labels.classes))
    for names in alternatives:
        met = [name for name in names if found[name]]
        if len(met) != 1:
            continue
        others = " or ".join(repr(name) for name in names if name != met[0])
        raise DataError(
            f"{config.source}: labels: all {found[met[0]]} training entries are {met[0]!r}, "
            f"none is {others}"
        )
