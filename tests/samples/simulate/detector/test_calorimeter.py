"""Towers, showers, and what they deposit."""

import numpy as np
import pytest

from tests.samples.simulate.detector.flying import flying, many
from tests.samples.simulate.detector.test_tracker import only
from weaver_tt.samples.simulate.detector.calorimeter import (
    CRYSTAL_DEPTH,
    MEAN_CRYSTAL_SHARE,
    TOWER_ETA,
    crystal_share,
    deposit_energy,
    fluctuation,
    hadron_responses,
    is_forward_tower,
    mean_response,
    read_out_share,
    shower_resolution,
    tower_of,
)
from weaver_tt.samples.simulate.detector.propagation import positions_at_calorimeter

SEEN = only("response", "thresholds")


def deposits(particles, sample, seed=1):
    """What particles leave, all of which fly straight on."""
    positions, is_reached = positions_at_calorimeter(
        particles.momentum, particles.vertex, particles.charge, field=0.0
    )
    return deposit_energy(particles, positions, is_reached, sample, np.random.default_rng(seed))


def test_towers_have_the_size_of_their_part_of_the_calorimeter():
    rng = np.random.default_rng(1)
    phi = rng.uniform(-np.pi, np.pi, 20_000)
    for eta, columns, cells in ((0.04, 72, 4), (1.8, 36, 8), (3.5, 36, 1), (5.0, 18, 1)):
        half = 0.01
        tower, cell = tower_of(eta + rng.uniform(-half, half, 20_000), phi)
        assert len(np.unique(tower)) == columns
        # 2 rows of cells, as wide as 2.5 degrees; this slice of eta may lie in one of them
        in_slice = len(np.unique(cell)) / columns
        assert in_slice in (cells, cells / 2)
        assert is_forward_tower(tower).all() == (eta > 3)


def test_neighbours_opposite_sides_and_the_seam_of_the_azimuth():
    five_degrees = 2 * np.pi / 72
    eta = np.array([0.01, 0.01, -0.01, 0.1, 0.01, 0.01, 5.2, -6.0])
    phi = np.array([0.01, -0.01, 0.01, 0.01, 0.01 + five_degrees, 2 * np.pi + 0.01, 0.0, 0.0])
    tower, cell = tower_of(eta, phi)
    assert len(set(tower[:5].tolist())) == 5
    assert tower[5] == tower[0]
    assert cell[5] == cell[0]
    assert tower[6:].tolist() == cell[6:].tolist() == [-1, -1]
    assert TOWER_ETA[0] == 0


def test_the_response_to_hadrons_by_hand():
    energy = np.array([50.0, 10.0, 100.0, 0.5])
    is_forward = np.array([False, False, True, False])
    crystals, towers = hadron_responses(energy, is_forward, only("response"))
    # 1 - (1 - h/e) E^-0.18 of what electrons leave
    assert crystals[1] == pytest.approx(1 - 0.6 * 10**-0.18)
    assert towers[1] == pytest.approx(1 - (1 - 1 / 1.4) * 10**-0.18)
    assert crystals[2] == towers[2] == pytest.approx(1 - 0.8 * 100**-0.18)
    # below 1 GeV as at 1 GeV
    assert crystals[3] == pytest.approx(0.4)
    # 50 GeV are read out in all towers
    assert mean_response(energy, is_forward, SEEN)[0] == pytest.approx(
        MEAN_CRYSTAL_SHARE * crystals[0] + (1 - MEAN_CRYSTAL_SHARE) * towers[0]
    )


def test_hadrons_leave_six_tenths_of_their_energy_at_5_gev_and_six_sevenths_at_300_gev():
    response = mean_response(np.array([5.0, 300.0]), np.array([False, False]), SEEN)
    # with k = 0.82 and a third of the energy in the crystals, by a pocket calculator
    assert response == pytest.approx([0.57, 0.86], abs=0.015)


