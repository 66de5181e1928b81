"""Vertices away from the primary one."""

import numpy as np
import pytest

from tests.samples.simulate.detector.test_primary_vertices import tracks
from tests.samples.simulate.detector.test_tracker import only
from weaver_tt.samples.simulate.detector.secondary_vertices import (
    common_origins,
    crossing_tracks,
    distance_error,
    secondary_vertices,
)


def vertices(event, origin, measured, sample, seed=1):
    """Vertices of tracks with momenta of (1, 2, ...) GeV along x."""
    momentum = np.zeros((4, len(event)))
    momentum[0] = momentum[3] = np.arange(len(event)) + 1
    return secondary_vertices(
        np.array(event),
        np.array(origin, float).T,
        measured,
        momentum,
        sample,
        np.random.default_rng(seed),
    )


def test_tracks_from_one_place_of_one_event_share_a_vertex():
    event = np.array([0, 0, 1, 0])
    origin = np.array([[3.0, 3.0, 3.0, 3.0], [4, 4, 4, 4], [0, 0, 0, 0.1]])
    found = common_origins(event, origin)
    assert found[0] == found[1]
    assert len(set(found.tolist())) == 3


def test_two_displaced_tracks_are_a_vertex_and_prompt_or_lone_ones_are_none():
    event = [0, 0, 0, 0, 0, 1]
    origin = [(3, 4, 12), (3, 4, 12), (0, 0, 0), (0, 0, 0), (5, 0, 0), (3, 4, 12)]
    found = vertices(event, origin, tracks([0.0] * 6), only())
    assert found.event.tolist() == [0]
    assert found.tracks.tolist() == [2]
    assert found.distance == pytest.approx([13])
    assert found.momentum[0].tolist() == [1 + 2]


def test_tracks_far_along_the_beam_are_of_other_collisions():
    origin = [(3, 4, 12)] * 2
    assert len(vertices([0, 0], origin, tracks([4.0, 4.0]), only())) == 0


def test_the_error_shrinks_with_the_number_of_tracks_and_grows_with_the_distance():
    found = distance_error(np.array([0.0, 0.0, 50.0]), np.array([2, 8, 2]))
    assert found == pytest.approx([0.15, 0.075, np.hypot(0.15, 1.0)])


def test_vertices_are_found_with_their_efficiency_and_measured_with_their_error():
    number = 2000
    event = np.repeat(np.arange(number), 2)
    origin = np.tile([[3.0, 4.0, 0.0]], (2 * number, 1))
    found = vertices(event, origin, tracks(np.zeros(2 * number)), only("fake-vertices"))
    assert len(found) / number == pytest.approx(0.85, abs=0.03)
    pull = (found.distance - 5) / np.hypot(0.15, 0.1)
    assert pull.std() == pytest.approx(1, abs=0.05)
    # by event
    assert (np.diff(found.event) > 0).all()


def test_near_vertices_are_not_significant():
    event = np.repeat(np.arange(500), 2)
    origin = np.tile([[0.2, 0.0, 0.0]], (1000, 1))
    found = vertices(event, origin, tracks(np.zeros(1000)), only("fake-vertices"))
    # 0.2 mm of an error of 0.15 mm: 1.7 errors short of 3
    assert len(found) / 500 == pytest.approx(0.05, abs=0.03)


def test_displaced_tracks_side_by_side_cross_by_chance():
    number = 4000
    event = np.repeat(np.arange(number), 2)
    momentum = np.tile([[1.0], [0.0], [0.0], [1.0]], 2 * number)
    momentum[1, ::2] = 0.05
    found = crossing_tracks(event, momentum, np.full(2 * number, 0.1), np.random.default_rng(1))
    assert len(found) / number == pytest.approx(0.05, abs=0.012)
    # impact parameters of 0.1 mm each at an angle of 0.05
    assert found.distance == pytest.approx(4.0, rel=0.01)
    momentum[1, ::2] = 0.2
    assert (
        len(crossing_tracks(event, momentum, np.full(2 * number, 0.1), np.random.default_rng(1)))
        == 0
    )
