"""Which columns to read and which to compute, in what order: in training without observers, in prediction without needing labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from weaver_tt.config.schema import DataConfig
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import Expression, parse_expression

Purpose = Literal["train", "predict"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass over files needs. Names are the YAML's; ``branch_magic`` maps them to those in the file."""

    purpose: Purpose
    columns: tuple[str, ...]  # raw columns to read
    optional: frozenset[
        str
    ]  # names, raw or computed, that are left out where the file lacks what they need
    computed: tuple[str, ...]  # new variables in the order of their evaluation
    selection: Expression | None  # the rows to keep
    observers: tuple[str, ...] = ()  # to be copied to the output; none in training

    def is_optional(self, name: str) -> bool:
        """Whether a column or new variable may be absent."""
        return name in self.optional


def make_plan(config: DataConfig, purpose: Purpose) -> Plan:
    """The plan of a pass for training (and validation) or for prediction.

    Required are the inputs, the selection, the object selections and the monitored columns; in training also labels and event weight, which are
    optional in prediction (data has none), and what ``weights`` and ``bucketing`` use (see :func:`without_reweighting`); in prediction also the observers.

    :raises ConfigError: new variables use each other in a circle.
    """
    predicting = purpose == "predict"
    selection = selection_of(config, purpose)
    needed = list(_always_needed(config))
    if selection is not None:
        needed += sorted(selection.names)
    targets = _target_names(config)
    if predicting:
        needed += config.observers
        wanted = [*targets, *config.optional_observers]
    else:
        needed, wanted = [*needed, *targets, *_sampling_names(config)], []
    required = dependency_order(config, needed)
    everything = dependency_order(config, [*needed, *wanted])
    return Plan(
        purpose=purpose,
        columns=tuple(
            name
            for name in everything
            if name not in config.new_variables and name not in config.file_magic
        ),
        optional=frozenset(everything) - frozenset(required),
        computed=tuple(name for name in everything if name in config.new_variables),
        selection=selection,
        observers=(*config.observers, *config.optional_observers) if predicting else (),
    )


def without_reweighting(config: DataConfig) -> DataConfig:
    """The configuration of passes that see each row once and in input order: validation and prediction are never reweighted."""
    return replace(config, weights=None, bucketing=None)


def selection_of(config: DataConfig, purpose: Purpose) -> Expression | None:
    """The row selection of a pass: prediction may have its own."""
    if purpose == "predict" and config.test_time_selection is not None:
        return config.test_time_selection
    return config.selection


def with_extra_selection(config: DataConfig, purpose: Purpose, extra: str | None) -> DataConfig:
    """``config``, of whose rows only those that also pass the expression ``extra`` count in passes for ``purpose``; None changes nothing.

    :raises ConfigError: ``extra`` is no expression.
    """
    if extra is None:
        return config
    own = selection_of(config, purpose)
    where = f"{config.source}: extra selection"
    both = parse_expression(extra, where, config.custom_functions)
    if own is not None:
        both = parse_expression(f"({own.source}) & ({extra})", where, config.custom_functions)
    return (
        replace(config, test_time_selection=both)
        if purpose == "predict"
        else replace(config, selection=both)
    )


def _always_needed(config: DataConfig) -> Iterable[str]:
    """Names that every pass needs."""
    for group in config.inputs.values():
        yield from group.names
    for selection in config.objects.values():
        yield from sorted(selection.expression.names)
    yield from config.monitor_variables


def _target_names(config: DataConfig) -> list[str]:
    """Names that labels and event weight need."""
    expressions = [] if config.labels is None else list(config.labels.expressions.values())
    if config.event_weight is not None:
        expressions.append(config.event_weight)
    return [name for expression in expressions for name in sorted(expression.names)]


def _sampling_names(config: DataConfig) -> list[str]:
    """Names that reweighting and bucketing need."""
    names = [] if config.weights is None else config.weights.names
    return names if config.bucketing is None else [*names, config.bucketing.variable]


def dependency_order(config: DataConfig, names: Iterable[str]) -> list[str]:
    """``names`` and all that they need, each after what it is made of, without repetition.

    :raises ConfigError: new variables use each other in a circle, which the message names.
    """
    done: dict[str, None] = {}
    for name in names:
        _visit_dependencies(config, name, done, ())
    return list(done)


def _visit_dependencies(
    config: DataConfig, name: str, done: dict[str, None], path: tuple[str, ...]
) -> None:
    if name in done:
        return
    if name in path:
        circle = " -> ".join((*path[path.index(name) :], name))
        raise ConfigError(
            f"{config.source}: new_variables: {circle} is a circle; a new variable cannot be made of itself"
        )
    if name in config.new_variables:
        for part in sorted(config.new_variables[name].names):
            _visit_dependencies(config, part, done, (*path, name))
    done[name] = None
