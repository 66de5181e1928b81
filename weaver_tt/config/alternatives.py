"""Another data YAML for validation or prediction.

It has selections, labels and observers of its own, the same inputs, and the statistics and derived
outputs of the training.
"""

from __future__ import annotations

from dataclasses import replace

from weaver_tt.config.derived import check_derived_outputs
from weaver_tt.config.inputs import with_fitted_numbers, with_params
from weaver_tt.config.labels import may_be_class_number, with_class_number
from weaver_tt.config.load import load_config
from weaver_tt.config.schema import DataConfig, InputGroup, Labels
from weaver_tt.errors import ConfigError


def load_alternative(config: DataConfig, path: str | None) -> DataConfig:
    """The YAML at ``path`` with the centers and scales of ``config``; ``config`` without a path.

    Raises:
        ConfigError: its inputs or labels are not those of ``config``, group by group and variable
            by variable; or it cannot be read.
    """
    if path is None:
        return config
    other = load_config(path, config.custom_functions)
    if (
        config.labels is not None
        and config.labels.class_number
        and may_be_class_number(other.labels)
    ):
        # what the network said about the label of one YAML holds for that of the other
        other = with_class_number(other, list(config.labels.classes))
    check_same_inputs(config, other)
    other = replace(
        other,
        derived_outputs=config.derived_outputs,
        discriminants=config.discriminants,
        transform_columns=config.transform_columns,
        targets=config.targets,
        decorrelation=config.decorrelation,
    )
    check_derived_outputs(other)
    if not other.needs_statistics:
        return other
    numbers = {variable.name: variable for _, variable in config.input_variables()}
    fitted = with_fitted_numbers(other, numbers)
    return with_params(other, fitted, config.preprocess.fingerprint)


def check_same_inputs(config: DataConfig, other: DataConfig) -> None:
    """Check that a network made for ``config`` also fits rows of ``other``.

    Raises:
        ConfigError: inputs or labels differ.
    """
    for name, group in config.inputs.items():
        other_group = other.inputs.get(name)
        if other_group is None:
            raise ConfigError(
                f"{other.source}: inputs: no group {name!r}, which {config.source} has"
            )
        same_names = other_group.names == group.names
        if not same_names or other_group.length != group.length:
            raise ConfigError(
                f"{other.source}: inputs.{name}: {_describe_group(other_group)}; "
                f"{config.source} has {_describe_group(group)}"
            )
    if list(other.inputs) != list(config.inputs):
        raise ConfigError(
            f"{other.source}: inputs: {', '.join(other.inputs)}; "
            f"{config.source} has {', '.join(config.inputs)}, in this order"
        )
    _check_same_derived(config, other)
    # test data need not have labels
    if config.labels is not None and other.labels is not None:
        _check_same_labels(config, config.labels, other, other.labels)


def _check_same_derived(config: DataConfig, other: DataConfig) -> None:
    """Raise ConfigError unless ``other`` derives the same outputs, or says nothing of them."""
    if not other.derived_outputs:
        return
    outputs = {name: derived.source for name, derived in config.derived_outputs.items()}
    others = {name: derived.source for name, derived in other.derived_outputs.items()}
    if others != outputs:
        raise ConfigError(
            f"{other.source}: derived_outputs: {others}; {config.source} has {outputs or 'none'}, "
            "which belong to the network"
        )


def _describe_group(group: InputGroup) -> str:
    return f"{', '.join(group.names)} (length {group.length})"


def _check_same_labels(
    config: DataConfig, labels: Labels, other: DataConfig, other_labels: Labels
) -> None:
    """Raise ConfigError unless both have the same names of each type, in the same order."""
    parts = labels.parts
    other_parts = other_labels.parts
    for kind, group in {**parts, **other_parts}:
        names = ", ".join(parts.get((kind, group), ()))
        other_names = ", ".join(other_parts.get((kind, group), ()))
        if names == other_names:
            continue
        of_group = "" if group is None else f" of group {group}"
        raise ConfigError(
            f"{other.source}: labels: {other_names or 'none'}; "
            f"{config.source} has {names or 'none'} (type {kind}{of_group})"
        )
