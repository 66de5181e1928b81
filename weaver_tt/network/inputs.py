"""What jet networks take from a data YAML: groups of constituents by the names that public YAMLs use, and the ``model_info`` that goes with them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from weaver_tt.config.schema import DataConfig, InputGroup
from weaver_tt.errors import ConfigError, nearest, unknown_key
from weaver_tt.options.literals import check_kinds


def constituent_groups(config: DataConfig, names: Sequence[str], network: str) -> list[InputGroup]:
    """The groups ``names``, which describe the same P constituents, in this order.

    :raises ConfigError: naming ``network``, a group that is missing and the nearest there is, or groups that cannot belong together.
    """
    where = f"{config.source}: inputs"
    for name in names:
        if name not in config.inputs:
            raise ConfigError(
                f"{where}: {network} takes the groups {', '.join(names)}; there is no {name!r}; {nearest(name, config.inputs)}"
            )
    groups = [config.inputs[name] for name in names]
    for group in groups:
        if group.length is None:
            raise ConfigError(
                f"{where}.{group.name}: {network} takes constituents here; length: null makes one value a jet"
            )
        if group.length != groups[0].length:
            raise ConfigError(
                f"{where}.{group.name}: length {group.length}, but {groups[0].name} has {groups[0].length}; make them equal"
            )
        if group.is_mask and len(group.variables) != 1:
            raise ConfigError(
                f"{where}.{group.name}: a mask is one variable that is 1 for every constituent, found {', '.join(group.names)}"
            )
    return groups


def channels(config: DataConfig, name: str, at_least: int, what: str) -> int:
    """The number C of variables of group ``name``; ConfigError where they cannot be ``what``, which needs ``at_least`` so many."""
    names = config.inputs[name].names
    if len(names) < at_least:
        raise ConfigError(
            f"{config.source}: inputs.{name}: expected {what}, found {', '.join(names)}"
        )
    return len(names)


def raw_channels(config: DataConfig, name: str, at_least: int, what: str) -> int:
    """As :func:`channels`, for a group whose values the network takes in their own units: none may be scaled."""
    scaled = [
        variable.name for variable in config.inputs[name].variables if variable.center is not None
    ]
    if scaled:
        raise ConfigError(
            f"{config.source}: inputs.{name}: expected {what} as they are, but {', '.join(scaled)} is scaled; write [NAME, null]"
        )
    return channels(config, name, at_least, what)


def layer_sizes(given: int | Sequence[int]) -> list[int]:
    """An option that lists sizes of layers: ``64,32``, or ``64`` for one.

    :raises ConfigError: anything that is no positive whole number.
    """
    listed = [given] if isinstance(given, int) else given
    if isinstance(listed, str) or not all(isinstance(size, int) and size > 0 for size in listed):
        raise ConfigError(
            f"network option: expected sizes of layers such as 64,32, found {given!r}"
        )
    return list(listed)


def hidden_layers(given: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """An option that lists (size, dropout) of hidden layers: ``((512, 0.2),)``.

    :raises ConfigError: anything else.
    """
    try:
        listed = [(layer_sizes(size)[0], float(dropout)) for size, dropout in given]
    except (TypeError, ValueError):
        raise ConfigError(
            f"network option: expected (size, dropout) of each layer such as ((512, 0.2),), found {given!r}"
        ) from None
    if not all(0 <= dropout < 1 for _, dropout in listed):
        raise ConfigError(f"network option: a dropout is at least 0 and below 1, found {given!r}")
    return listed


def num_outputs(config: DataConfig) -> int:
    """The number K of outputs of a network that gives one for each class, and for each target.

    A target's mask is none.
    """
    masks = {} if config.labels is None else config.labels.masks
    return max(len(config.label_value) - len(masks), 1)


def model_info(config: DataConfig, names: Sequence[str]) -> dict[str, Any]:
    """Names, shapes and free axes of a network (groups ``names``) -> (N, K), as ``get_model`` returns them."""
    objects = {
        name: {2: f"n_{name.split('_')[0]}"} if config.inputs[name].length is not None else {}
        for name in names
    }
    return {
        "input_names": list(names),
        "input_shapes": {name: config.input_shapes[name] for name in names},
        "output_names": ["softmax"],
        "dynamic_axes": {name: {0: "N"} | axes for name, axes in objects.items()}
        | {"softmax": {0: "N"}},
    }


def constructor_options(
    options: Mapping[str, Any], module: type, network: str, own: Sequence[str] = ()
) -> dict[str, Any]:
    """``options`` for ``module``'s constructor, whose parameters with a default they may name, but for those that the network file sets (``own``).

    :raises ConfigError: naming ``network``, an unknown option and the nearest there is.
    """
    parameters = inspect.signature(module).parameters.values()
    known = [
        item.name for item in parameters if item.default is not item.empty and item.name not in own
    ]
    for name in options:
        if name not in known:
            raise unknown_key(name, known, f"{network}: network options")
    check_kinds(options, module, f"{network}: network option")
    return dict(options)


def raw_jet_group(config: DataConfig) -> str:
    """The name of the one input group; ConfigError unless it holds four raw columns with padding zero, which tells jets from padding."""
    where = f"{config.source}: inputs"
    if len(config.inputs) != 1:
        raise ConfigError(
            f"{where}: this network takes one group (pt, eta, phi, flavour), not {', '.join(config.inputs) or 'none'}"
        )
    group = next(iter(config.inputs.values()))
    if len(group.variables) != 4 or group.length is None:
        raise ConfigError(
            f"{where}.{group.name}: this network takes pt, eta, phi, flavour of each jet, not {', '.join(group.names)}"
        )
    scaled = [
        variable.name
        for variable in group.variables
        if variable.center is not None or variable.pad != 0
    ]
    if scaled or group.pad_mode != "constant":
        raise ConfigError(
            f"{where}.{group.name}: this network takes raw values padded with 0; {', '.join(scaled) or 'pad_mode: wrap'} is not"
        )
    return group.name


def jet_model_info(config: DataConfig) -> dict[str, Any]:
    """Names, shapes and free axes of a per-jet network's input and output, as ``get_model`` returns them."""
    group = raw_jet_group(config)
    return {
        "input_names": [group],
        "input_shapes": {group: config.input_shapes[group]},
        "output_names": ["output"],
        "dynamic_axes": {group: {0: "N", 2: "P"}, "output": {0: "N", 2: "P"}},
    }
