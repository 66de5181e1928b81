"""``derived_outputs`` of a data YAML: what is computed from the outputs of the network.

An expression names outputs (classes, targets, quantiles), derived outputs above it, and columns.
It leaves with the outputs: in prediction files and in the graph that is exported. So it may read no
column that real data lack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from weaver_tt.config.corrected_output import (
    CORRECTION,
    KEYS,
    CorrectedOutput,
    read_corrected_output,
)
from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.plan import needed_names
from weaver_tt.config.schema import DERIVED_INPUTS, DataConfig, DerivedOutput
from weaver_tt.config.sections import Section
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.expressions.tensor_form import check_tensor_form

SPREAD = "_std"  # the column of an output's spread over the members of an ensemble


def read_derived_outputs(section: Section, folder: Path) -> dict[str, DerivedOutput]:
    """Name -> expression, or corrected pT, in the order of the YAML that is in ``folder``.

    Raises:
        ConfigError: a name could be no column, an expression cannot be computed in a network, or a
            correction cannot be read.
    """
    derived: dict[str, DerivedOutput] = {}
    for name, text in section.values.items():
        where = section.at(name)
        if not name.isidentifier():
            raise ConfigError(
                f"{where}: {name!r} cannot be the name of a column; use letters, digits and _"
            )
        if isinstance(text, Mapping):
            derived[name] = read_corrected_output(section.section(name, KEYS), folder)
            continue
        expression = parse_expression(text, where)
        check_tensor_form(expression, where)
        derived[name] = expression
    return derived


def dump_derived_outputs(
    written: Mapping[str, Any], derived: Mapping[str, DerivedOutput]
) -> dict[str, Any]:
    """The ``derived_outputs`` of a data YAML, ``written``, that find their files from anywhere."""
    dumped = dict(written)
    for name, found in derived.items():
        if isinstance(found, CorrectedOutput):
            dumped[name] = {**dumped[name], CORRECTION: found.file}
    return dumped


def check_derived_outputs(config: DataConfig) -> None:
    """Check that derived outputs have names of their own, and read what real data have.

    Raises:
        ConfigError: a name means something else already, there is no label with one value a row, or
            an expression reads a column of the truth.
    """
    if DERIVED_INPUTS in config.inputs and config.derived_inputs is not None:
        raise ConfigError(
            f"{config.source}: inputs.{DERIVED_INPUTS}: this group is made of the columns of "
            "derived_outputs; give yours another name"
        )
    _check_truth(config, "task.targets", config.transform_columns)
    if not config.derived_outputs:
        return
    where = f"{config.source}: derived_outputs"
    if config.labels is None or not (config.labels.classes or config.labels.targets):
        raise ConfigError(
            f"{where}: they are made of outputs with one value a row, and there is no such label"
        )
    for name in config.derived_outputs:
        meaning = _other_meaning(name, config)
        if meaning is not None:
            raise ConfigError(
                f"{where}.{name}: {name!r} is {meaning} already; choose another name, as both "
                "would stand in one file"
            )
    _check_order(config, where)
    for name, columns in config.derived_columns.items():
        _check_truth(config, f"derived_outputs.{name}", columns)


def _other_meaning(name: str, config: DataConfig) -> str | None:
    """What a name means in the YAML beside a derived output; None for nothing."""
    plain = name.removesuffix(SPREAD)
    if plain != name and plain in config.derived_outputs:
        return f"the spread of {plain!r}"
    labels = config.labels
    if labels is not None and name in (*labels.expressions, *labels.class_number):
        return "a label"
    if config.may_be_output(name):
        return "an output"
    for observer in config.observer_names:
        # an ensemble writes NAME_std, too
        if observer in (name, f"{name}{SPREAD}"):
            return f"the observer {observer!r}" if observer != name else "an observer"
    if name in config.new_variables:
        return "a new variable"
    if name in config.inputs or name == DERIVED_INPUTS:
        return "an input group"
    if name in _leaves(_without_derived(config)) or name in config.file_magic:
        return "a column"
    return None


def _check_order(config: DataConfig, where: str) -> None:
    """Raise ConfigError for an expression that reads itself, or a derived output below it."""
    for name, columns in config.derived_columns.items():
        for read in columns:
            if read in config.derived_outputs:
                raise ConfigError(
                    f"{where}.{name}: {read!r} is a derived output; only those above can be used"
                )


def _check_truth(config: DataConfig, key: str, columns: Iterable[str]) -> None:
    """Raise ConfigError where ``columns`` of a key are made of what real data need not have."""
    bare = _without_derived(config)
    required, _ = needed_names(bare, "predict")
    available = dependency_order(config, required)
    truth = _leaves(bare) - set(available)
    for read in columns:
        missing = [part for part in dependency_order(config, [read]) if part in truth]
        if not missing:
            continue
        reason = "is" if read in missing else f"is made of {missing[0]!r}, which is"
        outputs = [] if config.labels is None else config.labels.target_names
        raise ConfigError(
            f"{config.source}: {key}: {read!r} {reason} read for labels, weights or optional "
            "observers alone, so that real data need not have it (a column that all data have "
            f"stands in `observers`, without `?`); {nearest(read, [*outputs, *available])}"
        )


def _without_derived(config: DataConfig) -> DataConfig:
    return replace(config, derived_outputs={}, transform_columns=())


def _leaves(config: DataConfig) -> set[str]:
    """What training and prediction read that is made of nothing else."""
    names: list[str] = []
    for required, wanted in (needed_names(config, "train"), needed_names(config, "predict")):
        names += [*required, *wanted]
    return set(dependency_order(config, names)) - config.new_variables.keys()
