"""``preprocess.json``: how a C++ reader makes the network's input from raw columns (schema of Weaver, read by FCC, key4hep and CMSSW)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.errors import ConfigError
from weaver_tt.log import log

UNBOUNDED = 1e32  # what readers take for "not clipped"


def make_preprocess(
    config: DataConfig,
    input_names: Sequence[str],
    output_names: Sequence[str],
    dynamic: Collection[str],
) -> dict[str, Any]:
    """The side-car's content for a graph with these inputs (names of groups) and outputs.

    Readers compute ``clip((finite(x) - median) * norm_factor, lower_bound, upper_bound)`` and fill up with ``pad``. ``var_length`` objects
    always fit; groups in ``dynamic`` take any number, given as ``min_length`` and ``max_length`` (those of training) as well.
    """
    content: dict[str, Any] = {"output_names": list(output_names), "input_names": list(input_names)}
    for name in input_names:
        group = config.inputs[name]
        content[name] = {
            "var_names": group.names,
            **_lengths(group, name in dynamic),
            "var_infos": {
                variable.name: variable_info(variable, config.source)
                for variable in group.variables
            },
        }
        if group.pad_mode == "wrap":
            log.warning(
                "input %s was trained with pad_mode wrap, but C++ readers pad with constants: their results will differ",
                name,
            )
    return content


def _lengths(group: InputGroup, dynamic: bool) -> dict[str, int]:
    if group.length is None:
        return {"var_length": 1}
    return {"var_length": group.length} | (
        {"min_length": 1, "max_length": group.length} if dynamic else {}
    )


def variable_info(variable: Variable, source: str) -> dict[str, float]:
    """One variable's numbers; ConfigError when its center is still to be computed."""
    if variable.center == "auto":
        raise ConfigError(
            f"{source}: the center of {variable.name!r} is auto and its statistics are missing; export needs PREFIX.auto.yaml"
        )
    if variable.center is None:
        scaling = {"median": 0.0, "norm_factor": 1.0}
        low, high = -UNBOUNDED, UNBOUNDED
    else:
        scaling = {"median": float(variable.center), "norm_factor": float(variable.scale)}
        low, high = float(variable.low), float(variable.high)
    if not low <= variable.pad <= high:
        log.warning(
            "%s: variable %r pads with %g, outside of its range [%g, %g]: C++ readers refuse that",
            source,
            variable.name,
            variable.pad,
            low,
            high,
        )
    return scaling | {
        "replace_inf_value": 0.0,
        "lower_bound": low,
        "upper_bound": high,
        "pad": float(variable.pad),
    }
