"""Which vertex along the beam a track belongs to."""

import numpy as np

from weaver_tt.samples.simulate.detector.primary_vertices import (
    Collisions,
    belongs_to_pileup,
    found_vertices,
    no_collisions,
    vertex_quality,
)
from weaver_tt.samples.simulate.detector.tracker import Tracks


def tracks(dz, dxy=None, error=0.1):
    """Tracks with these impact parameters and an error of 0.1 mm."""
    dz = np.array(dz, float)
    dxy = np.zeros(len(dz)) if dxy is None else np.array(dxy, float)
    nothing = np.zeros(len(dz), int)
    return Tracks(
        particle=np.arange(len(dz)),
        momentum=np.ones((4, len(dz))),
        momentum_error=np.ones(len(dz)),
        dxy=dxy,
        dxy_error=np.full(len(dz), error),
        dz=dz,
        dz_error=np.full(len(dz), error),
        hits=nothing,
        pixel_hits=nothing,
        lost_hits=nothing,
    )


def test_three_tracks_make_a_vertex_that_is_not_too_near():
    collisions = Collisions(
        event=np.array([0, 0, 0, 1]), number=np.array([1, 2, 3, 1]), z=np.array([30.0, -5, 0.4, 9])
    )
    event = np.array([0] * 9 + [1] * 4)
    origin = np.array([1, 1, 1, 2, 2, 3, 3, 3, 0, 1, 1, 1, 1])
    # the second has two tracks, the third is 0.4 mm from the hard one
    assert found_vertices(collisions, event, origin).tolist() == [True, False, False, True]


def test_tracks_belong_to_the_nearest_vertex_of_their_event_within_three_errors():
    vertices = Collisions(
        event=np.array([0, 0, 1]), number=np.array([1, 2, 1]), z=np.array([10.0, -1, 5])
    )
    event = np.array([0, 0, 0, 0, 1, 1])
    found = belongs_to_pileup(event, tracks([10.2, 9.5, -0.4, -0.8, 10.0, 5.0]), vertices)
    # 9.5 is five errors away, -0.4 nearer to the hard one, 10.0 belongs to event 0
    assert found.tolist() == [True, False, False, True, False, True]


def test_without_other_collisions_all_tracks_are_kept():
    assert not belongs_to_pileup(np.array([0, 3]), tracks([0.0, 40.0]), no_collisions()).any()
    assert len(found_vertices(no_collisions(), np.array([0]), np.array([0]))) == 0


def test_the_quality_says_fitted_displaced_or_elsewhere():
    measured = tracks([0.2, 0.2, 2.0, 5.0], dxy=[0.1, -0.5, 0.0, 0.0])
    assert vertex_quality(measured).tolist() == [7, 4, 4, 1]


def test_a_track_between_two_vertices_belongs_to_the_nearer_one():
    vertices = Collisions(event=np.array([0]), number=np.array([1]), z=np.array([0.4]))
    event = np.array([0, 0])
    # both are within three errors of both
    assert belongs_to_pileup(event, tracks([0.15, 0.25]), vertices).tolist() == [False, True]
