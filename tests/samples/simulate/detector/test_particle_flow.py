"""Particle flow on a few particles."""

import numpy as np
import pytest

from tests.samples.simulate.detector.flying import flying, many
from tests.samples.simulate.detector.test_calorimeter import deposits
from tests.samples.simulate.detector.test_tracker import only
from weaver_tt.samples.simulate.columnar import joined
from weaver_tt.samples.simulate.detector.calorimeter import deposit_energy, mean_response
from weaver_tt.samples.simulate.detector.particle_flow import particle_flow
from weaver_tt.samples.simulate.detector.propagation import positions_at_calorimeter
from weaver_tt.samples.simulate.detector.tracker import reconstruct_tracks

CONFUSED = only("granularity", "confusion")
SEEN = only("granularity", "confusion", "thresholds", "acceptance")


def flow_of(particles, sample, *without_track, track_error=None, track_scale=1.0):
    """(momentum sizes and kinds of tracks, energies and kinds of neutral candidates, fractions)."""
    rng = np.random.default_rng(1)
    tracks = reconstruct_tracks(particles, sample, rng)
    tracks = tracks[~np.isin(tracks.particle, without_track)]
    tracks.momentum *= track_scale
    if track_error is not None:
        tracks.momentum_error[:] = track_error
    flow = particle_flow(particles, tracks, deposits(particles, sample), sample, rng)
    charged = sorted(zip(np.sqrt((flow.momentum**2).sum(axis=0)), flow.pid.tolist(), strict=True))
    neutral = sorted(zip(flow.neutral.momentum[3], flow.neutral.pid.tolist(), strict=True))
    return charged, neutral, flow.neutral.hcal_fraction


def energies(candidates):
    return [energy for energy, _ in candidates]


def kinds(candidates):
    return [kind for _, kind in candidates]


def test_separate_particles_are_found_as_they_are():
    particles = flying(
        (211, 1, 10.0, 0.02, 0.02),
        (22, 0, 5.0, 0.5, 1.0),
        (130, 0, 7.0, 1.0, 2.0),
        (13, -1, 20.0, -1.0, 0.0),
        (-11, 1, 15.0, -0.5, 0.0),
    )
    charged, neutral, _ = flow_of(particles, only("granularity", "confusion"))
    assert kinds(charged) == [211, -11, 13]
    assert energies(charged)[0] == pytest.approx(10, rel=0.2)
    assert energies(charged)[1:] == pytest.approx([15 * np.cosh(0.5), 20 * np.cosh(1)])
    photons = [energy for energy, kind in neutral if kind == 22]
    assert any(energy == pytest.approx(5 * np.cosh(0.5)) for energy in photons)
    hadron = [energy for energy, kind in neutral if kind == 130]
    # its crystals' share is taken for a photon
    assert sum(energies(neutral)) == pytest.approx(5 * np.cosh(0.5) + 7 * np.cosh(1))
    assert len(hadron) == 1


def test_a_neutral_hadron_beneath_a_track_is_the_excess_over_the_expectation():
    # both in one tower; the calorimeter sees 10 + 40 GeV, and 2 sigma of 10 GeV are 7.2 GeV
    together = flying((211, 1, 10.0, 0.02, 0.02), (130, 0, 40.0, 0.03, 0.03))
    charged, neutral, _ = flow_of(together, CONFUSED)
    assert energies(charged) == pytest.approx([10], rel=1e-3)
    assert sum(energies(neutral)) == pytest.approx(40, rel=1e-3)
    assert 130 in kinds(neutral)


@pytest.mark.parametrize("effects", [(), ("response",), ("response", "thresholds")])
def test_what_a_track_leaves_in_the_mean_is_subtracted_whatever_the_detector_does(effects):
    # as much neutral energy beneath: what is left is the mean that is seen of it
    pions = many(1000, 211, 1, 100.0, 0.02, 0.02)
    kaons = many(1000, 130, 0, 100.0, 0.03, 0.03)
    pions.event = kaons.event = np.arange(1000)
    sample = only("granularity", "confusion", *effects)
    _, neutral, _ = flow_of(joined(pions, kaons), sample, track_error=0.01)
    expected = 100 * mean_response(np.array([100.0]), np.array([False]), sample)[0]
    assert sum(energies(neutral)) / 1000 == pytest.approx(expected, rel=0.01)


