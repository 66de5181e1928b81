"""Where particles meet the calorimeter: straight lines, and helices in the magnetic field."""

from __future__ import annotations

import numpy as np

from weaver_tt.physics.four_momentum import transverse_momentum
from weaver_tt.samples.simulate.generator import Floats

# radius, half length in mm and field in T of the solenoid of CMS, as in the Delphes card for CMS
CALORIMETER_RADIUS = 1290.0
CALORIMETER_LENGTH = 3000.0
FIELD = 3.8
BENDING = 0.299792458e-3  # GeV / (T mm): pT = BENDING * B * radius of curvature

ANYWHERE = np.array([[CALORIMETER_RADIUS], [0.0], [0.0]])  # the place of what is not seen


def positions_at_calorimeter(
    momentum: Floats, vertex: Floats, charge: Floats, field: float = FIELD
) -> tuple[Floats, np.ndarray]:
    """Positions (3, M) in mm on the cylinder of the calorimeter, and whether they are reached.

    ``momentum`` (4, M), ``vertex`` (3, M) in mm, inside the cylinder. A charged particle that curls
    up is not seen: it would need more than half a turn.
    """
    bends = (charge != 0) & (field > 0)
    positions = straight_positions(momentum, vertex)
    is_inside = np.hypot(vertex[0], vertex[1]) < CALORIMETER_RADIUS
    is_reached = is_inside & (np.abs(vertex[2]) < CALORIMETER_LENGTH)
    curved, is_seen = helix_positions(momentum[:, bends], vertex[:, bends], charge[bends], field)
    positions[:, bends] = curved
    is_reached[bends] &= is_seen
    # what is not seen is put where one can compute with it
    return np.where(is_reached, positions, ANYWHERE), is_reached


def straight_positions(momentum: Floats, vertex: Floats) -> Floats:
    """(3, M) where straight lines leave the cylinder."""
    px, py, pz, _ = momentum
    x, y, z = vertex
    pt_squared = px**2 + py**2
    along = x * px + y * py
    inside = CALORIMETER_RADIUS**2 - x**2 - y**2
    with np.errstate(divide="ignore", invalid="ignore"):
        # in units of the momentum: to the barrel, and to the end
        to_barrel = (np.sqrt(along**2 + pt_squared * inside) - along) / pt_squared
        to_end = (np.copysign(CALORIMETER_LENGTH, pz) - z) / pz
    steps = np.fmin(to_barrel, to_end)
    return vertex + steps * momentum[:3]


def helix_positions(
    momentum: Floats, vertex: Floats, charge: Floats, field: float
) -> tuple[Floats, np.ndarray]:
    """(3, M) where charged particles leave the cylinder, and whether within half a turn."""
    px, py, pz, _ = momentum
    x, y, z = vertex
    pt = transverse_momentum(px, py)
    sign = np.sign(charge)
    curvature = pt / (BENDING * field * np.abs(charge))  # its radius, mm
    # seen along the field, a positive charge turns clockwise
    center_x = x + sign * curvature * py / pt
    center_y = y - sign * curvature * px / pt
    start = np.arctan2(y - center_y, x - center_x)
    turn_to_barrel = _turn_to_radius(center_x, center_y, curvature, start, sign)
    rise = curvature * pz / pt  # mm along the beam for each radian
    with np.errstate(divide="ignore"):
        turn_to_end = (np.copysign(CALORIMETER_LENGTH, pz) - z) / rise
    turn = np.fmin(turn_to_barrel, turn_to_end)
    is_seen = turn <= np.pi
    turn = np.where(is_seen, turn, 0.0)
    angle = start - sign * turn
    position = np.stack(
        [
            center_x + curvature * np.cos(angle),
            center_y + curvature * np.sin(angle),
            z + rise * turn,
        ]
    )
    return position, is_seen


def _turn_to_radius(
    center_x: Floats, center_y: Floats, curvature: Floats, start: Floats, sign: Floats
) -> Floats:
    """(M,) angle on the circle of the helix from ``start`` to the barrel; infinite if within it."""
    distance = np.hypot(center_x, center_y)
    direction = np.arctan2(center_y, center_x)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = (CALORIMETER_RADIUS**2 - distance**2 - curvature**2) / (2 * distance * curvature)
        half = np.arccos(cosine)  # NaN where the circles do not cross
    turns = [(sign * (start - direction - side * half)) % (2 * np.pi) for side in (1, -1)]
    turn = np.fmin(*turns)
    return np.where(np.isnan(turn), np.inf, turn)
