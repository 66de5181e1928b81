"""Efficiency maps as JSON in the correctionlib schema, version 2.

Readable by ``correctionlib`` in Python and C++. Three corrections: ``efficiency`` and
``efficiency_error`` of (flavour, pt, eta), where flavours other than 5 and 4 share the default, and
``tagged_jets`` of (flavour), the effective number of tagged jets that a flavour's map rests on.
Outside the edges the outermost bin holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from weaver_tt.applications.truth_tagging.efficiency_map import EfficiencyMap, FlavourMap
from weaver_tt.applications.truth_tagging.jets import Floats
from weaver_tt.errors import OutputError
from weaver_tt.physics.particles import FLAVOUR_CODES, FLAVOURS
from weaver_tt.system.atomic_files import write_text
from weaver_tt.system.json_files import explaining_damage, strict_json_text

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
    """Write the map.

    Raises:
        OutputError: the file cannot be written.
    """
    efficiency = {}
    error = {}
    tags = {}
    for name in FLAVOURS:
        table = efficiency_map.flavours[name]
        efficiency[name] = _binned_node(table, table.efficiency)
        error[name] = _binned_node(table, table.error)
        tags[name] = table.tags
    axes = ["flavour", "pt", "eta"]
    document = {
        "schema_version": 2,
        "description": description,
        "corrections": [
            _correction("efficiency", "probability that a jet is tagged", axes, efficiency),
            _correction("efficiency_error", "its statistical error", axes, error),
            _correction(
                "tagged_jets",
                "effective number of tagged jets the map rests on",
                ["flavour"],
                tags,
            ),
        ],
    }
    text = strict_json_text(document, str(path)) + "\n"
    try:
        write_text(path, text)
    except OutputError as failure:
        raise OutputError(f"cannot write the efficiency map: {failure}") from failure


def load_map(path: str) -> EfficiencyMap:
    """Read a map that :func:`save_map` wrote.

    Raises:
        ConfigError: the file is missing or holds anything else.
    """
    with explaining_damage(path, "the efficiency map", "an efficiency map", "weaver-tt map"):
        document = json.loads(Path(path).read_text())
        corrections = {item["name"]: item["data"] for item in document["corrections"]}
        efficiency = _by_flavour(corrections["efficiency"])
        error = _by_flavour(corrections["efficiency_error"])
        tags = _by_flavour(corrections["tagged_jets"])
        maps = {}
        for name in FLAVOURS:
            maps[name] = _flavour_map(efficiency[name], error[name], tags[name])
    return EfficiencyMap(maps)


def _binned_node(table: FlavourMap, values: Floats) -> dict[str, Any]:
    """One flavour's values (P, E) in the schema's form."""
    return {
        "nodetype": "multibinning",
        "inputs": ["pt", "eta"],
        "edges": [table.pt_edges.tolist(), table.eta_edges.tolist()],
        "content": values.ravel().tolist(),  # eta runs fastest
        "flow": "clamp",
    }


def _correction(
    name: str, description: str, inputs: list[str], nodes: Mapping[str, Any]
) -> dict[str, Any]:
    """A correction that chooses among the ``nodes`` of the flavours."""
    cases = []
    for flavour, code in FLAVOUR_CODES.items():
        cases.append({"key": code, "value": nodes[flavour]})
    choice = {
        "nodetype": "category",
        "input": "flavour",
        "content": cases,
        "default": nodes["light"],
    }
    return {
        "name": name,
        "description": description,
        "version": 1,
        "inputs": [INPUTS[item] for item in inputs],
        "output": {"name": name, "type": "real"},
        "data": choice,
    }


def _by_flavour(choice: dict[str, Any]) -> dict[str, Any]:
    """What a correction holds for each flavour."""
    of_code = {item["key"]: item["value"] for item in choice["content"]}
    nodes = {name: of_code[code] for name, code in FLAVOUR_CODES.items()}
    nodes["light"] = choice["default"]
    return nodes


def _flavour_map(efficiency: dict[str, Any], error: dict[str, Any], tags: float) -> FlavourMap:
    pt_edges, eta_edges = (np.asarray(edges, float) for edges in efficiency["edges"])
    for edges in (pt_edges, eta_edges):
        if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
            raise ValueError("bin edges that do not increase")
    shape = len(pt_edges) - 1, len(eta_edges) - 1
    return FlavourMap(
        pt_edges,
        eta_edges,
        np.reshape(efficiency["content"], shape),
        np.reshape(error["content"], shape),
        float(tags),
    )
