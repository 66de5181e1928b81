"""What networks need of a data YAML: groups of constituents, options, and their ``model_info``.

Groups have the names that public YAMLs use. Everything that does not fit is said before any data is
read.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weaver_tt.config.labels import may_be_class_number
from weaver_tt.config.schema import DataConfig, InputGroup
from weaver_tt.config.targets import count_target_outputs
from weaver_tt.errors import ConfigError, nearest, unknown_key
from weaver_tt.options.literals import check_kinds


def constituent_groups(config: DataConfig, names: Sequence[str], network: str) -> list[InputGroup]:
    """The groups ``names``, in this order, which describe the same P constituents.

    ``network`` says in messages who needs them.

    Raises:
        ConfigError: a group is missing, with the nearest there is; or they cannot belong together.
    """
    where = f"{config.source}: inputs"
    for name in names:
        if name not in config.inputs:
            raise ConfigError(
                f"{where}: {network} takes the groups {', '.join(names)}; there is no {name!r}; "
                f"{nearest(name, config.inputs)}"
            )
    groups = [config.inputs[name] for name in names]
    for group in groups:
        first = groups[0]
        if group.length is None:
            raise ConfigError(
                f"{where}.{group.name}: {network} takes constituents here; length: null makes one "
                "value a jet"
            )
        # the same slot of each group must be the same constituent
        if group.length != first.length:
            raise ConfigError(
                f"{where}.{group.name}: length {group.length}, but {first.name} has "
                f"{first.length}; make them equal"
            )
        if group.is_mask and len(group.variables) != 1:
            raise ConfigError(
                f"{where}.{group.name}: a mask is one variable that is 1 for every constituent, "
                f"found {', '.join(group.names)}"
            )
    return groups


@dataclass(frozen=True)
class Collection:
    """A collection of objects X in the data YAML: ``length`` slots, ``features`` of each object.

    ``groups`` are those of its parts that a network takes, in the order in which it takes them.
    """

    name: str
    groups: tuple[str, ...]
    length: int
    features: int


def object_collections(config: DataConfig, parts: Sequence[str], network: str) -> list[Collection]:
    """All collections X of objects in the data YAML, in its order.

    Of each, a network takes the groups ``X_PART`` for the ``parts``, features among them. Other
    groups, such as ``X_vectors``, are left aside, but must be of the same objects. ``network`` says
    in messages who needs them.

    Raises:
        ConfigError: there is no collection, one lacks a part, or its groups cannot belong together.
    """
    present: dict[str, list[str]] = {}
    for name, group in config.inputs.items():
        if group.length is not None:
            present.setdefault(collection_name(name), []).append(name)
    if not present:
        needed = ", ".join(f"NAME_{part}" for part in parts)
        raise ConfigError(
            f"{config.source}: inputs: {network} takes collections of objects ({needed}) and finds "
            f"values of the jet alone: {', '.join(config.inputs)}; mlp is the network for these"
        )
    collections = []
    for name, found in present.items():
        groups = [f"{name}_{part}" for part in parts]
        others = [other for other in found if other not in groups]
        constituent_groups(config, groups, network)
        constituent_groups(config, [groups[0], *others], network)
        features = config.inputs[f"{name}_features"]
        assert features.length is not None
        collections.append(
            Collection(name, tuple(groups), features.length, len(features.variables))
        )
    return collections


def row_groups(config: DataConfig, network: str) -> list[str]:
    """The groups of values of a row (``length: null``), in the order of the data YAML.

    ``network`` says in messages who needs them.

    Raises:
        ConfigError: there is none.
    """
    names = [name for name, group in config.inputs.items() if group.length is None]
    if not names:
        raise ConfigError(
            f"{config.source}: inputs: {network} takes values of the jet, which are missing beside "
            f"{', '.join(config.inputs)}; write jet: {{length: null, vars: [...]}}"
        )
    return names


def collection_name(name: str) -> str:
    """The collection that a group of objects describes: ``sv`` for ``sv_features``."""
    return name.rpartition("_")[0] or name


def channels(config: DataConfig, name: str, at_least: int, what: str) -> int:
    """The number C of variables of the group ``name``.

    Raises:
        ConfigError: there are fewer than ``at_least``; they cannot be ``what``.
    """
    names = config.inputs[name].names
    if len(names) < at_least:
        raise ConfigError(
            f"{config.source}: inputs.{name}: expected {what}, found {', '.join(names)}"
        )
    return len(names)


def raw_channels(
    config: DataConfig, name: str, at_least: int, what: str, exactly: bool = False
) -> int:
    """As :func:`channels`, for a group whose values the network needs in their own units.

    ``exactly``: there may not be more variables either.

    Raises:
        ConfigError: a variable is scaled, or their number is another.
    """
    scaled = []
    for variable in config.inputs[name].variables:
        if variable.center is not None:
            scaled.append(variable.name)
    if scaled:
        raise ConfigError(
            f"{config.source}: inputs.{name}: expected {what} as they are, but "
            f"{', '.join(scaled)} is scaled; write [NAME, null]"
        )
    names = config.inputs[name].names
    if exactly and len(names) > at_least:
        raise ConfigError(
            f"{config.source}: inputs.{name}: expected {what} and nothing else, "
            f"found {', '.join(names)}"
        )
    return channels(config, name, at_least, what)


def layer_sizes(given: int | Sequence[int]) -> list[int]:
    """An option that lists sizes of layers: ``64,32``, or ``64`` for one.

    Raises:
        ConfigError: something is not a positive whole number.
    """
    sizes = [given] if isinstance(given, int) else given
    # text is a sequence too, of letters
    if isinstance(sizes, str) or not all(_is_size(size) for size in sizes):
        raise ConfigError(
            f"network option: expected sizes of layers such as 64,32, found {given!r}"
        )
    return list(sizes)


def check_choice(option: str, value: str, choices: Iterable[str]) -> None:
    """Check an option that is one of a few words.

    Raises:
        ConfigError: it is none of ``choices``; names the nearest.
    """
    known = list(choices)
    if value not in known:
        raise ConfigError(f"network option {option} {value!r}; {nearest(value, known)}")


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def hidden_layers(given: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """An option that lists (size, dropout) of hidden layers: ``((512, 0.2),)``.

    Raises:
        ConfigError: anything else.
    """
    layers = []
    try:
        for size, dropout in given:
            layers.append((layer_sizes(size)[0], float(dropout)))
    except (TypeError, ValueError):
        raise ConfigError(
            "network option: expected (size, dropout) of each layer such as ((512, 0.2),), found "
            f"{given!r}"
        ) from None
    if not all(0 <= dropout < 1 for _, dropout in layers):
        raise ConfigError(f"network option: a dropout is at least 0 and below 1, found {given!r}")
    return layers


def num_outputs(config: DataConfig) -> int:
    """The number K of outputs of a network: one for each class, target and quantile of a target.

    One for the ratio of two classes.

    Raises:
        ConfigError: the data YAML names a loss that there is not.
    """
    if config.labels is None or config.density_ratio is not None:
        return 1
    labels = config.labels
    targets = 0
    # one efficiency or the like of each label
    of_objects = sum(len(of_group) for of_group in labels.object_targets.values())
    if labels.targets or config.regressed_group is not None:
        targets = count_target_outputs(config)
    if config.regressed_group is not None:
        of_objects = 0
    return max(len(labels.classes) + targets + of_objects, 1)


def model_info(config: DataConfig, names: Sequence[str]) -> dict[str, Any]:
    """What ``get_model`` returns beside a network that maps the groups ``names`` to (N, K).

    These are names, shapes and free axes of its inputs and its output.
    """
    axes: dict[str, dict[int, str]] = {}
    for name in names:
        axes[name] = {0: "N"}
        if config.inputs[name].length is not None:
            # groups of the same objects share the symbol: pf_features and pf_mask have n_pf each
            axes[name][2] = f"n_{collection_name(name)}"
    # a label that may be the number of a class makes a classifier
    is_classifier = config.label_type == "simple" or may_be_class_number(config.labels)
    is_classifier = is_classifier and (config.task is None or config.task.name != "regression")
    is_classifier = is_classifier and config.density_ratio is None
    output = "softmax" if is_classifier else "output"
    axes[output] = {0: "N"}
    return {
        "input_names": list(names),
        "input_shapes": {name: config.input_shapes[name] for name in names},
        "output_names": [output],
        "dynamic_axes": axes,
    }


def constructor_options(
    options: Mapping[str, Any], module: type, network: str, own: Sequence[str] = ()
) -> dict[str, Any]:
    """``options`` for the constructor of ``module``: its parameters that have a default.

    Not among them are those that the network file sets itself (``own``). ``network`` says in
    messages whose options they are.

    Raises:
        ConfigError: an unknown option, with the nearest there is, or a value of another kind.
    """
    known = []
    for parameter in inspect.signature(module).parameters.values():
        if parameter.default is not parameter.empty and parameter.name not in own:
            known.append(parameter.name)
    for name in options:
        if name not in known:
            raise unknown_key(name, known, f"{network}: network options")
    check_kinds(options, module, f"{network}: network option")
    return dict(options)


def raw_jet_group(config: DataConfig) -> str:
    """The name of the one input group: pt, eta, phi, flavour of jets as they are, padded with 0.

    Raises:
        ConfigError: there are other groups, other columns, scaled ones, or another padding.
    """
    where = f"{config.source}: inputs"
    if len(config.inputs) != 1:
        found = ", ".join(config.inputs) or "none"
        raise ConfigError(
            f"{where}: this network takes one group (pt, eta, phi, flavour), not {found}"
        )
    group = next(iter(config.inputs.values()))
    if len(group.variables) != 4 or group.length is None:
        raise ConfigError(
            f"{where}.{group.name}: this network takes pt, eta, phi, flavour of each jet, not "
            f"{', '.join(group.names)}"
        )
    changed = []
    for variable in group.variables:
        # a padding of 0 is how the network tells jets from empty slots
        if variable.center is not None or variable.pad != 0:
            changed.append(variable.name)
    if changed or group.pad_mode != "constant":
        raise ConfigError(
            f"{where}.{group.name}: this network takes raw values padded with 0; "
            f"{', '.join(changed) or 'pad_mode: wrap'} is not"
        )
    return group.name


def jet_model_info(config: DataConfig) -> dict[str, Any]:
    """What ``get_model`` returns beside a network with an output for each jet, (N, K, P)."""
    group = raw_jet_group(config)
    return {
        "input_names": [group],
        "input_shapes": {group: config.input_shapes[group]},
        "output_names": ["output"],
        "dynamic_axes": {group: {0: "N", 2: "P"}, "output": {0: "N", 2: "P"}},
    }
