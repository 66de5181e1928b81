"""Four-momenta in expressions: records that keep the coordinates they were made from and give all others on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import awkward as ak
import numpy as np

from weaver_tt.physics.angles import delta_phi, delta_r
from weaver_tt.physics.four_momentum import (
    azimuth,
    energy_from_mass,
    momentum_size,
    momentum_x,
    momentum_y,
    momentum_z,
    pseudorapidity,
    signed_mass,
    transverse_momentum,
)


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
    return delta_phi(coordinate(momentum, "phi"), coordinate(other, "phi"))


def momentum_delta_eta(momentum: ak.Array, other: ak.Array) -> Any:
    """Difference of pseudorapidities."""
    return coordinate(momentum, "eta") - coordinate(other, "eta")


def momentum_delta_r(momentum: ak.Array, other: ak.Array) -> Any:
    """Distance in (eta, phi)."""
    return delta_r(
        coordinate(momentum, "eta"),
        coordinate(momentum, "phi"),
        coordinate(other, "eta"),
        coordinate(other, "phi"),
    )


DERIVED: Mapping[str, Callable[[Callable[[str], Any]], Any]] = {
    "px": lambda of: momentum_x(of("pt"), of("phi")),
    "py": lambda of: momentum_y(of("pt"), of("phi")),
    "pz": lambda of: momentum_z(of("pt"), of("eta")),
    "pt": lambda of: transverse_momentum(of("px"), of("py")),
    "phi": lambda of: azimuth(of("px"), of("py")),
    "eta": lambda of: pseudorapidity(of("pt"), of("pz")),
    "theta": lambda of: np.arctan2(of("pt"), of("pz")),
    "p": lambda of: momentum_size(of("pt"), of("pz")),
    "energy": lambda of: energy_from_mass(of("mass"), of("p") ** 2),
    "mass": lambda of: signed_mass(of("energy"), of("p")),
    "mt": lambda of: np.sqrt(of("energy") ** 2 - of("pz") ** 2),
    "et": lambda of: of("energy") * of("pt") / of("p"),
    "rapidity": lambda of: np.arctanh(of("pz") / of("energy")),
}
"""Coordinate -> how it follows from others."""
