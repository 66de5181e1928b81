"""Make ``preprocess.json``: how a C++ reader turns raw columns into the network's inputs.

The schema is Weaver's, which FCCAnalyses, key4hep and CMSSW read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.errors import ConfigError
from weaver_tt.log import log

# what readers take for "not clipped"
UNBOUNDED = 1e32


LengthKeys = Literal["both", "var_length", "min_and_max"]
"""How the numbers of objects are given: by ``var_length`` alone, as FCC and key4hep read it; by
``min_length`` and ``max_length`` where some group is dynamic, as CMSSW reads it; or by both."""


def make_preprocess(
    config: DataConfig,
    input_names: Sequence[str],
    output_names: Sequence[str],
    dynamic: Collection[str],
    lengths: LengthKeys = "both",
) -> dict[str, Any]:
    """The sidecar's content for a graph with these inputs (names of groups) and outputs.

    All groups of the YAML are described, as some readers look at groups that the network does not
    take. Readers compute ``clip((finite(x) - median) * norm_factor, lower_bound, upper_bound)`` and
    fill up with ``pad``. ``var_length`` objects always fit; groups in ``dynamic`` take any number,
    given as ``min_length`` and ``max_length`` (those of training).

    Raises:
        ConfigError: a variable's statistics are missing.
    """
    content: dict[str, Any] = {"output_names": list(output_names), "input_names": list(input_names)}
    for name, group in config.batch_groups.items():
        infos = {}
        for variable in group.variables:
            infos[variable.name] = variable_info(variable, config.source)
        keys = _lengths(group, name in dynamic, bool(dynamic), lengths)
        content[name] = {"var_names": group.names, **keys, "var_infos": infos}
    return content


def warn_of_readers(config: DataConfig) -> None:
    """Say what frameworks in C++ refuse, or compute in another way."""
    for group in config.batch_groups.values():
        if group.pad_mode == "wrap":
            log.warning(
                "input %s was trained with pad_mode wrap, but C++ readers pad with constants: "
                "their results will differ",
                group.name,
            )
        for variable in group.variables:
            low, high = clip_range(variable)
            if not low <= variable.pad <= high:
                log.warning(
                    "%s: variable %r pads with %g, outside of its range [%g, %g]: C++ readers "
                    "refuse that",
                    config.source,
                    variable.name,
                    variable.pad,
                    low,
                    high,
                )


def clip_range(variable: Variable) -> tuple[float, float]:
    """Between which numbers readers clip a variable; a raw one is not clipped."""
    if variable.center is None:
        return -UNBOUNDED, UNBOUNDED
    return float(variable.low), float(variable.high)


def _lengths(
    group: InputGroup, dynamic: bool, any_dynamic: bool, keys: LengthKeys
) -> dict[str, int]:
    """The keys that give a group's number of objects."""
    length = group.length or 1
    if keys == "min_and_max" and any_dynamic:
        return {"min_length": 1 if dynamic else length, "max_length": length}
    if keys == "both" and dynamic:
        return {"var_length": length, "min_length": 1, "max_length": length}
    return {"var_length": length}


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
    low, high = clip_range(variable)
    # a raw value is not scaled
    return {
        "median": 0.0 if variable.center is None else float(variable.center),
        "norm_factor": 1.0 if variable.center is None else float(variable.scale),
        "replace_inf_value": float(variable.replacement),
        "lower_bound": low,
        "upper_bound": high,
        "pad": float(variable.pad),
    }