def test_neutral_energy_within_the_fluctuation_of_a_track_is_lost():
    # 2 GeV beneath 50 GeV, of which 2 sigma are 18 GeV
    together = flying((211, 1, 50.0, 0.02, 0.02), (130, 0, 2.0, 0.03, 0.03))
    charged, neutral, _ = flow_of(together, CONFUSED, track_error=0.01)
    assert energies(charged) == pytest.approx([50], rel=1e-3)
    assert neutral == []


def test_without_confusion_it_is_not():
    together = flying((211, 1, 50.0, 0.02, 0.02), (130, 0, 2.0, 0.03, 0.03))
    charged, neutral, _ = flow_of(together, only("granularity"))
    assert energies(charged) == pytest.approx([50], rel=1e-3)
    assert sum(energies(neutral)) == pytest.approx(2, rel=1e-3)


def test_a_photon_beside_a_track_is_seen_and_one_beneath_it_is_the_excess():
    beside = flying((211, 1, 10.0, 0.02, 0.02), (22, 0, 30.0, 0.07, 0.07))
    _, neutral, fraction = flow_of(beside, CONFUSED)
    assert energies(neutral)[-1] == pytest.approx(30 * np.cosh(0.07))
    assert kinds(neutral)[-1] == 22
    assert not fraction.any()
    beneath = flying((211, 1, 10.0, 0.02, 0.02), (22, 0, 30.0, 0.03, 0.03))
    _, neutral, _ = flow_of(beneath, CONFUSED)
    # the crystals hold 30 GeV and the hadron's share: as far as that goes, the excess is a photon
    assert kinds(neutral) == [22]
    assert energies(neutral) == pytest.approx([30], rel=1e-3)


def test_a_lost_track_leaves_its_energy_to_neutral_candidates():
    particles = flying((211, 1, 10.0, 0.02, 0.02))
    charged, neutral, _ = flow_of(particles, CONFUSED, 0)
    assert charged == []
    assert sum(energies(neutral)) == pytest.approx(10, rel=1e-3)
    assert set(kinds(neutral)) <= {22, 130}


def test_a_poor_track_follows_the_calorimeter_within_its_error():
    # the track says 480 GeV, the calorimeter 500: it pulls by the share of the variances
    particles = flying((211, 1, 500.0, 0.02, 0.02))
    track = {"track_scale": 0.96 / np.cosh(0.02)}
    good, _, _ = flow_of(particles, CONFUSED, track_error=0.001, **track)
    poor, _, _ = flow_of(particles, CONFUSED, track_error=480.0, **track)
    spread = np.hypot(1.1 * 480**0.5, 0.09 * 480)
    seen = 500 * np.cosh(0.02)
    assert energies(good) == pytest.approx([480], rel=1e-3)
    assert energies(poor) == pytest.approx(
        [480 + (seen - 480) * 480**2 / (480**2 + spread**2)], rel=1e-3
    )


def test_energies_below_the_thresholds_are_not_seen():
    # crystals 0.23 and 0.6 GeV, towers 0.8 and 1.1 GeV, in the forward part 1.2 and 1.8 GeV
    soft = [
        (22, 0, 0.2, 0.5, 0.0),
        (22, 0, 0.5 / np.cosh(2.0), 2.0, 1.0),
        (22, 0, 1.1 / np.cosh(4.0), 4.0, 2.0),
        (130, 0, 0.2, 0.5, 2.0),
    ]
    assert flow_of(flying(*soft), SEEN)[1] == []
    assert len(flow_of(flying(*soft), CONFUSED)[1]) >= 4
    hard = [
        (22, 0, 0.25, 0.5, 0.0),
        (22, 0, 0.65 / np.cosh(2.0), 2.0, 1.0),
        (22, 0, 1.3 / np.cosh(4.0), 4.0, 2.0),
    ]
    assert kinds(flow_of(flying(*hard), SEEN)[1]) == [22, 22, 2]


def test_the_forward_part_has_no_tracks_and_two_kinds_of_energy():
    particles = flying((211, 1, 20.0, 4.0, 0.0), (22, 0, 10.0, 3.5, 2.0))
    charged, neutral, _ = flow_of(particles, SEEN)
    assert charged == []
    assert set(kinds(neutral)) <= {1, 2}
    assert 2 in kinds(neutral)
    assert sum(energies(neutral)) == pytest.approx(20 * np.cosh(4.0) + 10 * np.cosh(3.5))


