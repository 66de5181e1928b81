"""A correction of jets as JSON in the correctionlib schema, version 2.

Readable by ``correctionlib`` in Python and C++:

- ``response`` of (pt, eta): the factor that takes back the detector's response;
- ``response_error`` of (pt, eta): its relative statistical error;
- ``offset`` of (pt, area, rho), with pile-up: 1 - rho area / pT, not below ``LEAST_SHARE``;
- the compound correction ``jet_energy_correction``: offset, then response at the pT that is left.

The description of an input is the column, or the expression of columns, that it is taken from.
Beyond the range of the data correctionlib raises an error, or the factor of the border holds
(``--extrapolate``): ``flow`` is ``error`` or ``clamp``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from weaver_tt.physics.jet_curves import EtaCurves, Floats, PtCurve
from weaver_tt.system.json_files import explaining_damage

OFFSET = "offset"
RESPONSE = "response"
ERROR = "response_error"
WHOLE = "jet_energy_correction"

ROLES = ("pt", "eta", "area", "rho")
ROLES_OF_OFFSET = ("area", "rho")
LEAST_SHARE = 0.01
"""Of its pT that a jet keeps, where pile-up would explain more than all of it."""

# the parameters are log of the lower edge, and coefficients in d = log(pt) minus it
FACTOR = "exp([1]+(log(x)-[0])*([2]+(log(x)-[0])*([3]+(log(x)-[0])*[4])))"
LINE = "[1]+(log(x)-[0])*[2]"
SHARE = "max(1-z*y/x,[0])"
FLOWS = {False: "error", True: "clamp"}


def correction_document(
    curves: EtaCurves, sources: Mapping[str, str], extrapolates: bool, description: str
) -> dict[str, Any]:
    """The document; ``sources`` are columns or expressions by role, with rho where there is an
    offset."""
    flow = FLOWS[extrapolates]
    inputs = {}
    for role, source in sources.items():
        inputs[role] = {"name": role, "type": "real", "description": source}
    factor = _correction(
        RESPONSE, "factor that takes back the response of the detector", inputs, ("pt", "eta")
    )
    factor["generic_formulas"] = [_formula(FACTOR, ["pt"])]
    factor["data"] = _of_bins(curves, [curve.coefficients for curve in curves.curves], flow)
    error = _correction(ERROR, "relative statistical error of it", inputs, ("pt", "eta"))
    error["generic_formulas"] = [_formula(LINE, ["pt"])]
    error["data"] = _of_bins(curves, [curve.errors for curve in curves.curves], flow)

    corrections = [factor, error]
    stack = [RESPONSE]
    if "rho" in inputs:
        names = ("pt", *ROLES_OF_OFFSET)
        offset = _correction(OFFSET, "share of the pT that is not pile-up", inputs, names)
        offset["data"] = _formula(SHARE, list(names)) | {"parameters": [LEAST_SHARE]}
        corrections.insert(0, offset)
        stack.insert(0, OFFSET)
    compound = {
        "name": WHOLE,
        "description": f"{' and '.join(stack)}: multiply pT by it",
        "inputs": list(inputs.values()),
        "output": {"name": WHOLE, "type": "real"},
        "inputs_update": ["pt"],
        "input_op": "*",
        "output_op": "*",
        "stack": stack,
    }
    return {
        "schema_version": 2,
        "description": description,
        "corrections": corrections,
        "compound_corrections": [compound],
    }


def read_document(path: str | Path) -> tuple[EtaCurves, dict[str, str], bool]:
    """What :func:`parse_document` finds in the file at ``path``.

    Raises:
        ConfigError: the file is missing or holds anything else.
    """
    with explaining_damage(path, "the correction", "a correction", "weaver-tt jec derive"):
        return parse_document(json.loads(Path(path).read_text()))


def parse_document(document: Any) -> tuple[EtaCurves, dict[str, str], bool]:
    """Curves, columns by role, and whether they extrapolate, of what was written.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: the document holds anything else.
    """
    compound = {item["name"]: item for item in document["compound_corrections"]}[WHOLE]
    sources = {item["name"]: str(item["description"]) for item in compound["inputs"]}
    expected = ROLES if OFFSET in compound["stack"] else ROLES[:2]
    if set(sources) != set(expected):
        raise ValueError(f"inputs {', '.join(sources)} instead of {', '.join(expected)}")
    corrections = {item["name"]: item for item in document["corrections"]}
    for name, formula in ((RESPONSE, FACTOR), (ERROR, LINE)):
        expression = corrections[name]["generic_formulas"][0]["expression"]
        if expression != formula:
            raise ValueError(f"{name}: the formula {expression!r} instead of {formula!r}")
    factor = corrections[RESPONSE]["data"]["content"]
    error = corrections[ERROR]["data"]["content"]
    eta_edges = _edges(factor)
    curves = []
    for of_factor, of_error in zip(factor["content"], error["content"], strict=True):
        edges = _edges(of_factor)
        coefficients = _parameters(of_factor, 4)
        errors = _parameters(of_error, 2)
        _check_log_edges(edges, of_factor, of_error)
        if not len(edges) == len(coefficients) + 1 == len(errors) + 1:
            raise ValueError("numbers of segments that differ")
        curves.append(PtCurve(edges=edges, coefficients=coefficients, errors=errors))
    if len(curves) != len(eta_edges) - 1:
        raise ValueError("another number of bins than edges in eta")
    extrapolates = {flow: key for key, flow in FLOWS.items()}[factor["flow"]]
    ordered = {role: sources[role] for role in expected}
    return EtaCurves(eta_edges=eta_edges, curves=tuple(curves)), ordered, extrapolates


def _correction(
    name: str, description: str, inputs: Mapping[str, Any], roles: tuple[str, ...]
) -> dict[str, Any]:
    """A correction of ``roles``, but for its data."""
    return {
        "name": name,
        "description": description,
        "version": 1,
        "inputs": [inputs[role] for role in roles],
        "output": {"name": name, "type": "real"},
    }


def _formula(expression: str, variables: list[str]) -> dict[str, Any]:
    return {
        "nodetype": "formula",
        "expression": expression,
        "parser": "TFormula",
        "variables": variables,
    }


def _of_bins(curves: EtaCurves, of_segments: list[Floats], flow: str) -> dict[str, Any]:
    """Polynomials of the segments (K, P) of each bin, chosen by |eta| and pT."""
    bins = []
    for curve, polynomials in zip(curves.curves, of_segments, strict=True):
        segments = []
        for log_edge, polynomial in zip(curve.log_edges[:-1], polynomials, strict=True):
            parameters = [float(log_edge), *polynomial.tolist()]
            segments.append({"nodetype": "formularef", "index": 0, "parameters": parameters})
        bins.append(_binning("pt", curve.edges, segments, flow))
    return {
        "nodetype": "transform",
        "input": "eta",
        "rule": _formula("abs(x)", ["eta"]),
        "content": _binning("eta", curves.eta_edges, bins, flow),
    }


def _binning(variable: str, edges: Floats, content: list[Any], flow: str) -> dict[str, Any]:
    return {
        "nodetype": "binning",
        "input": variable,
        "edges": edges.tolist(),
        "content": content,
        "flow": flow,
    }


def _edges(binning: Any) -> Floats:
    """Edges of a binning, which ascend."""
    edges = np.asarray(binning["edges"], np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError("bin edges that do not increase")
    return edges


def _check_log_edges(edges: Floats, *binnings: Any) -> None:
    """Raise ValueError unless segments begin at their lower edges, as we evaluate them."""
    for binning in binnings:
        first = [segment["parameters"][0] for segment in binning["content"]]
        if not (edges > 0).all() or not np.allclose(np.exp(first), edges[:-1], rtol=1e-9):
            raise ValueError("segments that do not begin at their edges in pT")


def _parameters(binning: Any, number: int) -> Floats:
    """Polynomials (K, ``number``) of the segments of a binning in pT."""
    rows = [segment["parameters"][1:] for segment in binning["content"]]
    polynomials = np.asarray(rows, np.float64)
    if polynomials.ndim != 2 or polynomials.shape[1] != number:
        raise ValueError(f"polynomials of shape {polynomials.shape} instead of (K, {number})")
    if not np.isfinite(polynomials).all():
        raise ValueError("a coefficient is not finite")
    return polynomials
