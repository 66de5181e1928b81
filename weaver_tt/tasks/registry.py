"""Which task a data YAML asks for."""

from __future__ import annotations

import inspect

from weaver_tt.config.schema import DataConfig
from weaver_tt.errors import ConfigError, nearest, unknown_key
from weaver_tt.tasks.base import Loss, Task
from weaver_tt.tasks.classification import Classification
from weaver_tt.tasks.density_ratio import DensityRatio
from weaver_tt.tasks.hybrid import Hybrid
from weaver_tt.tasks.object_efficiency import ObjectEfficiency
from weaver_tt.tasks.regression import Regression

TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Classification, ObjectEfficiency, Regression, Hybrid, DensityRatio)
}
# kind of labels -> task
DEFAULTS = {
    "simple": Classification,
    "custom": Regression,
    "per_object": ObjectEfficiency,
    # classes and targets, where there is no label of objects
    "mixed": Hybrid,
}


def make_task(config: DataConfig, loss: Loss | None = None) -> Task:
    """The task that the YAML's ``task:`` names with its options, else that of its kind of labels.

    ``loss`` is the network file's ``get_loss``, if it has one.

    Raises:
        ConfigError: there are no labels, no such task or no such option, or its options do not fit
            the labels.
    """
    if config.labels is None:
        raise ConfigError(f"{config.source}: no `labels`, so there is nothing to learn")
    if config.labels.kind == "mixed" and config.labels.object_targets:
        kinds = []
        for kind_of_part, group in config.labels.parts:
            kinds.append(kind_of_part if group is None else f"{kind_of_part} of {group}")
        # which of them is the target of which output only its author knows
        raise ConfigError(
            f"{config.source}: labels: {' and '.join(kinds)} together need a task of their own: "
            "write get_task(data_config, **options) in the network file (docs/network-file.md)"
        )
    if config.task is None:
        return DEFAULTS[config.labels.kind](config, loss=loss)
    if config.labels.kind == "mixed" and config.task.name in TASKS.keys() - {Hybrid.name}:
        raise ConfigError(
            f"{config.source}: task: {config.task.name}: the labels are classes and real targets, "
            f"which {Hybrid.name} learns together"
        )
    if config.task.name not in TASKS:
        raise ConfigError(
            f"{config.source}: task: {config.task.name!r}; {nearest(config.task.name, TASKS)}"
        )
    kind = TASKS[config.task.name]
    known = task_options(kind)
    for key in config.task.options:
        if key not in known:
            raise unknown_key(key, known, f"{config.source}: task")
    if config.targets and not kind.has_targets:
        raise unknown_key("targets", known, f"{config.source}: task")
    task = kind(config, loss=loss, **config.task.options)
    # now, and not after the first epoch
    task.check_watch(f"{config.source}: task.watch")
    return task


def task_options(kind: type[Task]) -> list[str]:
    """The options that a data YAML may give to a task.

    They are the keyword arguments of its ``__init__``, ``watch``, and what is said of each target.
    """
    options = ["watch"]
    for parameter in inspect.signature(kind.__init__).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            options.append(parameter.name)
    if kind.has_targets:
        options.append("targets")
    return options