def test_between_tracker_and_forward_part_crystals_belong_to_the_hadron_behind():
    particles = many(30, 211, 1, 20.0, 2.7, 0.0)
    particles.event = np.arange(30)
    _, neutral, fraction = flow_of(particles, SEEN)
    assert kinds(neutral) == [130] * 30
    assert energies(neutral) == pytest.approx([20 * np.cosh(2.7)] * 30)
    # a third of the showers have all of their energy behind the crystals
    assert (fraction == 1).sum() == pytest.approx(10, abs=7)
    # and none more than 1 - exp(-1.1 / 0.9) in them
    assert fraction.min() > np.exp(-1.1 / 0.9)


def test_leptons_are_identified_with_their_shares():
    muons = many(2000, 13, -1, 5.0, 0.0, 0.0)
    electrons = many(2000, -11, 1, 5.0, 0.5, 1.0)
    particles = joined(muons, electrons)
    particles.event = np.arange(4000)
    charged, _, _ = flow_of(particles, only("lepton-id", "granularity", "confusion"))
    number = {kind: kinds(charged).count(kind) for kind in (13, -11, 211, -211)}
    assert number[13] / 2000 == pytest.approx(0.95, abs=0.015)
    assert number[-11] / 2000 == pytest.approx(0.70, abs=0.03)
    # the others are charged hadrons with the charge of the track
    assert number[-211] == 2000 - number[13]
    assert number[211] == 2000 - number[-11]


def test_neutral_hadrons_are_measured_with_the_width_of_a_tower():
    particles = many(2000, 130, 0, 50.0, 0.5, 0.2)
    particles.event = np.arange(2000)
    sample = only("granularity")
    rng = np.random.default_rng(1)
    tracks = reconstruct_tracks(particles, sample, rng)
    neutral = particle_flow(particles, tracks, deposits(particles, sample), sample, rng).neutral
    hadrons = neutral[neutral.pid == 130]
    phi = np.arctan2(hadrons.momentum[1], hadrons.momentum[0])
    assert phi.mean() == pytest.approx(0.2, abs=0.003)
    assert phi.std() == pytest.approx(0.025, abs=0.002)


def test_a_track_that_curls_up_takes_nothing_from_the_calorimeter():
    # both would be seen at phi = 0 without the field
    particles = flying((211, 1, 0.5, 0.0, 0.0), (130, 0, 5.0, 0.0, 0.0))
    rng = np.random.default_rng(1)
    tracks = reconstruct_tracks(particles, CONFUSED, rng)
    positions, is_reached = positions_at_calorimeter(
        particles.momentum, particles.vertex, particles.charge
    )
    assert is_reached.tolist() == [False, True]
    found = deposit_energy(particles, positions, is_reached, CONFUSED, rng)
    flow = particle_flow(particles, tracks, found, CONFUSED, rng)
    assert flow.neutral.momentum[3].sum() == pytest.approx(5)
    assert np.hypot(*flow.momentum[:2]) == pytest.approx(0.5)


def test_an_electron_with_a_poor_track_has_the_energy_of_its_shower():
    particles = flying((11, -1, 40.0, 0.0, 0.0))
    rng = np.random.default_rng(1)
    tracks = reconstruct_tracks(particles, CONFUSED, rng)
    tracks.momentum *= 1.5
    seen = deposits(particles, CONFUSED)
    for error, expected in ((1e-6, 60), (1e6, 40)):
        tracks.momentum_error[:] = error
        flow = particle_flow(particles, tracks, seen, CONFUSED, rng)
        assert np.hypot(*flow.momentum[:2]) == pytest.approx(expected, rel=1e-4)
    # equal errors: half way; the shower's is 2.8 %/sqrt(40) + 12 %/40 + 0.3 % in quadrature
    tracks.momentum_error[:] = 40 * np.sqrt(0.028**2 / 40 + 0.003**2 + 0.003**2)
    flow = particle_flow(particles, tracks, seen, CONFUSED, rng)
    assert np.hypot(*flow.momentum[:2]) == pytest.approx(50, rel=1e-4)
