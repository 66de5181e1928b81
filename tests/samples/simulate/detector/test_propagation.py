"""Straight lines and helices to the calorimeter."""

import numpy as np
import pytest

from weaver_tt.samples.simulate.detector.propagation import (
    BENDING,
    CALORIMETER_LENGTH,
    CALORIMETER_RADIUS,
    FIELD,
    positions_at_calorimeter,
)


def positions(px, py, pz, charge, vertex=(0.0, 0.0, 0.0), field=FIELD):
    """Position of one particle, or None if it is not seen."""
    momentum = np.array([[px], [py], [pz], [np.sqrt(px**2 + py**2 + pz**2)]])
    found, is_reached = positions_at_calorimeter(
        momentum, np.array(vertex, float)[:, None], np.array([float(charge)]), field
    )
    return found[:, 0] if is_reached[0] else None


def test_neutral_particles_fly_straight_to_the_barrel_or_the_end():
    assert positions(3, 4, 0, 0) == pytest.approx([0.6 * 1290, 0.8 * 1290, 0])
    # 10 times as much along the beam as across it
    assert positions(1, 0, -10, 0) == pytest.approx([300, 0, -3000])
    # from a decay at x = 500: y reaches sqrt(1290^2 - 500^2) there
    found = positions(0, 2, 1, 0, vertex=(500, 0, 100))
    assert found == pytest.approx([500, np.sqrt(1290**2 - 500**2), 100 + found[1] / 2])


@pytest.mark.parametrize("charge", [1, -1])
def test_a_charged_particle_turns_by_half_the_angle_of_its_chord(charge):
    # chord of the circle of radius r through the beam: sin(turn / 2) = R / 2r,
    # and the position is turned by half of the turn
    pt = 2.0
    curvature = pt / (BENDING * FIELD)
    half_turn = np.arcsin(CALORIMETER_RADIUS / (2 * curvature))
    found = positions(pt, 0, 0.5, charge)
    # a positive charge turns clockwise, seen along the field
    assert np.arctan2(found[1], found[0]) == pytest.approx(-charge * half_turn)
    assert np.hypot(found[0], found[1]) == pytest.approx(CALORIMETER_RADIUS)
    assert found[2] == pytest.approx(0.5 / pt * curvature * 2 * half_turn)


def test_the_softest_that_reach_the_barrel_have_twice_their_radius_as_its_radius():
    softest = BENDING * FIELD * CALORIMETER_RADIUS / 2
    assert softest == pytest.approx(0.735, abs=0.001)  # GeV
    assert positions(1.01 * softest, 0, 0.1, 1) is not None
    assert positions(0.99 * softest, 0, 0.1, 1) is None
    # without the field all do
    assert positions(0.99 * softest, 0, 0.1, 1, field=0.0) is not None


def test_soft_forward_particles_reach_the_end_before_half_a_turn():
    found = positions(0.3, 0, 3.0, -1)
    curvature = 0.3 / (BENDING * FIELD)
    turn = CALORIMETER_LENGTH / (10 * curvature)
    assert found[2] == CALORIMETER_LENGTH
    assert np.hypot(found[0], found[1]) == pytest.approx(2 * curvature * np.sin(turn / 2))
    # 0.8 GeV along the beam would need 1.4 half turns, 0.5 GeV more than a whole one
    assert positions(0.3, 0, 0.8, -1) is None
    assert positions(0.3, 0, 0.5, -1) is None


def test_a_helix_from_a_displaced_vertex_by_small_steps():
    rng = np.random.default_rng(4)
    for _ in range(5):
        momentum = rng.normal(0, 2, 3)
        vertex = rng.normal(0, 100, 3)
        charge = rng.choice([-1, 1])
        expected = stepped(momentum, vertex, charge)
        found = positions(*momentum, charge, vertex=vertex)
        assert found == pytest.approx(expected, abs=2)


def stepped(momentum, vertex, charge):
    """The same by steps of the Lorentz force, of 0.1 mm."""
    size = np.linalg.norm(momentum)
    direction = momentum / size
    position = np.array(vertex)
    force = charge * BENDING * FIELD / size
    while np.hypot(*position[:2]) < CALORIMETER_RADIUS and abs(position[2]) < CALORIMETER_LENGTH:
        middle = direction + 0.05 * force * np.array([direction[1], -direction[0], 0])
        position = position + 0.1 * middle
        direction = direction + 0.1 * force * np.array([middle[1], -middle[0], 0])
    return position
