"""The space of a search: which options are varied, in which ranges, and what a trial takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_origin

from weaver_tt.config.sections import Section, read_yaml
from weaver_tt.errors import ConfigError, nearest, unknown_key
from weaver_tt.options.flags import spellings, value_type
from weaver_tt.options.keywords import OptionField, option_fields, with_keywords
from weaver_tt.options.literals import read_literal
from weaver_tt.options.train import RunOptions

SECTIONS = {"network": "-o", "optimizer": "-p", "flags": ""}
"""Section of the YAML -> the flag of its KEY VALUE pairs; ``flags`` has flags of their own."""

RANGE_KEYS = ("low", "high", "log", "step")
MAX_CHOICES = 1000

NOT_VARIED = (
    *("model_prefix", "resume", "load_epoch", "overwrite", "ensemble", "cross_validation"),
    *("gpus", "backend", "num_threads", "num_workers", "copy_inputs", "on_bad_file"),
    *("demo", "io_test", "lr_finder", "profile", "regression_mode", "watch"),
    *("save_minutes", "max_time"),
    *(
        "auto_clean",
        "tensorboard",
        "tensorboard_custom_fn",
        "tracker",
        "log",
        "log_every",
        "progress",
        "max_time",
    ),
    "data_test_share",
    *("data_fraction_val", "batch_size_val", "batch_size_test", "extra_selection_test"),
    *("extra_selection_val", "data_config_val", "data_config_test", "train_val_split"),
    *("steps_per_epoch_val", "samples_per_epoch_val", "custom_functions", "remake_weights"),
)
"""Flags that say where and how a trial runs, or on which rows it is measured."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One option that is varied: between choices, or in a range of numbers."""

    section: str
    option: str
    where: str  # file and key, for messages
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    is_whole: bool = False

    @property
    def name(self) -> str:
        """As it is written on the command line: ``--start-lr``, ``-o hidden``."""
        short = SECTIONS[self.section]
        if short:
            return f"{short} {self.option}"
        return spellings(option_fields()[self.option].field)[-1]

    def extremes(self) -> tuple[Any, ...]:
        """All choices, or both ends of the range."""
        return self.choices or (self.low, self.high)

    def distribution(self) -> Any:
        """What Optuna draws values from; lists are text for it."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.choices:
            return CategoricalDistribution([_stored(choice) for choice in self.choices])
        if self.is_whole:
            step = int(self.step or 1)
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=step)
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def value(self, drawn: Any) -> Any:
        """The value of the option that Optuna has drawn."""
        for choice in self.choices:
            if _stored(choice) == drawn and type(_stored(choice)) is type(drawn):
                return choice
        return drawn

    def shown(self) -> str:
        """In words: ``2, 3`` or ``0.0001 to 0.01, logarithmic``."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        text = f"{self.low:g} to {self.high:g}"
        if self.step is not None:
            text += f" in steps of {self.step:g}"
        return f"{text}, logarithmic" if self.log else text

    def describe(self) -> dict[str, Any]:
        """What must be the same in all processes of a search."""
        if self.choices:
            return {"choices": [_stored(choice) for choice in self.choices]}
        return {"low": self.low, "high": self.high, "log": self.log, "step": self.step}


def _stored(choice: Any) -> Any:
    """A choice as Optuna keeps it."""
    return (
        choice if choice is None or isinstance(choice, bool | int | float | str) else repr(choice)
    )


@dataclass(frozen=True)
class Space:
    """Everything that is varied, by name, and the YAML file that says so."""

    path: str
    dimensions: Mapping[str, Dimension] = field(default_factory=dict)

    def distributions(self) -> dict[str, Any]:
        """What Optuna draws values from, by name."""
        return {name: one.distribution() for name, one in self.dimensions.items()}

    def describe(self) -> dict[str, Any]:
        """What must be the same in all processes of a search."""
        return {name: one.describe() for name, one in self.dimensions.items()}

    def first_values(self) -> dict[str, Any]:
        """One point of the space: the first choice, or the lower end of each dimension."""
        return {name: one.extremes()[0] for name, one in self.dimensions.items()}

    def apply(self, options: RunOptions, values: Mapping[str, Any]) -> RunOptions:
        """``options`` with these values, by name of the dimension.

        Raises:
            ConfigError: a value is of another kind than its flag.
        """
        flags = {}
        pairs: dict[str, list[list[str]]] = {"network": [], "optimizer": []}
        for name, value in values.items():
            dimension = self.dimensions[name]
            if dimension.section == "flags":
                flags[dimension.option] = value
            else:
                text = value if isinstance(value, str) else repr(value)
                pairs[dimension.section].append([dimension.option, text])
        options = with_keywords(options, flags)
        network = options.network.network_option + pairs["network"]
        optimizer = options.train.optimizer_option + pairs["optimizer"]
        return replace(
            options,
            network=replace(options.network, network_option=network),
            train=replace(options.train, optimizer_option=optimizer),
        )


