"""What is to be learnt: label expressions -> numbers for each row or object, which are checked.

Labels that the files lack are an error in training and left out in prediction. What a label does
not say stays undefined, ``NO_CLASS`` or NaN: it is counted, and has no part in loss and metrics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import (
    CLASS_LABEL,
    NO_CLASS,
    DataConfig,
    Labels,
    window_label,
)
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.rows import Floats, Integers
from weaver_tt.data.rows.table import Table, evaluate_column, flat_column
from weaver_tt.data.rows.target_checks import TargetChecks
from weaver_tt.errors import ConfigError, DataError, DataErrors, nearest
from weaver_tt.expressions.elementwise import JaggedColumn
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.log import log
from weaver_tt.system.wording import listed

Numbers = npt.NDArray[Any]
UNDEFINED_CLASS = "class (none or several)"  # what the accounting calls rows without one


@dataclass(frozen=True, slots=True)
class WantedLabels:
    """What a task wants of its labels, beyond a number for each row or object.

    ``binary`` labels must be 0 or 1, and training data must have both.
    """

    binary: frozenset[str] = frozenset()

    def check_names(self, config: DataConfig) -> None:
        """Check that ``config`` has the labels that are wanted.

        Raises:
            ConfigError: a binary label is no target of its.
        """
        known: list[str] = []
        if config.labels is not None:
            known = [name for name in config.label_names if name != CLASS_LABEL]
        for name in sorted(self.binary):
            if name not in known:
                raise ConfigError(
                    f"{config.source}: labels: the task wants {name!r} to be 0 or 1, "
                    f"and there is no such target; {nearest(name, known)}"
                )


ANY_LABELS = WantedLabels()


def can_compute(expressions: Iterable[Expression], table: Table, plan: Plan) -> bool:
    """Whether labels or weights can be computed from the columns of ``table``.

    Always in training, where a column that is missing is an error of its own.
    """
    if plan.purpose == "train":
        return True
    return all(expression.names <= table.keys() for expression in expressions)


def row_labels(
    table: Table,
    config: DataConfig,
    plan: Plan,
    where: str,
    wanted: WantedLabels = ANY_LABELS,
    row_numbers: Integers | None = None,
) -> tuple[dict[str, Numbers], Accounting]:
    """Labels with one value a row: the class ``_label_`` int64 (R,), each target float32 (R,).

    The class of a row of none or several is ``NO_CLASS``, in prediction; in training that is an
    error. A target that is NaN or infinite is NaN. Both are counted with their first place:
    ``row_numbers`` (R,) are those in the file ``where``.

    Beside a target ``y`` with a window, ``y_valid`` float32 (R,) is 1 inside of it, else 0.

    Where prediction lacks columns, it goes without the classes, or without all targets.
    """
    accounting = Accounting()
    found: dict[str, Numbers] = {}
    wrong = DataErrors()
    labels = config.labels
    if labels is None:
        return found, accounting
    if row_numbers is None:
        row_numbers = np.arange(len(next(iter(table.values()))))
    if labels.classes and can_compute(labels.class_columns.values(), table, plan):
        strict = plan.purpose == "train"
        with wrong.noted():
            columns = _row_columns(labels.class_columns, table, config, where)
            found[CLASS_LABEL] = _classes_of_rows(
                columns, labels, where, row_numbers, accounting, strict
            )
    needed = [*labels.targets.values(), *config.windows.values()]
    if labels.targets and can_compute(needed, table, plan):
        with wrong.noted():
            columns = _row_columns(labels.targets, table, config, where)
            windows = _row_columns(config.windows, table, config, where)
            checks = TargetChecks(table, config, where, row_numbers)
            found |= target_numbers(
                columns, windows, checks, labels.masks, plan, wanted, accounting
            )
    wrong.check()
    return found, accounting


def target_numbers(
    columns: Mapping[str, Numbers],
    windows: Mapping[str, Numbers],
    checks: TargetChecks,
    masks: Mapping[str, str],
    plan: Plan,
    wanted: WantedLabels,
    accounting: Accounting,
    is_real: bool = True,
) -> dict[str, Floats]:
    """Targets of M rows or objects as float32 (M,), NaN where they are not finite, by name.

    ``columns`` (M,) are as the data have them, their ``masks`` among them; of a target with one of
    the ``windows`` (M,), ``y_valid`` is 1 inside and 0 outside. What is undefined or binary is
    added to ``accounting``. Targets that ``is_real`` must be learnable in training.

    Raises:
        DataError: a target is not what is wanted of it, or cannot be learnt; names all.
    """
    found: dict[str, Floats] = {}
    wrong = DataErrors()
    for name, values in windows.items():
        # what is NaN is in no window
        is_inside = np.nan_to_num(values) != 0  # (M,)
        found[window_label(name)] = is_inside.astype(np.float32)
    for name, values in columns.items():
        # where a target does not count, it may be anything
        counts = np.ones(len(values), dtype=bool)  # (M,)
        if name in masks:
            counts = columns[masks[name]] != 0
        if name in wanted.binary and plan.purpose == "train":
            with wrong.noted():
                numbers = count_binary_targets(name, values[counts], checks.where, checks.entries)
                accounting.targets.update(numbers)
        elif name in wanted.binary:
            values = binary_or_nan(values)
        found[name], is_defined = finite_or_nan(values)
        missed = checks.row_numbers[counts & ~is_defined]
        accounting.add_rows("undefined", name, checks.where, missed)
        if is_real and plan.purpose == "train":
            is_learnt = counts & is_defined
            if window_label(name) in found:
                is_learnt &= found[window_label(name)] != 0
            with wrong.noted():
                checks.check_logarithms(name, counts & ~is_defined)
                checks.check_domain(name, found[name], is_learnt)
    wrong.check()
    for mask in masks.values():
        # nobody knows whether a target counts whose mask is undefined
        found[mask] = np.nan_to_num(found[mask])
    return found


def class_columns(table: Table, config: DataConfig, plan: Plan, where: str) -> dict[str, Floats]:
    """The columns of the classes as the data have them, to be written beside their scores: (R,).

    Where a label is the number of the class, that label.

    They are real numbers, whatever type a file has: a row may be of two classes, or half of one.
    """
    labels = config.labels
    if plan.purpose == "train" or labels is None:
        return {}
    if not can_compute(labels.class_columns.values(), table, plan):
        return {}
    columns = _row_columns(labels.class_columns, table, config, where)
    return {name: values.astype(np.float32) for name, values in columns.items()}


def finite_or_nan(values: Numbers) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Values (M,) as float32, NaN where they are not finite; and where they are, (M,)."""
    # doubles beyond the range of float32 become infinite, and count as such
    with np.errstate(over="ignore"):
        converted = values.astype(np.float32)
    is_finite = np.isfinite(converted)
    if not is_finite.all():
        converted = np.where(is_finite, converted, np.float32(np.nan))
    return converted, is_finite


