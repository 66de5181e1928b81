"""Pairs of jets and other directions of an event."""

import numpy as np

from weaver_tt.samples.simulate.matching import (
    Directions,
    expand_ranges,
    mutually_nearest,
    nearest_others,
    pairs_by_event,
)


def directions(*entries):
    """Directions of (event, eta, phi)."""
    event, eta, phi = zip(*entries, strict=True)
    return Directions(event=np.array(event), eta=np.array(eta), phi=np.array(phi))


def test_ranges_are_written_out_one_after_another():
    entry, place = expand_ranges(np.array([5, 0, 7]), np.array([2, 0, 3]))
    assert entry.tolist() == [0, 0, 2, 2, 2]
    assert place.tolist() == [5, 6, 7, 8, 9]


def test_every_jet_meets_every_other_of_its_event_and_no_more():
    jet, other = pairs_by_event(np.array([0, 2, 2]), np.array([0, 0, 1, 2]))
    assert list(zip(jet.tolist(), other.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 3), (2, 3)]


def test_the_nearest_inside_the_radius_across_the_seam_of_the_azimuth():
    jets = directions((0, 0.0, 3.1), (0, 1.0, 0.0), (1, 0.0, 3.1))
    others = directions((0, 0.0, -3.1), (0, 0.05, 3.1), (0, 1.0, 0.25))
    # 0.083 across the seam, but 0.05 on this side; 0.25 is too far; event 1 has none
    assert nearest_others(jets, others, 0.2).tolist() == [1, -1, -1]


def test_two_jets_do_not_share_a_partner():
    jets = directions((0, 0.0, 0.0), (0, 0.15, 0.0))
    others = directions((0, 0.05, 0.0))
    assert nearest_others(jets, others, 0.2).tolist() == [0, 0]
    assert mutually_nearest(jets, others, 0.2).tolist() == [0, -1]


def test_without_any_other_nothing_is_found():
    nobody = Directions(event=np.empty(0, int), eta=np.empty(0), phi=np.empty(0))
    assert mutually_nearest(directions((0, 0.0, 0.0)), nobody, 0.2).tolist() == [-1]
    assert mutually_nearest(nobody, directions((0, 0.0, 0.0)), 0.2).tolist() == []
