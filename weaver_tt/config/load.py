"""A data YAML -> DataConfig, and back with the statistics of its training data.

Weaver's spelling is accepted, unknown keys are refused, and all that needs no data is checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from weaver_tt.config.categories import expand_one_hot
from weaver_tt.config.decorrelation import KEY as DECORRELATE
from weaver_tt.config.decorrelation import dump_decorrelation, read_decorrelation
from weaver_tt.config.density_ratio import OWN_KEYS as RATIO_KEYS
from weaver_tt.config.density_ratio import TASK as DENSITY_RATIO
from weaver_tt.config.density_ratio import (
    dump_density_ratio,
    expand_groups_of_files,
    read_density_ratio,
)
from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.derived import (
    check_derived_outputs,
    dump_derived_outputs,
    read_derived_outputs,
)
from weaver_tt.config.discriminants import read_discriminants, share_expressions
from weaver_tt.config.index_columns import (
    check_index_columns,
    check_original_indices,
    is_index_of,
)
from weaver_tt.config.inputs import read_inputs, read_params, with_params
from weaver_tt.config.labels import check_masks, read_labels
from weaver_tt.config.path_patterns import pattern_problem
from weaver_tt.config.readable_names import read_names
from weaver_tt.config.reweighting import (
    BUCKETING,
    WEIGHTS,
    dump_bucketing,
    dump_reweighting,
    read_bucketing,
    read_reweighting,
)
from weaver_tt.config.row_objects import read_row_objects
from weaver_tt.config.schema import (
    REPORT_COLUMNS,
    DataConfig,
    Decorrelation,
    Labels,
    ObjectSelection,
    Preprocess,
    RatioOptions,
    Target,
    TaskChoice,
    Variable,
    Weights,
)
from weaver_tt.config.sections import (
    Section,
    dump_yaml,
    parse_yaml,
    read_number,
    read_yaml,
    write_yaml,
)
from weaver_tt.config.targets import columns_of_transforms, dump_transforms, read_targets
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.evaluate import Expression, parse_expression
from weaver_tt.formats.reader import identifier_of
from weaver_tt.formats.row_objects import PLACE_COLUMNS
from weaver_tt.system.examples import find_example

KEYS = (
    "treename",
    "rows",
    "branch_magic",
    "file_magic",
    "selection",
    "test_time_selection",
    "object_selection",
    "new_variables",
    "preprocess",
    "inputs",
    "labels",
    "observers",
    "monitor_variables",
    "event_weight",
    "weights",
    "bucketing",
    "task",
    "derived_outputs",
    "discriminants",
    "report",
    "names",
)
PREPROCESS = ("method", "data_fraction", "params", "fingerprint")
OBJECT_SELECTION = ("selection", "columns", "index_columns")
METHODS = ("manual", "auto")


def load_config(path: str, custom_functions: str | None = None) -> DataConfig:
    """Read a data YAML, whose expressions may call functions of the file ``custom_functions``.

    ``weaver_tt:NAME`` is one of the examples that come with the package.

    Raises:
        ConfigError: no such file, not YAML, or something in it cannot be done; names file and key
            or line.
    """
    path = str(find_example(path, "data_configs", ".yaml"))
    values, text = read_yaml(path)
    return from_mapping(values, path, text, custom_functions)


def from_mapping(
    values: Any,
    source: str = "data config",
    text: str | None = None,
    custom_functions: str | None = None,
) -> DataConfig:
    """The content of a data YAML -> DataConfig; ``source`` stands for the file in messages.

    Raises:
        ConfigError: something in it cannot be done; names ``source`` and key.
    """
    top = expand_groups_of_files(expand_one_hot(Section.of(values, source, KEYS)))
    if text is None:
        text = dump_yaml(values)
    return _ConfigReader(top, custom_functions).read(text)


def save_config(
    config: DataConfig, path: str, params: Mapping[str, Variable], fingerprint: str | None = None
) -> None:
    """Write the user's YAML with all that was computed filled in.

    Reading it back gives numbers where the user wrote ``auto``.
    """
    # from the text, so that keys that are only read (such as labels) stay as the user wrote them
    values = dict(parse_yaml(config.text, config.source))
    if config.weights is not None:
        values["weights"] = {**values["weights"], **dump_reweighting(config.weights)}
    if config.bucketing is not None:
        values["bucketing"] = {**values["bucketing"], **dump_bucketing(config.bucketing)}
    if any(target.transform for target in config.targets.values()):
        values["task"] = dump_transforms(values["task"], config.targets)
    if config.decorrelation is not None:
        values["task"] = dump_decorrelation(values["task"], config.decorrelation)
    if config.density_ratio is not None:
        values["task"] = dump_density_ratio(values["task"], config.density_ratio)
    if values.get("derived_outputs"):
        written = values["derived_outputs"]
        values["derived_outputs"] = dump_derived_outputs(written, config.derived_outputs)
    preprocess = dict(values.get("preprocess") or {})
    preprocess["method"] = config.preprocess.method
    preprocess["data_fraction"] = config.preprocess.data_fraction
    preprocess["params"] = with_params(config, params, fingerprint).preprocess_params
    if fingerprint is not None:
        preprocess["fingerprint"] = fingerprint
    values["preprocess"] = preprocess
    write_yaml(values, path, f"{config.source} with the statistics of its training data")


@dataclass(frozen=True)
class _ConfigReader:
    """Reads the sections of one YAML."""

    top: Section
    custom_functions: str | None

    def read(self, text: str) -> DataConfig:
        """All of it; ``text`` is the YAML as the user wrote it."""
        top = self.top
        preprocess = self.preprocess()
        inputs = read_inputs(top.section("inputs"), preprocess.method == "auto")
        # labels of objects name an input group, and targets are new variables too
        labels = read_labels(top, inputs, self.custom_functions)
        observers = top.names("observers")
        required_observers = tuple(name for name in observers if not name.endswith("?"))
        rows = read_row_objects(top)
        if rows is not None:
            # so that predictions tell where each of their rows comes from
            places = [name for name in PLACE_COLUMNS if name not in required_observers]
            required_observers += tuple(places)
        optional_observers = tuple(name[:-1] for name in observers if name.endswith("?"))
        weights = read_reweighting(
            top.section("weights", WEIGHTS),
            self.custom_functions,
            has_classes=labels is not None and bool(labels.classes),
        )
        bucketing = read_bucketing(top.section("bucketing", BUCKETING))
        targets = self.targets(labels)
        derived = read_derived_outputs(top.section("derived_outputs"), Path(top.where).parent)
        shares = top.section("discriminants")
        classes = [] if labels is None else list(labels.classes)
        discriminants = read_discriminants(shares, classes)
        config = DataConfig(
            source=top.where,
            text=text,
            inputs=inputs,
            labels=labels,
            treename=top.text("treename"),
            rows=rows,
            branch_magic=self.branch_magic(),
            file_magic=self.file_magic(),
            selection=self.expression(top, "selection"),
            test_time_selection=self.expression(top, "test_time_selection"),
            new_variables=self.class_variables(labels, weights) | self.new_variables(labels),
            preprocess=preprocess,
            observers=required_observers,
            optional_observers=optional_observers,
            monitor_variables=top.names("monitor_variables"),
            event_weight=self.expression(top, "event_weight"),
            weights=weights,
            bucketing=bucketing,
            task=self.task(),
            decorrelation=self.decorrelation(labels),
            density_ratio=self.density_ratio(labels, weights),
            derived_outputs=derived | share_expressions(discriminants, derived, shares),
            discriminants=discriminants,
            report=self.report(),
            targets=targets,
            transform_columns=columns_of_transforms(targets),
            custom_functions=self.custom_functions,
        )
        # refuses circles, also among new variables that nothing uses
        dependency_order(config, config.new_variables)
        config = replace(config, objects=self.objects(config))
        check_original_indices(config)
        check_index_columns(config)
        check_derived_outputs(config)
        config = replace(config, names=read_names(top.section("names"), config))
        if config.labels is not None and config.regressed_group is not None:
            check_masks(config.labels.regressed.targets, top.at("labels"))
        preprocess_section = top.section("preprocess", PREPROCESS)
        params = read_params(preprocess_section.section("params"), inputs)
        if not params:
            return config
        return with_params(config, params, preprocess.fingerprint)

    def expression(self, section: Section, key: str) -> Expression | None:
        """The expression at ``key``, or None."""
        if key not in section:
            return None
        return parse_expression(section.values[key], section.at(key), self.custom_functions)

    def preprocess(self) -> Preprocess:
        """How inputs are scaled, without the numbers."""
        section = self.top.section("preprocess", PREPROCESS)
        fraction = section.number("data_fraction", 1.0)
        if not 0 < fraction <= 1:
            raise ConfigError(
                f"{section.at('data_fraction')}: expected a share above 0 and at most 1, "
                f"found {fraction:g}"
            )
        method = section.choice("method", METHODS, "manual")
        return Preprocess(
            method=cast(Literal["manual", "auto"], method),
            data_fraction=fraction,
            fingerprint=section.text("fingerprint"),
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
            magic[name] = {}
            for pattern, value in patterns.values.items():
                problem = pattern_problem(pattern)
                if problem is not None:
                    raise ConfigError(f"{patterns.where}: {pattern!r} {problem}")
                magic[name][pattern] = read_number(value, patterns.at(pattern))
        return magic

    def class_variables(
        self, labels: Labels | None, weights: Weights | None
    ) -> dict[str, Expression]:
        """Classes that ``weights`` names and that are the values of a label, no columns."""
        if labels is None or weights is None or not labels.class_number:
            return {}
        return {name: labels.classes[name] for name in weights.classes if name in labels.classes}

    def new_variables(self, labels: Labels | None) -> dict[str, Expression]:
        """New variables, and the targets that can be used like them."""
        section = self.top.section("new_variables")
        variables: dict[str, Expression] = {}
        if labels is not None:
            for name, expression in labels.expressions.items():
                # a class is a column itself, and so may be a target
                if name not in labels.classes and name not in expression.names:
                    variables[name] = expression
            for name, expression in labels.class_number.items():
                if name not in expression.names:
                    variables[name] = expression
        for name, text in section.values.items():
            expression = parse_expression(text, section.at(name), self.custom_functions)
            # as in Weaver, `x: x` means the column itself
            if expression.source != name:
                variables[name] = expression
        return variables

    def objects(self, config: DataConfig) -> dict[str, ObjectSelection]:
        """Selections of objects, with the columns that are filtered together."""
        section = self.top.section("object_selection")
        found: dict[str, ObjectSelection] = {}
        for name, value in section.values.items():
            group = config.inputs.get(name)
            if group is None or group.length is None:
                with_objects = [
                    other.name for other in config.inputs.values() if other.length is not None
                ]
                raise ConfigError(
                    f"{section.where}: no input group {name!r} with a length; "
                    f"{nearest(name, with_objects)}"
                )
            index_columns = None
            if isinstance(value, Mapping):
                entry = section.section(name, OBJECT_SELECTION)
                text = entry.values.get("selection", "")
                columns = entry.names("columns")
                if "index_columns" in entry:
                    index_columns = entry.names("index_columns")
                where = entry.where
            else:
                text = value
                columns = ()
                where = section.at(name)
            selection = parse_expression(text, where, self.custom_functions)
            found[name] = ObjectSelection(
                group=name, expression=selection, columns=columns, index_columns=index_columns
            )
        # what they make is no column of the file
        config = replace(config, objects=found)
        for name, chosen in found.items():
            if not chosen.columns:
                found[name] = replace(chosen, columns=default_columns(config, chosen))
        return found

    def task(self) -> TaskChoice | None:
        """The task's name and options."""
        value = self.top.values.get("task")
        if value is None:
            return None
        if isinstance(value, str):
            return TaskChoice(name=value)
        section = Section.of(value, self.top.at("task"))
        name = section.text("name")
        if name is None:
            raise ConfigError(f"{section.at('name')}: expected the name of a task")
        read_elsewhere: tuple[str, ...] = ("name", "targets", DECORRELATE)
        if name == DENSITY_RATIO:
            read_elsewhere += RATIO_KEYS
        options = {}
        for key, option in section.values.items():
            if key not in read_elsewhere:
                options[key] = option
        return TaskChoice(name=name, options=options)

    def report(self) -> dict[str, Expression]:
        """What a report measures in predictions, from columns of their files."""
        section = self.top.section("report", REPORT_COLUMNS)
        # without functions of the user: a report does not have their file
        return {
            name: parse_expression(text, section.at(name)) for name, text in section.values.items()
        }

    def targets(self, labels: Labels | None) -> dict[str, Target]:
        """What the task says of each real target."""
        if not isinstance(self.top.values.get("task"), Mapping):
            return {}
        section = self.top.section("task").section("targets")
        return read_targets(section, labels, self.custom_functions)

    def decorrelation(self, labels: Labels | None) -> Decorrelation | None:
        """What the task says of variables that scores are to be independent of."""
        if not isinstance(self.top.values.get("task"), Mapping):
            return None
        return read_decorrelation(self.top.section("task").section(DECORRELATE), labels)

    def density_ratio(self, labels: Labels | None, weights: Weights | None) -> RatioOptions | None:
        """What the task says of two samples, of which it learns the ratio."""
        chosen = self.task()
        if chosen is None or chosen.name != DENSITY_RATIO:
            return None
        value = self.top.values["task"]
        options = value if isinstance(value, Mapping) else None
        return read_density_ratio(Section.of(options, self.top.at("task")), labels, weights)


def default_columns(config: DataConfig, chosen: ObjectSelection) -> tuple[str, ...]:
    """Patterns of the file columns that belong to a group whose objects are selected.

    They are ``Jet_*`` and ``Jet_pt`` for each raw column ``Jet_pt`` that its variables are made of.
    A dot separates as an underscore does: ``Jet_*`` for ``Jet.PT``, however the YAML spells it.
    Columns that hold places of these objects, such as ``Electron_jetIdx``, are of another group.
    """
    names = dependency_order(config, config.inputs[chosen.group].names)
    raw = [name for name in names if config.is_in_file(name)]
    own = []
    for name in raw:
        others = [other for other in raw if other != name]
        if is_index_of(name, replace(chosen, columns=_with_prefixes(others))) != "certain":
            own.append(name)
    return _with_prefixes(own)


def _with_prefixes(columns: Sequence[str]) -> tuple[str, ...]:
    """The ``columns``, and patterns of those that share their words before the first ``_``."""
    prefixes = []
    for name in columns:
        prefix, underscore, _ = identifier_of(name).partition("_")
        if prefix and underscore:
            prefixes.append(f"{prefix}_*")
    return tuple(dict.fromkeys([*prefixes, *columns]))
