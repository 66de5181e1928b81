"""Four-momenta in expressions.

Records that keep the coordinates they were made from and give all others on request.
"""

from __future__ import annotations

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

RECORD_NAME = "Momentum4D"


def make_momentum(**coordinates: Any) -> ak.Array:
    """Records of four coordinates, such as pt, eta, phi, mass; arrays of any (equal) jaggedness."""
    return ak.zip(coordinates, with_name=RECORD_NAME)


def is_momentum(value: Any) -> bool:
    """Whether a value is an array of four-momenta, one a row or jagged."""
    layout = getattr(value, "layout", None)
    while layout is not None and not layout.is_record:
        layout = getattr(layout, "content", None)
    return layout is not None and layout.parameter("__record__") == RECORD_NAME


def coordinate(record: ak.Array, name: str) -> Any:
    """A coordinate of four-momenta, as stored or derived from those stored (GeV in, GeV out).

    Raises:
        KeyError: there is no such coordinate.
    """
    if name in record.fields:
        return record[name]

    def of(other: str) -> Any:
        return coordinate(record, other)

    match name:
        case "px":
            return momentum_x(of("pt"), of("phi"))
        case "py":
            return momentum_y(of("pt"), of("phi"))
        case "pz":
            return momentum_z(of("pt"), of("eta"))
        case "pt":
            return transverse_momentum(of("px"), of("py"))
        case "phi":
            return azimuth(of("px"), of("py"))
        case "eta":
            return pseudorapidity(of("pt"), of("pz"))
        case "theta":
            return np.arctan2(of("pt"), of("pz"))
        case "p":
            return momentum_size(of("pt"), of("pz"))
        case "energy":
            return energy_from_mass(of("mass"), of("p") ** 2)
        case "mass":
            return signed_mass(of("energy"), of("p"))
        case "mt":
            return np.sqrt(of("energy") ** 2 - of("pz") ** 2)
        case "et":
            return of("energy") * of("pt") / of("p")
        case "rapidity":
            return np.arctanh(of("pz") / of("energy"))
    raise KeyError(name)


def add_momenta(left: ak.Array, right: ak.Array) -> ak.Array:
    """The sum of two arrays of four-momenta."""
    total = {}
    for name in ("px", "py", "pz", "energy"):
        total[name] = coordinate(left, name) + coordinate(right, name)
    return make_momentum(**total)


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
