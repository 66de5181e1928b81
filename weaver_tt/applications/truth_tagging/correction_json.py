"""Efficiency maps as JSON in the correctionlib schema, version 2: readable by ``correctionlib`` in Python and C++.

Three corrections: ``efficiency`` and ``efficiency_error`` of (flavour, pt, eta), where flavours other than 5 and 4 share the default, and
``tagged_jets`` of (flavour), the effective number of tagged jets that a flavour's map rests on. Outside the edges the outermost bin holds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from weaver_tt.applications.truth_tagging.efficiency_map import EfficiencyMap, FlavourMap
from weaver_tt.errors import ConfigError, OutputError
from weaver_tt.physics.particles import FLAVOUR_CODES, FLAVOURS
from weaver_tt.system.atomic_files import write_text

INPUTS = {
    "flavour": {
        "name": "flavour",
        "type": "int",
        "description": "flavour of the jet: 5 b, 4 c, anything else light",
    },
    "pt": {"name": "pt", "type": "real", "description": "transverse momentum"},
    "eta": {"name": "eta", "type": "real", "description": "pseudorapidity"},
}


def save_map(efficiency_map: EfficiencyMap, path: str, description: str) -> None:
    """Write the map; OutputError where that fails."""
    document = {
        "schema_version": 2,
        "description": description,
        "corrections": [
            _binned("efficiency", "probability that a jet is tagged", efficiency_map),
            _binned("error", "its statistical error", efficiency_map),
            _counts(efficiency_map),
        ],
    }
    try:
        write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")
    except OutputError as error:
        raise OutputError(f"cannot write the efficiency map: {error}") from error


def load_map(path: str) -> EfficiencyMap:
    """Read a map that :func:`save_map` wrote; ConfigError for a file that is missing or holds anything else."""
    try:
        corrections = {
            item["name"]: item["data"] for item in json.loads(Path(path).read_text())["corrections"]
        }
        efficiency, error = (
            _by_flavour(corrections["efficiency"]),
            _by_flavour(corrections["efficiency_error"]),
        )
        tags = _by_flavour(corrections["tagged_jets"])
        return EfficiencyMap(
            {name: _flavour_map(efficiency[name], error[name], tags[name]) for name in FLAVOURS}
        )
    except OSError as problem:
        raise ConfigError(f"{path}: cannot read the efficiency map: {problem}") from problem
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise ConfigError(
            f"{path}: not an efficiency map as `weaver-tt map` writes it: {problem!r}"
        ) from problem


def _binned(field: str, description: str, efficiency_map: EfficiencyMap) -> dict[str, Any]:
    def node(name: str) -> dict[str, Any]:
        table = efficiency_map.flavours[name]
        return {
            "nodetype": "multibinning",
            "inputs": ["pt", "eta"],
            "edges": [table.pt_edges.tolist(), table.eta_edges.tolist()],
            "content": getattr(table, field).ravel().tolist(),  # eta runs fastest
            "flow": "clamp",
        }

    name = "efficiency" if field == "efficiency" else f"efficiency_{field}"
    return _correction(
        name,
        description,
        ["flavour", "pt", "eta"],
        {flavour: node(flavour) for flavour in FLAVOURS},
    )


def _counts(efficiency_map: EfficiencyMap) -> dict[str, Any]:
    tags = {name: efficiency_map.flavours[name].tags for name in FLAVOURS}
    return _correction(
        "tagged_jets", "effective number of tagged jets the map rests on", ["flavour"], tags
    )


def _correction(
    name: str, description: str, inputs: list[str], nodes: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "version": 1,
        "inputs": [INPUTS[item] for item in inputs],
        "output": {"name": name, "type": "real"},
        "data": {
            "nodetype": "category",
            "input": "flavour",
            "content": [
                {"key": code, "value": nodes[flavour]} for flavour, code in FLAVOUR_CODES.items()
            ],
            "default": nodes["light"],
        },
    }


def _by_flavour(category: dict[str, Any]) -> dict[str, Any]:
    values = {item["key"]: item["value"] for item in category["content"]}
    return {name: values[key] for name, key in FLAVOUR_CODES.items()} | {
        "light": category["default"]
    }


def _flavour_map(efficiency: dict[str, Any], error: dict[str, Any], tags: float) -> FlavourMap:
    pt_edges, eta_edges = (np.asarray(edges, float) for edges in efficiency["edges"])
    shape = len(pt_edges) - 1, len(eta_edges) - 1
    return FlavourMap(
        pt_edges,
        eta_edges,
        np.reshape(efficiency["content"], shape),
        np.reshape(error["content"], shape),
        float(tags),
    )
