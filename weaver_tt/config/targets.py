"""What ``task`` says of real targets: their losses, weights, windows, transforms, and outputs."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

from weaver_tt.config.schema import (
    DataConfig,
    Labels,
    Target,
    TargetLoss,
    TargetTransform,
    window_label,
)
from weaver_tt.config.sections import Section, read_number
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.evaluate import Expression, parse_expression

KEYS = ("loss", "weight", "valid", "valid_in_n", "transform")
STANDARDISED = ("mean", "deviation", "fingerprint")
PINBALL = "pinball"
GAUSSIAN = "gaussian"
WIDTH_ENDING = "_sigma"  # of the output that is the width of a target
# loss -> its options
LOSS_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "huber": ("delta",),
    "mse": (),
    "mae": (),
    "logcosh": (),
    GAUSSIAN: (),
    PINBALL: ("quantiles",),
}
DEFAULT_LOSS = "huber"
TASKS_WITH_TARGETS = ("regression", "hybrid")
TRANSFORMS = ("ratio", "log", "standardised")  # in the order in which a chain has them
MEDIAN = 0.5
# calls that make a logarithm -> its base
LOG_BASES = {
    "np.log": math.e,
    "math.log": math.e,
    "np.log2": 2.0,
    "math.log2": 2.0,
    "np.log10": 10.0,
    "math.log10": 10.0,
}


def read_targets(
    section: Section, labels: Labels | None, custom_functions: str | None = None
) -> dict[str, Target]:
    """``task.targets`` -> what it says of each target; those that it does not name are left out.

    Raises:
        ConfigError: no such target, an unknown key, or a value that makes no sense.
    """
    known = [] if labels is None else labels.regressed.target_names
    targets = {}
    for name in section.values:
        if name not in known:
            raise ConfigError(
                f"{section.where}: there is no target {name!r}; {nearest(name, known)}"
            )
        targets[name] = _read_target(name, section.section(name, KEYS), labels, custom_functions)
        steps = {step.kind for step in targets[name].transform}
        if "ratio" in steps and labels is not None and labels.kind == "per_object":
            raise ConfigError(
                f"{section.at(name)}.transform: a ratio is that of a target of rows; for objects "
                "write the quotient as the label"
            )
    return targets


def _read_target(
    name: str, section: Section, labels: Labels | None, custom_functions: str | None
) -> Target:
    losses: tuple[TargetLoss, ...] = ()
    if "loss" in section:
        losses = read_losses(section.values["loss"], section.at("loss"))
    weight = section.number("weight", 1.0)
    if weight <= 0:
        raise ConfigError(f"{section.at('weight')}: expected a number above 0, found {weight:g}")
    window = None
    if "valid" in section:
        where = section.at("valid")
        window = parse_expression(section.values["valid"], where, custom_functions)
        taken = [] if labels is None else [*labels.expressions, *labels.class_number]
        if window_label(name) in taken:
            raise ConfigError(
                f"{where}: {window_label(name)!r} is a label of its own, and the name of what this "
                "says of each row; rename the label"
            )
    counts = section.values.get("valid_in_n", False)
    if not isinstance(counts, bool):
        raise ConfigError(f"{section.at('valid_in_n')}: expected true or false, found {counts!r}")
    if counts and window is None:
        raise ConfigError(f"{section.at('valid_in_n')}: there is no `valid` that it belongs to")
    transform: tuple[TargetTransform, ...] = ()
    if "transform" in section:
        transform = _read_transform(section.values["transform"], section.at("transform"))
    return Target(
        losses=losses, weight=weight, window=window, outside_counts=counts, transform=transform
    )


def _read_transform(given: Any, where: str) -> tuple[TargetTransform, ...]:
    """A chain of transforms: one, or a list of them in the order in which they are applied.

    Raises:
        ConfigError: an unknown transform, or one whose image is outside of the next one's domain.
    """
    entries = given if isinstance(given, list) else [given]
    chain = tuple(_read_step(entry, where) for entry in entries)
    kinds = [step.kind for step in chain]
    if kinds != sorted(set(kinds), key=TRANSFORMS.index):
        raise ConfigError(
            f"{where}: {', '.join(kinds)}; expected each once and in the order ratio, log, "
            "standardised: of what is standardised half is negative and has no logarithm, and a "
            "ratio is undone last"
        )
    return chain


def _read_step(given: Any, where: str) -> TargetTransform:
    if isinstance(given, str):
        given = {given: None}
    if not isinstance(given, Mapping) or len(given) != 1:
        raise ConfigError(
            f"{where}: expected log, standardised or {{ratio: COLUMN}}, found {given!r}"
        )
    [(kind, value)] = given.items()
    if kind not in TRANSFORMS:
        raise ConfigError(f"{where}: {kind!r}; {nearest(str(kind), TRANSFORMS)}")
    if kind == "ratio":
        if not isinstance(value, str) or not value.isidentifier():
            raise ConfigError(
                f"{where}.ratio: expected a column or new variable, found {value!r}; an expression "
                "stands in new_variables"
            )
        return TargetTransform(kind="ratio", column=value)
    if kind == "log":
        if value is not None:
            raise ConfigError(f"{where}.{kind}: it takes no options, found {value!r}")
        return TargetTransform(kind="log")
    section = Section.of(value, f"{where}.standardised", STANDARDISED)
    if not section.values:
        return TargetTransform(kind="standardised")
    deviation = section.number("deviation", 0.0)
    if "mean" not in section or deviation <= 0:
        raise ConfigError(f"{section.where}: expected a mean and a deviation above 0, or neither")
    return TargetTransform(
        kind="standardised",
        mean=section.number("mean", 0.0),
        deviation=deviation,
        fingerprint=section.text("fingerprint"),
    )


def columns_of_transforms(targets: Mapping[str, Target]) -> tuple[str, ...]:
    """The columns that targets are ratios to, each once."""
    steps = [step for target in targets.values() for step in target.transform]
    return tuple(dict.fromkeys(step.column for step in steps if step.column is not None))


def dump_transforms(task: Mapping[str, Any], targets: Mapping[str, Target]) -> dict[str, Any]:
    """The ``task`` of a data YAML with the numbers of targets that are standardised."""
    written = dict(task)
    of_targets = dict(task.get("targets") or {})
    for name, target in targets.items():
        steps: list[Any] = []
        for step in target.transform:
            if step.kind == "ratio":
                steps.append({"ratio": step.column})
            elif step.kind == "log" or step.mean is None:
                steps.append(step.kind)
            else:
                numbers: dict[str, Any] = {"mean": step.mean, "deviation": step.deviation}
                if step.fingerprint is not None:
                    numbers["fingerprint"] = step.fingerprint
                steps.append({"standardised": numbers})
        if steps:
            of_targets[name] = {**(of_targets[name] or {}), "transform": steps}
    written["targets"] = of_targets
    return written


def read_losses(given: Any, where: str) -> tuple[TargetLoss, ...]:
    """The losses of a target: a name, ``{NAME: {option: value}}``, or a list of these.

    There is at most one that is not pinball: it is that of the output with the target's own name
    (and, of ``gaussian``, of its width).

    Raises:
        ConfigError: an unknown loss or option, an option without sense, or outputs of one name.
    """
    entries = given if isinstance(given, list) else [given]
    losses = tuple(_read_loss(entry, where) for entry in entries)
    if not losses:
        raise ConfigError(f"{where}: expected a loss, found an empty list")
    named = [loss.name for loss in losses if not loss.quantiles]
    if len(named) > 1 or len(losses) - len(named) > 1:
        raise ConfigError(
            f"{where}: {' and '.join(loss.name for loss in losses)} together; a target has one "
            f"loss, and {PINBALL} with its quantiles beside it"
        )
    quantiles = [quantile for loss in losses for quantile in loss.quantiles]
    if "mae" in named and MEDIAN in quantiles:
        raise ConfigError(f"{where}: mae and the quantile 0.5 are both the median; write one")
    return losses


def _read_loss(given: Any, where: str) -> TargetLoss:
    if isinstance(given, str):
        given = {given: None}
    if not isinstance(given, Mapping) or len(given) != 1:
        raise ConfigError(
            f"{where}: expected the name of a loss, or {{NAME: {{option: value}}}}, found {given!r}"
        )
    [(name, options)] = given.items()
    if name not in LOSS_OPTIONS:
        raise ConfigError(f"{where}: {name!r}; {nearest(str(name), LOSS_OPTIONS)}")
    place = f"{where}.{name}"
    section = Section.of(options, place, LOSS_OPTIONS[name])
    if name == PINBALL:
        return TargetLoss(name=name, quantiles=_read_quantiles(section))
    delta = section.number("delta", 1.0)
    if delta <= 0:
        raise ConfigError(f"{section.at('delta')}: expected a number above 0, found {delta:g}")
    return TargetLoss(name=name, delta=delta)


def _read_quantiles(section: Section) -> tuple[float, ...]:
    """The list of quantiles, from the smallest to the largest.

    Raises:
        ConfigError: there is none, or they are not numbers between 0 and 1, each once and in order.
    """
    where = section.at("quantiles")
    given = section.values.get("quantiles")
    if not isinstance(given, list) or not given:
        raise ConfigError(f"{where}: expected a list such as [0.16, 0.5, 0.84], found {given!r}")
    quantiles = tuple(read_number(value, where) for value in given)
    for value in quantiles:
        if not 0 < value < 1:
            raise ConfigError(f"{where}: expected numbers between 0 and 1, found {value:g}")
    for before, value in pairwise(quantiles):
        if value == before:
            raise ConfigError(f"{where}: {value:g} is listed twice")
        if value < before:
            raise ConfigError(f"{where}: {value:g} after {before:g}; write them in rising order")
    return quantiles


def losses_of_targets(config: DataConfig, common: Any = None) -> dict[str, tuple[TargetLoss, ...]]:
    """Target -> its losses, in the order of the labels.

    ``common`` are those of the targets for which ``task.targets`` says nothing else, as
    :func:`read_losses` takes them; without, ``task.loss_function`` of the data YAML.

    Raises:
        ConfigError: there is no such loss, or two outputs have one name.
    """
    if config.labels is None:
        return {}
    if common is None:
        common = DEFAULT_LOSS
        # an option of that name may mean something else to a task of the user's own
        if config.task is not None and config.task.name in TASKS_WITH_TARGETS:
            common = config.task.options.get("loss_function", DEFAULT_LOSS)
    of_all = read_losses(common, f"{config.source}: task.loss_function")
    found = {}
    for name in config.labels.regressed.target_names:
        target = config.targets.get(name, Target())
        found[name] = target.losses or of_all
    return found


def output_names_of(target: str, losses: Sequence[TargetLoss]) -> dict[str, float | None]:
    """The outputs of a target with these losses: name -> the quantile that it is.

    None for a mean or the like: ``y``, and ``y_q16``, ``y_q97p5`` of the quantiles 0.16 and 0.975.
    A target that is Gaussian has its width ``y_sigma`` beside ``y``.
    """
    names: dict[str, float | None] = {}
    for loss in sorted(losses, key=lambda loss: bool(loss.quantiles)):
        if not loss.quantiles:
            names[target] = MEDIAN if loss.name == "mae" else None
        if loss.name == GAUSSIAN:
            names[f"{target}{WIDTH_ENDING}"] = None
        for quantile in loss.quantiles:
            names[f"{target}_q{_percent(quantile)}"] = quantile
    return names


def _percent(quantile: float) -> str:
    """0.16 -> 16, 0.975 -> 97p5: as many digits as it has, and part of an identifier."""
    digits = format(Decimal(repr(quantile)) * 100, "f")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return digits.replace(".", "p")


def count_target_outputs(config: DataConfig) -> int:
    """How many outputs a network has for the targets of ``config``.

    One of each target, with its width where it is Gaussian, or its quantiles.

    Raises:
        ConfigError: there is no such loss.
    """
    losses = losses_of_targets(config)
    return sum(len(output_names_of(name, of_target)) for name, of_target in losses.items())


def log_bases(config: DataConfig) -> dict[str, float]:
    """Target -> its base, of those whose expression is a logarithm such as ``np.log(...)``."""
    found: dict[str, float] = {}
    if config.labels is None:
        return found
    labels = config.labels.regressed
    for name in labels.target_names:
        tree = labels.targets[name].tree
        if isinstance(tree, ast.Call):
            function = ast.unparse(tree.func)
            if function in LOG_BASES and len(tree.args) == 1:
                found[name] = LOG_BASES[function]
    return found


def arguments_of_logarithms(expression: Expression) -> list[Expression]:
    """What the logarithms inside of an expression are taken of."""
    arguments = []
    for node in ast.walk(expression.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in LOG_BASES and node.args:
            inner = node.args[0]
            names = {part.id for part in ast.walk(inner) if isinstance(part, ast.Name)}
            own = replace(
                expression,
                source=ast.unparse(inner),
                tree=inner,
                names=expression.names & names,
            )
            arguments.append(own)
    return arguments
