"""A data YAML -> DataConfig: Weaver's spelling accepted, unknown keys refused, all that needs no data checked; and back, with statistics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from weaver_tt.config.inputs import read_inputs, read_params, with_params
from weaver_tt.config.labels import read_labels
from weaver_tt.config.plan import dependency_order
from weaver_tt.config.reweighting import (
    BUCKETING,
    WEIGHTS,
    dump_bucketing,
    dump_reweighting,
    read_bucketing,
    read_reweighting,
)
from weaver_tt.config.schema import (
    DataConfig,
    InputGroup,
    Labels,
    ObjectSelection,
    Preprocess,
    TaskChoice,
    Variable,
)
from weaver_tt.config.sections import (
    Section,
    dump_yaml,
    parse_yaml,
    read_number,
    read_yaml,
    write_yaml,
)
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.evaluate import Expression, parse_expression

KEYS = (
    *(
        "treename",
        "branch_magic",
        "file_magic",
        "selection",
        "test_time_selection",
        "object_selection",
        "new_variables",
        "preprocess",
        "inputs",
    ),
    *("labels", "observers", "monitor_variables", "event_weight", "weights", "bucketing", "task"),
)
PREPROCESS = ("method", "data_fraction", "params", "fingerprint")


def load_config(path: str, custom_functions: str | None = None) -> DataConfig:
    """Read a data YAML.

    :param custom_functions: python file whose functions the expressions may call.
    :raises ConfigError: no such file, not YAML, or something in it cannot be done; names file and key or line.
    """
    values, text = read_yaml(path)
    return from_mapping(values, path, text, custom_functions)


def from_mapping(
    values: Any,
    source: str = "data config",
    text: str | None = None,
    custom_functions: str | None = None,
) -> DataConfig:
    """The content of a data YAML -> DataConfig; ``source`` stands for the file in messages."""
    top = Section.of(values, source, KEYS)
    return _ConfigReader(top, custom_functions).config(dump_yaml(values) if text is None else text)


def save_config(
    config: DataConfig, path: str, params: Mapping[str, Variable], fingerprint: str | None = None
) -> None:
    """Write the user's YAML with all that was computed filled in; reading it back gives numbers where the user wrote ``auto``."""
    values = dict(parse_yaml(config.text, config.source))
    if config.weights is not None:
        values["weights"] = {**values["weights"], **dump_reweighting(config.weights)}
    if config.bucketing is not None:
        values["bucketing"] = {**values["bucketing"], **dump_bucketing(config.bucketing)}
    filled = with_params(config, params, fingerprint)
    preprocess = {
        **(values.get("preprocess") or {}),
        "method": config.preprocess.method,
        "data_fraction": config.preprocess.data_fraction,
    }
    preprocess |= {"params": filled.preprocess_params} | (
        {} if fingerprint is None else {"fingerprint": fingerprint}
    )
    write_yaml(
        {**values, "preprocess": preprocess},
        path,
        f"{config.source} with the statistics of its training data",
    )


