"""Another data YAML for validation or prediction: its own selections, labels and observers, the same inputs, the statistics of the training."""

from __future__ import annotations

from weaver_tt.config.inputs import with_fitted_numbers, with_params
from weaver_tt.config.load import load_config
from weaver_tt.config.schema import DataConfig, Labels
from weaver_tt.errors import ConfigError


def load_alternative(config: DataConfig, path: str | None) -> DataConfig:
    """The YAML at ``path`` with the centers and scales of ``config``; ``config`` itself without one.

    :raises ConfigError: its inputs or labels are not those of ``config``, group by group and variable by variable; or it cannot be read.
    """
    if path is None:
        return config
    other = load_config(path, config.custom_functions)
    check_same_inputs(config, other)
    numbers = {
        variable.name: variable for group in config.inputs.values() for variable in group.variables
    }
    return (
        with_params(other, with_fitted_numbers(other, numbers), config.preprocess.fingerprint)
        if other.needs_statistics
        else other
    )


def check_same_inputs(config: DataConfig, other: DataConfig) -> None:
    """Raise ConfigError unless a network made for ``config`` can be asked with rows of ``other``."""
    for name, group in config.inputs.items():
        twin = other.inputs.get(name)
        if twin is None:
            raise ConfigError(
                f"{other.source}: inputs: no group {name!r}, which {config.source} has"
            )
        if (twin.names, twin.length) != (group.names, group.length):
            found = f"{', '.join(twin.names)} (length {twin.length})"
            raise ConfigError(
                f"{other.source}: inputs.{name}: {found}; {config.source} has {', '.join(group.names)} (length {group.length})"
            )
    if list(other.inputs) != list(config.inputs):
        raise ConfigError(
            f"{other.source}: inputs: {', '.join(other.inputs)}; {config.source} has {', '.join(config.inputs)}, in this order"
        )
    if config.labels is not None and other.labels is not None:
        _check_same_labels(config, config.labels, other, other.labels)


def _check_same_labels(
    config: DataConfig, labels: Labels, other: DataConfig, other_labels: Labels
) -> None:
    """Raise ConfigError unless both have the same names of each type, in the same order."""
    for kind, group in {**labels.parts, **other_labels.parts}:
        names = ", ".join(labels.parts.get((kind, group), ()))
        other_names = ", ".join(other_labels.parts.get((kind, group), ()))
        if names != other_names:
            of_group = "" if group is None else f" of group {group}"
            raise ConfigError(
                f"{other.source}: labels: {other_names or 'none'}; "
                f"{config.source} has {names or 'none'} (type {kind}{of_group})"
            )