def test_the_resolution_by_hand():
    energy = np.array([4.0, 4.0, 100.0, 100.0])
    is_photon = np.array([True, False, True, False])
    is_forward = np.array([False, False, True, True])
    expected = [
        np.sqrt(0.028**2 / 4 + 0.03**2 + 0.003**2),
        np.sqrt(0.847**2 / 4 + 0.074**2),
        np.sqrt(0.198**2 + 0.09**2),
        np.sqrt(0.28**2 + 0.11**2),
    ]
    assert shower_resolution(energy, is_photon, is_forward) == pytest.approx(expected)


@pytest.mark.parametrize("spread", [0.05, 0.5, 1.5])
def test_showers_fluctuate_about_one_and_are_never_negative(spread):
    values = fluctuation(np.full(20_000, spread), np.random.default_rng(1))
    assert values.mean() == pytest.approx(1, abs=4 * spread / 20_000**0.5)
    assert values.std() == pytest.approx(spread, rel=0.05)
    assert values.min() >= 0


def test_a_third_of_the_showers_begins_behind_the_crystals():
    share = crystal_share(50_000, np.random.default_rng(1))
    assert (share == 0).mean() == pytest.approx(np.exp(-CRYSTAL_DEPTH), abs=0.01)
    assert share.mean() == pytest.approx(MEAN_CRYSTAL_SHARE, abs=0.003)
    # one that begins at once has 1 - exp(-1.1 / 0.9)
    assert share.max() == pytest.approx(1 - np.exp(-1.1 / 0.9), abs=0.001)


def test_photons_stop_in_the_crystals_and_muons_pass():
    particles = flying(
        (22, 0, 10.0, 0.3, 0.0),
        (11, -1, 20.0, 0.0, 1.0),
        (13, -1, 50.0, 0.0, 2.0),
        (22, 0, 10.0, 6.0, 0.0),
    )
    found = deposits(particles, only())
    assert found.electromagnetic == pytest.approx([10 * np.cosh(0.3), 20, 0.25, 0])
    assert found.hadronic == pytest.approx([0, 0, 2.0, 0])
    assert found.is_reached.tolist() == [True, True, True, False]


def test_without_response_and_resolution_hadrons_deposit_their_momentum():
    particles = many(10, 2112, 0, 5.0, 1.0, 0.0, mass=0.94)
    found = deposits(particles, only())
    total = found.electromagnetic + found.hadronic
    assert total == pytest.approx(5 * np.cosh(1.0))


def test_showers_have_the_mean_and_the_spread_of_the_laws():
    particles = many(20_000, 130, 0, 20.0, 0.0, 0.0)
    found = deposits(particles, only("response", "energy-resolution"))
    total = found.electromagnetic + found.hadronic
    expected = mean_response(np.array([20.0]), np.array([False]), only("response"))[0]
    assert total.mean() / 20 == pytest.approx(expected, abs=0.01)
    # of the shower, and of how it is shared between crystals and towers
    crystals, towers = hadron_responses(np.array([20.0]), np.array([False]), only("response"))
    share = crystal_share(100_000, np.random.default_rng(2))
    of_share = np.std(share * crystals[0] + (1 - share) * towers[0])
    of_shower = np.hypot(0.847 / 20**0.5, 0.074) * expected
    assert total.std() / 20 == pytest.approx(np.hypot(of_share, of_shower), rel=0.04)


def test_soft_showers_lose_what_their_neighbours_do_not_read_out():
    # a quarter is shared by three towers, 0.8 GeV is needed in each: from 9.6 GeV on
    energy = np.array([1.0, 9.5, 9.7, 1.0])
    is_forward = np.array([False, False, False, True])
    assert read_out_share(energy, is_forward, SEEN).tolist() == [0.75, 0.75, 1, 1]
    assert read_out_share(energy, is_forward, only("response")).tolist() == [1, 1, 1, 1]


def test_what_does_not_reach_the_calorimeter_leaves_nothing():
    particles = flying((211, 1, 0.5, 0.0, 0.0), (211, 1, 0.5, 0.0, 0.0))
    positions = np.array([[1290.0, 1290.0], [0.0, 0.0], [0.0, 0.0]])
    is_reached = np.array([True, False])
    found = deposit_energy(particles, positions, is_reached, only(), np.random.default_rng(1))
    assert found.electromagnetic + found.hadronic == pytest.approx([0.5, 0])
    assert found.is_reached.tolist() == [True, False]