@dataclass(frozen=True)
class _ConfigReader:
    """Reads the sections of one YAML."""

    top: Section
    custom_functions: str | None

    def config(self, text: str) -> DataConfig:
        """All of it."""
        top = self.top
        preprocess = self.preprocess()
        inputs = read_inputs(top.section("inputs"), preprocess.method == "auto")
        labels = read_labels(top, inputs, self.custom_functions)
        observers = top.names("observers")
        config = DataConfig(
            source=top.where,
            text=text,
            inputs=inputs,
            labels=labels,
            treename=top.text("treename"),
            branch_magic=self.branch_magic(),
            file_magic=self.file_magic(),
            selection=self.expression(top, "selection"),
            test_time_selection=self.expression(top, "test_time_selection"),
            new_variables=self.new_variables(labels),
            preprocess=preprocess,
            observers=tuple(name for name in observers if not name.endswith("?")),
            optional_observers=tuple(name[:-1] for name in observers if name.endswith("?")),
            monitor_variables=top.names("monitor_variables"),
            event_weight=self.expression(top, "event_weight"),
            weights=read_reweighting(top.section("weights", WEIGHTS), self.custom_functions),
            bucketing=read_bucketing(top.section("bucketing", BUCKETING)),
            task=self.task(),
            custom_functions=self.custom_functions,
        )
        dependency_order(
            config, config.new_variables
        )  # no circle, also among those that nothing uses
        config = replace(config, objects=self.objects(config))
        params = read_params(top.section("preprocess", PREPROCESS).section("params"), inputs)
        return with_params(config, params, preprocess.fingerprint) if params else config

    def expression(self, section: Section, key: str) -> Expression | None:
        """The expression at ``key``, or None."""
        return (
            parse_expression(section.values[key], section.at(key), self.custom_functions)
            if key in section
            else None
        )

    def expressions(self, section: Section) -> dict[str, Expression]:
        """All values of a section, as expressions."""
        return {
            name: parse_expression(value, section.at(name), self.custom_functions)
            for name, value in section.values.items()
        }

    def preprocess(self) -> Preprocess:
        """How inputs are scaled, without the numbers."""
        section = self.top.section("preprocess", PREPROCESS)
        fraction = section.number("data_fraction", 1.0)
        if not 0 < fraction <= 1:
            raise ConfigError(
                f"{section.at('data_fraction')}: expected a share above 0 and at most 1, found {fraction:g}"
            )
        method = cast(
            Literal["manual", "auto"], section.choice("method", ("manual", "auto"), "manual")
        )
        return Preprocess(
            method=method, data_fraction=fraction, fingerprint=section.text("fingerprint")
        )

    def branch_magic(self) -> dict[str, str]:
        """Replacements in column names."""
        section = self.top.section("branch_magic")
        for text, replacement in section.values.items():
            if not isinstance(replacement, str):
                raise ConfigError(f"{section.at(text)}: expected text, found {replacement!r}")
        return dict(section.values)

    def file_magic(self) -> dict[str, dict[str, float]]:
        """New column -> {pattern of file paths -> value}."""
        section = self.top.section("file_magic")
        magic: dict[str, dict[str, float]] = {}
        for name in section.values:
            patterns = section.section(name)
            for pattern in patterns.values:
                try:
                    re.compile(pattern)
                except re.error as error:
                    raise ConfigError(
                        f"{patterns.where}: {pattern!r} is not a regular expression: {error}"
                    ) from None
            magic[name] = {
                pattern: read_number(value, patterns.at(pattern))
                for pattern, value in patterns.values.items()
            }
        return magic

    def new_variables(self, labels: Labels | None) -> dict[str, Expression]:
        """New variables; labels that have a name of their own can be used like them. ``x: x`` means the column itself."""
        section = self.top.section("new_variables")
        variables = {
            name: value for name, value in self.expressions(section).items() if value.source != name
        }
        if labels is None:
            return variables
        targets = {
            name: value
            for name, value in labels.expressions.items()
            if name not in labels.classes and name not in value.names
        }
        return targets | variables

    def objects(self, config: DataConfig) -> dict[str, ObjectSelection]:
        """Selections of objects, with the columns that are filtered together."""
        section = self.top.section("object_selection")
        found: dict[str, ObjectSelection] = {}
        for name, value in section.values.items():
            group = config.inputs.get(name)
            if group is None or group.length is None:
                groups = [
                    other.name for other in config.inputs.values() if other.length is not None
                ]
                raise ConfigError(
                    f"{section.where}: no input group {name!r} with a length; {nearest(name, groups)}"
                )
            inner = (
                section.section(name, ("selection", "columns"))
                if isinstance(value, Mapping)
                else Section({}, section.at(name))
            )
            selection = parse_expression(
                inner.values.get("selection", "") if isinstance(value, Mapping) else value,
                inner.where,
                self.custom_functions,
            )
            columns = inner.names("columns") or default_columns(config, group)
            found[name] = ObjectSelection(group=name, expression=selection, columns=columns)
        return found

    def task(self) -> TaskChoice | None:
        """The task's name and options."""
        value = self.top.values.get("task")
        if value is None or isinstance(value, str):
            return None if value is None else TaskChoice(name=value)
        section = Section.of(value, self.top.at("task"))
        name = section.text("name")
        if name is None:
            raise ConfigError(f"{section.at('name')}: expected the name of a task")
        return TaskChoice(
            name=name,
            options={key: option for key, option in section.values.items() if key != "name"},
        )


def default_columns(config: DataConfig, group: InputGroup) -> tuple[str, ...]:
    """Patterns of the file columns that belong to a group: ``Jet_*`` for ``Jet_pt``, for each raw column that its variables are made of."""
    raw = [
        name
        for name in dependency_order(config, group.names)
        if name not in config.new_variables and name not in config.file_magic
    ]
    prefixes = [f"{name[: name.index('_') + 1]}*" for name in raw if name.find("_") > 0]
    return tuple(dict.fromkeys([*prefixes, *raw]))