def binary_or_nan(values: Numbers) -> Numbers:
    """Values (M,), NaN where they are neither 0 nor 1."""
    return np.where((values == 0) | (values == 1), values, np.nan)


def _row_columns(
    labels: Mapping[str, Expression], table: Table, config: DataConfig, where: str
) -> dict[str, Numbers]:
    """Each label's values, (R,).

    Raises:
        DataError: some labels cannot be computed, or have not one value for each row; names all.
    """
    columns = {}
    wrong = DataErrors()
    for name, expression in labels.items():
        with wrong.noted():
            columns[name] = _row_column(name, expression, table, config, where)
    wrong.check()
    return columns


def _row_column(
    name: str, expression: Expression, table: Table, config: DataConfig, where: str
) -> Numbers:
    place = f"{where}: label {name!r}"
    values = flat_column(evaluate_column(expression, table, place, config))
    if not isinstance(values, np.ndarray) or values.ndim != 1:
        raise DataError(
            f"{place}: expected one value for each row, found one for each object; "
            "`type: per_object` is for those"
        )
    return values


def _classes_of_rows(
    columns: dict[str, Numbers],
    labels: Labels,
    where: str,
    row_numbers: Integers,
    accounting: Accounting,
    strict: bool,
) -> Integers:
    """The class (R,) of each row, from its 0/1 columns or from its number.

    Where they do not say exactly one, an error if ``strict``, else ``NO_CLASS``.
    """
    names = list(labels.classes)
    if labels.class_number:
        [numbers] = columns.values()
        classes = whole_numbers_below(numbers, len(names))
    else:
        flags = np.stack(list(columns.values()), axis=1)  # (R, K)
        classes = class_numbers(flags)
    is_defined = classes != NO_CLASS
    # test data may hold other processes than those that were trained on
    if strict and not is_defined.all():
        first = int(row_numbers[~is_defined].min())
        if labels.class_number:
            [label] = columns
            raise _no_number_error(label, numbers[~is_defined], len(names), where, first)
        raise _no_class_error(names, flags, where, first)
    accounting.add_rows("undefined", UNDEFINED_CLASS, where, row_numbers[~is_defined])
    rows = np.bincount(classes[is_defined], minlength=len(names))
    for name, number in zip(names, rows, strict=True):
        accounting.targets[name] += int(number)
    return classes