def load_space(path: str) -> Space:
    """The space that a YAML describes.

    Raises:
        ConfigError: there is no such file or flag, or what it says is no range and no choice.
    """
    content, _ = read_yaml(path)
    sections = Section.of(content, path, SECTIONS)
    dimensions = {}
    for section in SECTIONS:
        where = f"{path}: {section}"
        entries = Section.of(sections.values.get(section), where)
        for option, entry in entries.values.items():
            dimension = _read_dimension(section, option, entry, f"{where}: {option}")
            dimensions[dimension.name] = dimension
    if not dimensions:
        raise ConfigError(
            f"{path}: nothing is varied; expected options below {' or '.join(SECTIONS)}"
        )
    return Space(path, dimensions)


def _read_dimension(section: str, option: str, entry: Any, where: str) -> Dimension:
    """One option of the YAML."""
    option = option.lstrip("-").replace("-", "_") if section == "flags" else option
    flag = _find_flag(option, where) if section == "flags" else None
    if isinstance(entry, Mapping):
        return _read_range(section, option, entry, where, flag)
    if not isinstance(entry, list) or not 1 <= len(entry) <= MAX_CHOICES:
        raise ConfigError(
            f"{where}: expected a list of choices, such as [32, 64], or a range, such as "
            f"{{low: 0.0, high: 0.5}}, found {entry!r}"
        )
    choices = tuple(_read_choice(choice, flag) for choice in entry)
    stored = [(type(_stored(choice)), _stored(choice)) for choice in choices]
    if len(set(stored)) < len(stored):
        raise ConfigError(f"{where}: a choice is there twice in {entry!r}")
    return Dimension(section, option, where, choices)


def _find_flag(option: str, where: str) -> OptionField:
    """The flag that is varied.

    Raises:
        ConfigError: there is none, or it is of those that are the same in all trials.
    """
    fields = option_fields()
    varied = [name for name, flag in fields.items() if _can_vary(name, flag)]
    if option not in fields:
        raise unknown_key(option, varied, where.rpartition(": ")[0])
    if option in ("network_option", "optimizer_option"):
        raise ConfigError(f"{where}: such options stand below {option.partition('_')[0]}:")
    if option not in varied:
        raise ConfigError(f"{where}: is the same in all trials; {nearest(option, varied, most=40)}")
    return fields[option]


def _can_vary(name: str, flag: OptionField) -> bool:
    """Whether trials may differ in this flag."""
    is_list = get_origin(flag.hint) is list
    return flag.part != "output" and not is_list and name not in NOT_VARIED


def _read_choice(choice: Any, flag: OptionField | None) -> Any:
    """A choice of the YAML; text is read as on the command line, as YAML takes 1e-4 for text."""
    if isinstance(choice, str) and not (flag and value_type(flag.hint) is str):
        return read_literal(choice)
    return tuple(choice) if isinstance(choice, list) else choice


def _read_range(
    section: str, option: str, entry: Mapping[str, Any], where: str, flag: OptionField | None
) -> Dimension:
    """A range of numbers: whole ones for such a flag, or where both of its ends are whole."""
    values = Section.of(entry, where, RANGE_KEYS).values
    kind = value_type(flag.hint) if flag else None
    if kind not in (None, int, float):
        raise ConfigError(f"{where}: expected a list of choices, as its values are no numbers")
    low = _number(values.get("low"), f"{where}: low")
    high = _number(values.get("high"), f"{where}: high")
    step = None if values.get("step") is None else _number(values["step"], f"{where}: step")
    log = values.get("log", False)
    ends = [number for number in (low, high, step) if number is not None]
    are_whole = all(isinstance(number, int) for number in ends)
    if kind is int and not are_whole:
        raise ConfigError(f"{where}: expected whole numbers, found {dict(entry)!r}")
    if not isinstance(log, bool):
        raise ConfigError(f"{where}: log: expected true or false, found {log!r}")
    if not low < high:
        raise ConfigError(f"{where}: expected low below high, found {low!r} and {high!r}")
    if log and (low <= 0 or step is not None):
        raise ConfigError(f"{where}: log: expected low above 0, and no step")
    if step is not None and not 0 < step <= high - low:
        raise ConfigError(f"{where}: step: expected a number above 0 and at most high - low")
    is_whole = kind is int or (kind is None and are_whole)
    if not is_whole:
        low, high = float(low), float(high)
        step = None if step is None else float(step)
    return Dimension(
        section, option, where, low=low, high=high, log=log, step=step, is_whole=is_whole
    )


def _number(value: Any, where: str) -> float:
    """A number of the YAML, which takes 1e-4 for text."""
    number = read_literal(value) if isinstance(value, str) else value
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_number or not math.isfinite(number):
        raise ConfigError(f"{where}: expected a number, found {value!r}")
    return number


def flags_of(values: Iterable[tuple[str, Any]]) -> str:
    """Values by name as they are written on a command line."""
    return " ".join(f"{name} {value}" for name, value in values)
