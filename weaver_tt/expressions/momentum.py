"""Four-momenta in expressions: records that keep the coordinates they were made from and give all others on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import awkward as ak
import numpy as np


def make_momentum(**coordinates: Any) -> ak.Array:
    """Records of four coordinates, such as pt, eta, phi, mass; arrays of any (equal) jaggedness."""
    return ak.zip(coordinates, with_name="Momentum4D")


def is_momentum(value: Any) -> bool:
    """Whether a value is an array of four-momenta, one a row or jagged."""
    layout = getattr(value, "layout", None)
    while layout is not None and not layout.is_record:
        layout = getattr(layout, "content", None)
    return layout is not None and layout.parameter("__record__") == "Momentum4D"


def coordinate(record: ak.Array, name: str) -> Any:
    """A coordinate of four-momenta, as stored or derived from those stored (GeV in, GeV out)."""
    if name in record.fields:
        return record[name]
    return DERIVED[name](lambda other: coordinate(record, other))


def add_momenta(left: ak.Array, right: ak.Array) -> ak.Array:
    """The sum of two arrays of four-momenta."""
    return make_momentum(
        **{
            name: coordinate(left, name) + coordinate(right, name)
            for name in ("px", "py", "pz", "energy")
        }
    )


def momentum_delta_phi(momentum: ak.Array, other: ak.Array) -> Any:
    """Difference of azimuths in [-pi, pi)."""
    return np.mod(coordinate(momentum, "phi") - coordinate(other, "phi") + np.pi, 2 * np.pi) - np.pi


def momentum_delta_eta(momentum: ak.Array, other: ak.Array) -> Any:
    """Difference of pseudorapidities."""
    return coordinate(momentum, "eta") - coordinate(other, "eta")


def momentum_delta_r(momentum: ak.Array, other: ak.Array) -> Any:
    """Distance in (eta, phi)."""
    return np.hypot(momentum_delta_eta(momentum, other), momentum_delta_phi(momentum, other))


def _mass(of: Callable[[str], Any]) -> Any:
    square = of("energy") ** 2 - of("p") ** 2
    return np.copysign(np.sqrt(np.abs(square)), square)  # a spacelike vector has a negative mass


DERIVED: Mapping[str, Callable[[Callable[[str], Any]], Any]] = {
    "px": lambda of: of("pt") * np.cos(of("phi")),
    "py": lambda of: of("pt") * np.sin(of("phi")),
    "pz": lambda of: of("pt") * np.sinh(of("eta")),
    "pt": lambda of: np.hypot(of("px"), of("py")),
    "phi": lambda of: np.arctan2(of("py"), of("px")),
    "eta": lambda of: np.arcsinh(of("pz") / of("pt")),
    "theta": lambda of: np.arctan2(of("pt"), of("pz")),
    "p": lambda of: np.hypot(of("pt"), of("pz")),
    "energy": lambda of: np.sqrt(of("mass") ** 2 + of("p") ** 2),
    "mass": _mass,
    "mt": lambda of: np.sqrt(of("energy") ** 2 - of("pz") ** 2),
    "et": lambda of: of("energy") * of("pt") / of("p"),
    "rapidity": lambda of: np.arctanh(of("pz") / of("energy")),
}
"""Coordinate -> how it follows from others."""
