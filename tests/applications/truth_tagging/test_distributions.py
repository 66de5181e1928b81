"""Histograms of the leading pair and the chi2 of weights against tags on the same events."""

import numpy as np
import pytest

from weaver_tt.applications.truth_tagging.distributions import (
    PAIR_OF,
    PAIRS,
    Distribution,
    merge_bins,
    pair_delta_r,
    pair_mass,
    regular_edges,
)


def test_flavour_pairs_do_not_depend_on_the_order():
    assert [
        PAIRS[PAIR_OF[first, second]]
        for first, second in ((0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 1), (2, 2))
    ] == [*("bb", "bc", "bc", "bl", "cc", "cl", "ll")]


def test_chi_square_of_two_bins_by_hand():
    distribution = Distribution(np.array([0.0, 1.0, 2.0]))
    values = np.array([0.5] * 100 + [1.5] * 50)
    estimates = {
        "direct": np.array([1.0] * 30 + [0.0] * 70 + [1.0] * 15 + [0.0] * 35),
        "network": np.array([0.25] * 100 + [0.4] * 50),
    }
    distribution.fill(values, np.zeros(150, int), np.ones(150), estimates)
    fit = distribution.chi_square("bb", "network")["network"]
    # (30 - 25)^2 / (100 * 0.25 * 0.75) + (15 - 20)^2 / (50 * 0.4 * 0.6)
    assert fit["chi2"] == pytest.approx(25 / 18.75 + 25 / 12)
    assert (fit["ndf"], fit["expected"]) == (2, pytest.approx(45))
    assert distribution.chi_square("all", "network")["network"] == fit
    assert distribution.chi_square("cc", "network")["network"] == {
        "chi2": 0.0,
        "ndf": 0,
        "chi2_per_ndf": None,
        "expected": 0.0,
    }


def test_signed_weights_enter_the_sums():
    distribution = Distribution(np.array([0.0, 1.0]))
    distribution.fill(
        np.array([0.5, 0.5]),
        np.array([1, 1]),
        np.array([2.0, -1.0]),
        {"direct": np.array([1.0, 1.0]), "map": np.array([0.5, 0.2])},
    )
    sums = distribution.sums["map"].of("bc")
    assert sums.total == pytest.approx([2 * 0.5 - 0.2])
    assert sums.square == pytest.approx([1.0 + 0.04])
    assert sums.variance == pytest.approx([4 * 0.25 + 0.16])
    assert sums.entries == pytest.approx([0.8**2 / (4 * 0.5 + 0.2)])
    assert distribution.sums["direct"].of("all").total == [1.0]


def test_true_efficiencies_have_a_chi_square_of_one_per_bin():
    rng = np.random.default_rng(5)
    ratios = []
    for _ in range(100):
        values, efficiency = rng.uniform(0, 1, 3000), rng.uniform(0.02, 0.6, 3000)
        distribution = Distribution(np.linspace(0, 1, 11))
        tags = (rng.uniform(size=3000) < efficiency).astype(float)
        distribution.fill(
            values, np.zeros(3000, int), np.ones(3000), {"direct": tags, "true": efficiency}
        )
        ratios.append(distribution.chi_square("all", "true")["true"]["chi2_per_ndf"])
    assert np.mean(ratios) == pytest.approx(1, abs=4 * np.sqrt(2 / 10 / 100))
    assert np.std(ratios) == pytest.approx(np.sqrt(2 / 10), rel=0.3)


def test_values_outside_the_edges_are_counted_apart():
    distribution = Distribution(np.array([0.0, 1.0, 2.0]))
    distribution.fill(
        np.array([-1.0, 2.0, 3.0, 1.0]), np.zeros(4, int), np.ones(4), {"direct": np.ones(4)}
    )
    assert distribution.outside == 2
    assert distribution.sums["direct"].of("all").total.tolist() == [
        0,
        2,
    ]  # the last edge belongs to the last bin


def test_neighbouring_bins_are_merged_until_they_hold_enough():
    assert merge_bins(np.array([4.0, 6, 20, 3, 3, 5, 2])).tolist() == [
        0,
        2,
        3,
    ]  # the last 2 join 3 + 3 + 5
    assert merge_bins(np.array([1.0, 2])).tolist() == []


def test_edges_are_round_and_cover_the_values():
    values = np.linspace(0.4, 3.5, 1000)
    edges = regular_edges(values, 1e6)
    assert edges == pytest.approx(np.linspace(0.4, 3.5, 32))
    assert len(regular_edges(values, 80)) <= 9
    assert len(regular_edges(np.array([90.0]), 5)) == 2
    assert regular_edges(np.array([]), 0).tolist() == [0, 1]


def test_distance_and_mass_of_two_jets_by_hand():
    eta, phi = np.array([[0.0, 0.3]]), np.array([[3.1, -3.1]])
    assert pair_delta_r(eta, phi) == pytest.approx([np.hypot(0.3, 2 * np.pi - 6.2)])
    back_to_back = pair_mass(
        np.array([[40.0, 30.0]]),
        np.zeros((1, 2)),
        np.array([[0.0, np.pi]]),
        np.array([[30.0, 40.0]]),
    )
    assert back_to_back == pytest.approx(
        [np.sqrt(100**2 - 10**2)]
    )  # energies 50 and 50, momentum 10
