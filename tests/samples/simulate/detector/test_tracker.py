"""Which particles have a track, and how well it is measured."""

import numpy as np
import pytest

from tests.samples.simulate.detector.flying import many
from weaver_tt.samples.simulate.detector.effects import EFFECTS
from weaver_tt.samples.simulate.detector.tracker import (
    count_hits,
    displaced_efficiency,
    momentum_resolution,
    particles_nearby,
    reconstruct_tracks,
    track_efficiency,
)
from weaver_tt.samples.simulate.processes import sample_settings


def only(*effects):
    """A detector with these effects alone."""
    without = tuple(name for name in EFFECTS if name not in effects)
    return sample_settings("jets", detector=True, without=without)


def test_the_efficiency_by_kind_hardness_and_angle():
    pid = np.array([211, -211, 2212, 321, 11, -13])
    pt = np.array([0.5, 2.0, 0.5, 2.0, 2.0, 2.0])
    eta = np.array([0.0, -0.5, 2.0, -2.0, 0.0, 2.0])
    assert track_efficiency(pid, pt, eta).tolist() == [0.70, 0.94, 0.60, 0.85, 0.95, 0.98]


def test_tracks_from_far_away_are_found_less_often():
    radius = np.array([0.0, 150.0, 600.0, 900.0])
    assert displaced_efficiency(radius).tolist() == [1, 0.75, 0, 0]


def test_particles_nearby_share_a_fortieth_in_eta_and_phi():
    event = np.array([0, 0, 0, 0, 1])
    eta = np.array([0.501, 0.524, 0.526, 0.503, 0.501])
    phi = np.array([-0.001, -0.024, -0.001, 0.001, -0.001])
    # the third is in the next cell of eta, the fourth in that of phi, the fifth in another event
    assert particles_nearby(event, eta, phi).tolist() == [1, 1, 0, 0, 0]


def test_the_resolution_of_the_momentum_by_hand():
    pid = np.array([211, 211, 211, 13, 11])
    pt = np.array([100.0, 100.0, 1.0, 1000.0, 10.0])
    eta = np.array([0.3, -1.0, 2.0, 0.0, 0.0])
    expected = [
        np.hypot(0.01, 0.015),
        np.hypot(0.015, 0.025),
        0.025,
        np.hypot(0.01, 0.1),
        np.hypot(0.03, 0.013),
    ]
    assert momentum_resolution(pid, pt, eta) == pytest.approx(expected, rel=1e-3)


def test_a_perfect_tracker_finds_every_charged_particle_with_its_momentum():
    particles = many(5, 211, 1, 3.0, 4.0, 0.0)
    tracks = reconstruct_tracks(particles, only(), np.random.default_rng(1))
    assert tracks.particle.tolist() == [0, 1, 2, 3, 4]
    assert (tracks.momentum == particles.momentum).all()
    assert not tracks.dxy.any()


@pytest.mark.parametrize(
    ("effects", "eta", "share"),
    [
        (("track-efficiency",), 0.0, 0.94),
        (("track-efficiency",), 1.0, 0.85),
        # each of 2000 particles has 1999 others in its cell
        (("track-density",), 0.0, 0.0),
        (("acceptance",), 2.4, 1.0),
        (("acceptance",), 2.6, 0.0),
    ],
)
def test_each_effect_alone_loses_its_share_of_tracks(effects, eta, share):
    particles = many(2000, 211, 1, 3.0, eta, 0.0)
    tracks = reconstruct_tracks(particles, only(*effects), np.random.default_rng(1))
    assert len(tracks) / 2000 == pytest.approx(share, abs=0.03)


def test_tracks_of_decays_are_lost_by_where_they_begin():
    particles = many(2000, 211, 1, 3.0, 0.0, 0.0)
    particles.vertex[0] = 300
    tracks = reconstruct_tracks(particles, only("track-efficiency"), np.random.default_rng(1))
    assert len(tracks) / 2000 == pytest.approx(0.94 * 0.5, abs=0.04)


def test_curvatures_are_measured_with_the_stated_error_and_unbiased():
    particles = many(5000, 211, 1, 400.0, 0.0, 0.0)
    tracks = reconstruct_tracks(particles, only("track-resolution"), np.random.default_rng(1))
    curvature = 400 / np.hypot(*tracks.momentum[:2])
    expected = np.hypot(0.01, 0.06)
    assert curvature.mean() == pytest.approx(1, abs=0.004)
    assert curvature.std() == pytest.approx(expected, rel=0.04)
    assert tracks.momentum_error.mean() == pytest.approx(400 * expected, rel=0.02)
    # the direction stays
    assert not tracks.momentum[1].any()


def test_impact_parameters_are_smeared_by_their_errors():
    particles = many(5000, 211, 1, 2.0, 0.0, 0.0)
    tracks = reconstruct_tracks(particles, only("impact-parameters"), np.random.default_rng(1))
    assert tracks.dxy_error == pytest.approx(np.hypot(0.015, 0.04))
    assert (tracks.dxy / tracks.dxy_error).std() == pytest.approx(1, abs=0.04)
    assert (tracks.dz / tracks.dz_error).std() == pytest.approx(1, abs=0.04)


def test_hits_are_behind_the_vertex_and_99_percent_of_the_layers_have_one():
    radius = np.repeat([0.0, 80.0, 300.0], 3000)
    pixels, strips, lost = (
        values.reshape(3, 3000) for values in count_hits(radius, np.random.default_rng(1))
    )
    # layers of pixels at 44, 73, 102 mm; ten of strips, the first at 255 mm
    assert pixels.mean(axis=1) == pytest.approx([2.97, 0.99, 0], abs=0.02)
    assert strips.mean(axis=1) == pytest.approx([9.9, 9.9, 8.91], abs=0.03)
    # crossed without a hit before the first one: the layers before the vertex, and 1 % of misses
    assert lost.mean(axis=1) == pytest.approx([0.0101, 2.0101, 4.0101], abs=0.01)
