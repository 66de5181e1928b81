"""Make ``preprocess.json``: how a C++ reader turns raw columns into the network's inputs.

The schema is Weaver's, which FCCAnalyses, key4hep and CMSSW read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.errors import ConfigError
from weaver_tt.log import log

# what readers take for "not clipped"
UNBOUNDED = 1e32


def make_preprocess(
    config: DataConfig,
    input_names: Sequence[str],
    output_names: Sequence[str],
    dynamic: Collection[str],
) -> dict[str, Any]:
    """The sidecar's content for a graph with these inputs (names of groups) and outputs.

    Readers compute ``clip((finite(x) - median) * norm_factor, lower_bound, upper_bound)`` and fill
    up with ``pad``. ``var_length`` objects always fit; groups in ``dynamic`` take any number, given
    as ``min_length`` and ``max_length`` (those of training) as well.

    Raises:
        ConfigError: a variable's statistics are missing.
    """
    content: dict[str, Any] = {"output_names": list(output_names), "input_names": list(input_names)}
    for name in input_names:
        group = config.batch_groups[name]
        infos = {}
        for variable in group.variables:
            infos[variable.name] = variable_info(variable, config.source)
        lengths = _lengths(group, name in dynamic)
        content[name] = {"var_names": group.names, **lengths, "var_infos": infos}
        if group.pad_mode == "wrap":
            log.warning(
                "input %s was trained with pad_mode wrap, but C++ readers pad with constants: "
                "their results will differ",
                name,
            )
    return content


def _lengths(group: InputGroup, dynamic: bool) -> dict[str, int]:
    """The keys that give a group's number of objects."""
    if group.length is None:
        return {"var_length": 1}
    if not dynamic:
        return {"var_length": group.length}
    return {"var_length": group.length, "min_length": 1, "max_length": group.length}


def variable_info(variable: Variable, source: str) -> dict[str, float]:
    """How one variable is scaled, clipped and padded, under the keys of ``preprocess.json``.

    Raises:
        ConfigError: its center is still to be computed.
    """
    if variable.center == "auto":
        raise ConfigError(
            f"{source}: the center of {variable.name!r} is auto and its statistics are missing; "
            "export needs PREFIX.auto.yaml"
        )
    if variable.center is None:
        # a raw value, neither scaled nor clipped
        center = 0.0
        scale = 1.0
        low = -UNBOUNDED
        high = UNBOUNDED
    else:
        center = float(variable.center)
        scale = float(variable.scale)
        low = float(variable.low)
        high = float(variable.high)
    if not low <= variable.pad <= high:
        log.warning(
            "%s: variable %r pads with %g, outside of its range [%g, %g]: C++ readers refuse that",
            source,
            variable.name,
            variable.pad,
            low,
            high,
        )
    return {
        "median": center,
        "norm_factor": scale,
        "replace_inf_value": float(variable.replacement),
        "lower_bound": low,
        "upper_bound": high,
        "pad": float(variable.pad),
    }
