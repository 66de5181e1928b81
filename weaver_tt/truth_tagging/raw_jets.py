"""What the truth-tagging networks take: one group of raw, zero-padded ``(pt, eta, phi, flavour)``, checked against the data YAML."""

from __future__ import annotations

from typing import Any

from weaver_tt.config.schema import DataConfig
from weaver_tt.errors import ConfigError


def raw_jet_group(config: DataConfig) -> str:
    """The name of the one input group; ConfigError unless it holds four raw columns with padding zero, which tells jets from padding."""
    where = f"{config.source}: inputs"
    if len(config.inputs) != 1:
        raise ConfigError(f"{where}: this network takes one group (pt, eta, phi, flavour), not {', '.join(config.inputs) or 'none'}")
    group = next(iter(config.inputs.values()))
    if len(group.variables) != 4 or group.length is None:
        raise ConfigError(f"{where}.{group.name}: this network takes pt, eta, phi, flavour of each jet, not {', '.join(group.names)}")
    scaled = [variable.name for variable in group.variables if variable.center is not None or variable.pad != 0]
    if scaled or group.pad_mode != "constant":
        raise ConfigError(f"{where}.{group.name}: this network takes raw values padded with 0; {', '.join(scaled) or 'pad_mode: wrap'} is not")
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
