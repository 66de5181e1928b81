"""Which columns to read and which to compute, and in what order.

Training reads no observers; prediction does not need labels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.index_columns import check_expression
from weaver_tt.config.schema import DataConfig
from weaver_tt.expressions.evaluate import Expression, parse_expression

Purpose = Literal["train", "predict"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass over files needs. Names are the YAML's; ``branch_magic`` maps them to the file.

    ``columns`` are raw columns to read, ``computed`` the new variables in the order of their
    evaluation, ``original_indices`` what object selections add. Names in ``optional``, raw or
    computed, are left out where the file lacks what they need. ``selection`` selects rows;
    ``observers`` are copied to the output, none in training.
    """

    purpose: Purpose
    columns: tuple[str, ...]
    optional: frozenset[str]
    computed: tuple[str, ...]
    selection: Expression | None
    observers: tuple[str, ...] = ()
    original_indices: tuple[str, ...] = ()

    def is_optional(self, name: str) -> bool:
        """Whether a column or new variable may be absent."""
        return name in self.optional


def make_plan(config: DataConfig, purpose: Purpose) -> Plan:
    """The plan of a pass for training (and validation) or for prediction.

    Required are the inputs, those of derived outputs included, the selection, the object selections
    and the monitored columns.
    Training also requires labels, event weight, decorrelated variables, and what ``weights`` and
    ``bucketing`` use (see :func:`without_reweighting`). Prediction requires the observers; labels,
    event weight and decorrelated variables are optional there, as real data have no truth.

    Raises:
        ConfigError: new variables use each other in a circle.
    """
    selection = selection_of(config, purpose)
    required, wanted = needed_names(config, purpose)
    observers = config.observer_names if purpose == "predict" else ()
    all_names = dependency_order(config, [*required, *wanted])
    columns = [name for name in all_names if config.is_in_file(name)]
    computed = [name for name in all_names if name in config.new_variables]
    original_indices = [name for name in all_names if name in config.original_indices]
    # what is optional may itself be made of columns that are required
    optional = frozenset(all_names) - frozenset(dependency_order(config, required))
    return Plan(
        purpose=purpose,
        columns=tuple(columns),
        optional=optional,
        computed=tuple(computed),
        selection=selection,
        observers=observers,
        original_indices=tuple(original_indices),
    )


def needed_names(config: DataConfig, purpose: Purpose) -> tuple[list[str], list[str]]:
    """The names that a pass requires, and those that it takes where the files have them."""
    selection = selection_of(config, purpose)
    required = _always_needed(config)
    if selection is not None:
        required += sorted(selection.names)
    if purpose == "train":
        return [*required, *_target_names(config), *_sampling_names(config)], []
    return [*required, *config.observers], [*_target_names(config), *config.optional_observers]


def without_reweighting(config: DataConfig) -> DataConfig:
    """The configuration of passes that read each row once, in the order of the input.

    Validation and prediction are never reweighted.
    """
    return replace(config, weights=None, bucketing=None)


def selection_of(config: DataConfig, purpose: Purpose) -> Expression | None:
    """The row selection of a pass: prediction may have its own."""
    if purpose == "predict" and config.test_time_selection is not None:
        return config.test_time_selection
    return config.selection


def with_extra_selection(config: DataConfig, purpose: Purpose, extra: str | None) -> DataConfig:
    """``config`` with a further row selection in passes for ``purpose``; None changes nothing.

    Raises:
        ConfigError: ``extra`` is no expression.
    """
    if extra is None:
        return config
    where = f"{config.source}: extra selection"
    # parsed alone first: between parentheses `x) | (y` would be an expression
    alone = both = parse_expression(extra, where, config.custom_functions)
    check_expression(alone, where, config)
    own = selection_of(config, purpose)
    if own is not None:
        text = f"({own.source}) & ({extra})"
        both = parse_expression(text, where, config.custom_functions)
    if purpose == "predict":
        return replace(config, test_time_selection=both, extra_selection=alone)
    return replace(config, selection=both, extra_selection=alone)


def _always_needed(config: DataConfig) -> list[str]:
    """Names that every pass needs."""
    names = []
    for group in config.batch_groups.values():
        names += group.names
    for selection in config.objects.values():
        names += sorted(selection.expression.names)
    names += config.monitor_variables
    return names


def _target_names(config: DataConfig) -> list[str]:
    """Names that labels, event weight and terms of the loss need."""
    expressions: list[Expression] = []
    if config.labels is not None:
        expressions += config.labels.expressions.values()
        expressions += config.windows.values()
    if config.event_weight is not None:
        expressions.append(config.event_weight)
    names: list[str] = []
    if config.decorrelation is not None:
        names += config.decorrelation.variables
    for expression in expressions:
        names += sorted(expression.names)
    return names


def _sampling_names(config: DataConfig) -> list[str]:
    """Names that reweighting and bucketing need."""
    names = []
    if config.weights is not None:
        names += config.weights.names
    if config.bucketing is not None:
        names.append(config.bucketing.variable)
    return names
