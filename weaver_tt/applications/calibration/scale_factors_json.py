"""Scale factors as JSON in the correctionlib schema, version 2.

Readable by ``correctionlib`` in Python and C++. ``scale_factor`` is a function of (category,
systematic, bins …), with systematic one of ``nominal``, ``up``, ``down``; ``efficiency`` of
(category, bins …) is that of the simulation, which a jet that is not tagged needs: its weight is
(1 - eff SF) / (1 - eff). Beyond the edges the outermost bin holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weaver_tt.applications.calibration.kinematic_bins import KinematicBins
from weaver_tt.system.atomic_files import write_text
from weaver_tt.system.json_files import strict_json_text

SYSTEMATICS = ("nominal", "up", "down")


@dataclass(frozen=True)
class BinnedFactor:
    """A scale factor, its error, and the efficiency in the simulation, of one bin."""

    value: float
    error: float
    efficiency: float


def save_scale_factors(
    factors: Mapping[str, Sequence[BinnedFactor]],
    bins: KinematicBins,
    path: str | Path,
    description: str,
) -> None:
    """Write the factors of each category, one for each of the ``bins``.

    Raises:
        OutputError: the file cannot be written.
    """
    scale_factors = []
    efficiencies = []
    for category, of_bins in factors.items():
        sides = []
        for name, sign in zip(SYSTEMATICS, (0, 1, -1), strict=True):
            values = [one.value + sign * one.error for one in of_bins]
            sides.append({"key": name, "value": _node(bins, values)})
        chosen = {"nodetype": "category", "input": "systematic", "content": sides}
        scale_factors.append({"key": category, "value": chosen})
        node = _node(bins, [one.efficiency for one in of_bins])
        efficiencies.append({"key": category, "value": node})
    of_bins_inputs = []
    for axis in bins.axes:
        of_bins_inputs.append({"name": axis.name, "type": "real", "description": axis.source})
    category_input = {"name": "category", "type": "string", "description": ", ".join(factors)}
    systematic_input = {
        "name": "systematic",
        "type": "string",
        "description": ", ".join(SYSTEMATICS),
    }
    document = {
        "schema_version": 2,
        "description": description,
        "corrections": [
            _correction(
                "scale_factor",
                "efficiency in data over that in the simulation",
                [category_input, systematic_input, *of_bins_inputs],
                scale_factors,
            ),
            _correction(
                "efficiency",
                "efficiency in the simulation",
                [category_input, *of_bins_inputs],
                efficiencies,
            ),
        ],
    }
    write_text(path, strict_json_text(document, str(path)) + "\n")


def _correction(
    name: str, description: str, inputs: list[dict[str, str]], content: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "version": 1,
        "inputs": inputs,
        "output": {"name": name, "type": "real"},
        "data": {"nodetype": "category", "input": "category", "content": content},
    }


def _node(bins: KinematicBins, values: Sequence[float]) -> Any:
    """The values of all bins in the schema's form."""
    if not bins.axes:
        return values[0]
    return {
        "nodetype": "multibinning",
        "inputs": [axis.name for axis in bins.axes],
        "edges": [axis.edges.tolist() for axis in bins.axes],
        "content": list(values),  # the last axis runs fastest
        "flow": "clamp",
    }
