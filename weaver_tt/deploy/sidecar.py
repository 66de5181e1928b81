"""Read ``preprocess.json``: how the inputs of an exported network are made of raw columns.

As it is written here, by weaver-core, and for the models that CMS publishes. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.errors import DataError, nearest
from weaver_tt.system.file_shapes import (
    ANYTHING,
    NUMBER,
    TEXT,
    AnyOf,
    ListOf,
    NamesTo,
    Value,
    shape_problem,
)
from weaver_tt.system.json_files import read_json

Floats = npt.NDArray[np.float32]

MOST_OBJECTS = 2**20  # of a row
_LENGTH = Value((int, float), least=0, most=MOST_OBJECTS)
_GROUP = {
    "var_names": ListOf(TEXT),
    "var_infos": NamesTo(
        {
            "median": NUMBER,
            "norm_factor": NUMBER,
            "replace_inf_value?": NUMBER,
            "lower_bound": NUMBER,
            "upper_bound": NUMBER,
            "pad?": NUMBER,
        }
    ),
    "var_length?": _LENGTH,
    "min_length?": _LENGTH,
    "max_length?": _LENGTH,
    # [1, C, P] or [1, C, P, 1], of models that are older than the other keys
    "input_shape?": ListOf(Value((int, float))),
}
# a list of names, or names with anything in the order of the outputs
_NAMES = AnyOf((ListOf(TEXT), NamesTo(ANYTHING)))


@dataclass(frozen=True, slots=True)
class Channel:
    """One variable: ``clip((x - center) * scale, low, high)``.

    ``replacement`` stands for an x that is NaN or infinite, ``pad`` where a row has no object.
    """

    name: str
    center: float
    scale: float
    replacement: float
    low: float
    high: float
    pad: float

    def prepare(self, raw: npt.NDArray[Any]) -> Floats:
        """Raw values -> those of the tensor, of the same shape, in float32 as C++ readers do."""
        with np.errstate(over="ignore"):
            values = raw.astype(np.float32)
            finite = np.isfinite(values)
            if not finite.all():
                values = np.where(finite, values, np.float32(self.replacement))
            values = (values - np.float32(self.center)) * np.float32(self.scale)
        return np.clip(values, np.float32(self.low), np.float32(self.high))


@dataclass(frozen=True, slots=True)
class Group:
    """The channels of one input, and between how many objects it may be given.

    ``shortest`` is less than ``longest`` where the file leaves that open.
    """

    name: str
    channels: tuple[Channel, ...]
    shortest: int
    longest: int


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The groups that a ``preprocess.json`` describes, and the names of the outputs.

    ``target_names`` are those of them that are real numbers, and not scores.
    """

    source: str
    groups: Mapping[str, Group]
    output_names: tuple[str, ...]
    target_names: tuple[str, ...] = ()


def read_sidecar(path: str | Path) -> Sidecar:
    """Read ``preprocess.json``.

    Raises:
        DataError: there is no such file, or it is of another shape; names the place.
    """
    return make_sidecar(read_json(path, NamesTo(ANYTHING)), str(path))


def make_sidecar(content: Mapping[str, Any], source: str) -> Sidecar:
    """The same of its content; ``source`` stands for the file in messages.

    Raises:
        DataError: it is of another shape; names the place.
    """
    key = "output_names" if "output_names" in content else "flav_names"
    if key not in content:
        raise DataError(f"{source}: there is no output_names")
    _check(content[key], _NAMES, key, source)
    targets = content.get("target_names", [])
    _check(targets, ListOf(TEXT), "target_names", source)
    for name in targets:
        if name not in content[key]:
            raise DataError(
                f"{source}: target_names: {name!r} is none of {key}; {nearest(name, content[key])}"
            )
    groups = {}
    for name, group in content.items():
        # beside the inputs, the file has lists of names, and whatever its maker added
        if isinstance(group, Mapping) and "var_names" in group:
            groups[name] = _make_group(name, group, source)
    return Sidecar(source, groups, tuple(content[key]), tuple(targets))


def _check(value: Any, shape: Any, place: str, source: str) -> None:
    problem = shape_problem(value, shape, place)
    if problem is not None:
        raise DataError(f"{source}: {problem}")


def _make_group(name: str, content: Mapping[str, Any], source: str) -> Group:
    _check(content, _GROUP, name, source)
    channels = []
    for variable in content["var_names"]:
        if variable not in content["var_infos"]:
            raise DataError(f"{source}: {name}: var_infos do not describe {variable!r}")
        info = content["var_infos"][variable]
        channel = Channel(
            variable,
            center=info["median"],
            scale=info["norm_factor"],
            replacement=info.get("replace_inf_value", 0),
            low=info["lower_bound"],
            high=info["upper_bound"],
            pad=info.get("pad", 0),
        )
        if not channel.low <= channel.high:
            raise DataError(f"{source}: {name}: {variable}: lower_bound is above upper_bound")
        channels.append(channel)
    if "min_length" in content and "max_length" in content:
        shortest, longest = content["min_length"], content["max_length"]
    elif "var_length" in content:
        shortest = longest = content["var_length"]
    elif len(content.get("input_shape", [])) > 2:
        shortest = longest = content["input_shape"][2]
        _check(longest, _LENGTH, f"{name}.input_shape[2]", source)
    else:
        raise DataError(
            f"{source}: {name}: there is no var_length, nor min_length and max_length, nor an "
            "input_shape (1, C, P)"
        )
    if shortest > longest:
        raise DataError(f"{source}: {name}: min_length is above max_length")
    return Group(name, tuple(channels), max(1, int(shortest)), max(1, int(longest)))