def whole_numbers_below(values: Numbers, end: int) -> Integers:
    """Values (R,) that are 0, 1, ... ``end`` - 1; ``NO_CLASS`` in place of others."""
    is_class = (values >= 0) & (values < end) & (values == np.floor(values))
    # an unsigned type of a file cannot hold the other number
    classes = np.full(len(values), NO_CLASS, np.int64)
    classes[is_class] = values[is_class]
    return classes


def _no_number_error(label: str, bad: Numbers, end: int, where: str, first: int) -> DataError:
    """The error for values ``bad`` of a label that are no number of a class."""
    return DataError(
        f"{where}: label {label!r} is the number of a class, 0 to {end - 1}: {len(bad)} selected "
        f"rows have something else, such as {bad[0]} (the first is row {first}); `classes` of the "
        "labels or else the network's outputs say how many classes there are, and `task: "
        "regression` that it is a target"
    )


def class_numbers(flags: Numbers) -> Integers:
    """The class (R,) that each row of 0/1 flags (R, K) names; ``NO_CLASS`` unless it is one."""
    is_set = flags == 1  # (R, K)
    is_other = ~is_set & (flags != 0)
    names_one = (is_set.sum(axis=1) == 1) & ~is_other.any(axis=1)  # (R,)
    return np.where(names_one, np.argmax(is_set, axis=1), NO_CLASS)


def _no_class_error(names: list[str], flags: Numbers, where: str, first: int) -> DataError:
    """The error for flags (R, K) that do not name one class in each row; not in row ``first``."""
    is_set = flags == 1  # (R, K)
    is_other = ~is_set & (flags != 0)  # (R, K)
    classes_set = is_set.sum(axis=1)  # (R,)
    bad_rows = {
        "belong to no class": classes_set == 0,
        "belong to several": classes_set > 1,
        "have a value other than 0 and 1": is_other.any(axis=1),
    }
    counts = {what: int(rows.sum()) for what, rows in bad_rows.items()}
    problems = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    return DataError(
        f"{where}: labels {', '.join(names)}: of {len(flags)} selected rows, {problems} "
        f"(the first is row {first}); each must be 1 in exactly one of the columns"
    )


def object_labels(
    table: Table, config: DataConfig, plan: Plan, where: str
) -> dict[str, dict[str, JaggedColumn]]:
    """Input group -> its labels with one value for each object, where they can be computed.

    Beside a target ``y`` with a window, ``y_valid`` says which objects are inside.
    """
    found: dict[str, dict[str, JaggedColumn]] = {}
    wrong = DataErrors()
    if config.labels is None:
        return found
    for group, labels in config.labels.object_targets.items():
        expressions = dict(labels)
        if group == config.regressed_group:
            windows = config.windows.items()
            expressions |= {window_label(name): expression for name, expression in windows}
        if not can_compute(expressions.values(), table, plan):
            continue
        found[group] = {}
        for name, expression in expressions.items():
            with wrong.noted():
                found[group][name] = _object_column(name, expression, table, config, where)
    wrong.check()
    return found


def _object_column(
    name: str, expression: Expression, table: Table, config: DataConfig, where: str
) -> JaggedColumn:
    place = f"{where}: label {name!r}"
    values = flat_column(evaluate_column(expression, table, place, config))
    if not isinstance(values, JaggedColumn):
        raise DataError(
            f"{place} is per object, but {expression.source!r} has one value for each row"
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
        log.warning("%s: labels: no %s row is of class %s", config.source, what, listed(empty))


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
        # no entry at all is another matter than entries that are all alike
        if len(met) != 1:
            continue
        others = " or ".join(repr(name) for name in names if name != met[0])
        raise DataError(
            f"{config.source}: labels: all {found[met[0]]} training entries are {met[0]!r}, "
            f"none is {others}"
        )
