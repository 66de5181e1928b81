"""Thresholds as JSON in the correctionlib schema, version 2.

Readable by ``correctionlib`` in Python and C++. For each efficiency there are two corrections of
(rho, pt), with rho = ln(m^2 / pT^2) and pT in GeV: ``NAME_ddt_5p0`` is the threshold that 5 % of
the background pass, ``NAME_ddt_5p0_error`` its statistical error. Beyond the edges the outermost
bin holds.

The description of an input is the expression of columns that it is taken from, that of the output
the discriminant that the threshold is of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weaver_tt.applications.decorrelation.jets import PT, RHO, SCORE
from weaver_tt.applications.decorrelation.threshold_map import RhoPtBins, Thresholds
from weaver_tt.expressions.row_values import Floats
from weaver_tt.report.ddt import efficiency_of
from weaver_tt.system.atomic_files import write_text
from weaver_tt.system.json_files import explaining_damage, strict_json_text

ERROR = "_error"


@dataclass(frozen=True, kw_only=True)
class DdtMaps:
    """Thresholds by the column that they make, ``NAME_ddt_5p0``, and the ``sources`` of their
    roles rho, pt and discriminant."""

    sources: Mapping[str, str]
    by_column: Mapping[str, Thresholds]


def save_maps(maps: DdtMaps, path: str | Path, description: str) -> None:
    """Write the maps.

    Raises:
        OutputError: the file cannot be written.
    """
    corrections = []
    for column, thresholds in maps.by_column.items():
        share = f"{100 * thresholds.efficiency:.10g} % of the background"
        values = {
            column: (thresholds.thresholds, f"threshold that {share} pass"),
            column + ERROR: (thresholds.errors, "its statistical error"),
        }
        for name, (of_bins, text) in values.items():
            corrections.append(_correction(name, text, maps.sources, thresholds.bins, of_bins))
    document = {"schema_version": 2, "description": description, "corrections": corrections}
    write_text(path, strict_json_text(document, str(path)) + "\n")


def load_maps(path: str | Path) -> DdtMaps:
    """Read what :func:`save_maps` wrote.

    Raises:
        ConfigError: the file is missing or holds anything else.
    """
    with explaining_damage(path, "the thresholds", "a map of thresholds", "weaver-tt ddt"):
        document = json.loads(Path(path).read_text())
        corrections = {item["name"]: item for item in document["corrections"]}
        by_column = {}
        sources: dict[str, str] = {}
        for name, correction in corrections.items():
            if name.endswith(ERROR):
                continue
            efficiency = efficiency_of(name)
            if efficiency is None:
                raise ValueError(f"a correction {name!r}")
            inputs = {item["name"]: str(item["description"]) for item in correction["inputs"]}
            sources = {
                RHO: inputs[RHO],
                PT: inputs[PT],
                SCORE: str(correction["output"]["description"]),
            }
            bins, thresholds = _read_bins(correction["data"])
            _, errors = _read_bins(corrections[name + ERROR]["data"])
            by_column[name] = Thresholds(
                efficiency=efficiency, bins=bins, thresholds=thresholds, errors=errors
            )
        if not by_column:
            raise ValueError("no thresholds")
    return DdtMaps(sources=sources, by_column=by_column)


def _correction(
    name: str, description: str, sources: Mapping[str, str], bins: RhoPtBins, values: Floats
) -> dict[str, Any]:
    of_pt = []
    for number, edges in enumerate(bins.rho_edges):
        mine = values[bins.first_bins[number] : bins.first_bins[number + 1]]
        of_pt.append(_binning(RHO, edges, mine.tolist()))
    inputs = [{"name": role, "type": "real", "description": sources[role]} for role in (RHO, PT)]
    return {
        "name": name,
        "description": description,
        "version": 1,
        "inputs": inputs,
        "output": {"name": name, "type": "real", "description": sources[SCORE]},
        "data": _binning(PT, bins.pt_edges, of_pt),
    }


def _binning(variable: str, edges: Floats, content: list[Any]) -> dict[str, Any]:
    return {
        "nodetype": "binning",
        "input": variable,
        "edges": edges.tolist(),
        "content": content,
        "flow": "clamp",
    }


def _read_bins(data: Any) -> tuple[RhoPtBins, Floats]:
    """The bins of a correction, and its values in them (C,)."""
    pt_edges = _edges(data)
    of_pt = data["content"]
    bins = RhoPtBins(pt_edges=pt_edges, rho_edges=tuple(_edges(item) for item in of_pt))
    contents = [np.asarray(item["content"], np.float64) for item in of_pt]
    numbers = [len(edges) - 1 for edges in bins.rho_edges]
    if [content.shape for content in contents] != [(number,) for number in numbers]:
        raise ValueError("numbers of bins and of thresholds that differ")
    values = np.concatenate(contents)
    if len(of_pt) != len(pt_edges) - 1 or not np.isfinite(values).all():
        raise ValueError("thresholds that are not a number in each bin")
    return bins, values


def _edges(binning: Any) -> Floats:
    edges = np.asarray(binning["edges"], np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError("bin edges that do not increase")
    return edges
