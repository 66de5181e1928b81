"""Responses are added up in the regions, bins and flavours of the thesis."""

import numpy as np
import pytest

from weaver_tt.applications.jet_energy.judging.responses import (
    FLAVOURS,
    PT_EDGES,
    PT_INTERVALS,
    SAMPLES,
    Coverage,
    Loss,
    RecoBins,
    TrueBins,
    bins_of,
    flavour_numbers,
    region_numbers,
    sample_weights,
)


def test_flavours_are_quarks_of_either_sign_and_gluons():
    numbers = flavour_numbers(np.array([2, -2, 1, 3, -4, 5, 21, 0, 22, 6]))
    names = [FLAVOURS[number] for number in numbers]
    assert names == ["u", "u", "d", "s", "c", "b", "g", "unknown", "unknown", "unknown"]


def test_regions_are_those_of_the_thesis():
    numbers = region_numbers(np.array([0.0, -2.49, 2.5, -4.99, 5.0, -7.0]))
    assert numbers.tolist() == [0, 0, 1, 1, -1, -1]


def test_a_bin_has_its_lower_edge():
    assert bins_of(np.array([29.9, 30, 50, 1e5]), (30.0, 50, np.inf)).tolist() == [-1, 0, 1, 1]
    assert bins_of(np.array([1.0, 2.0, np.nan]), (1.0, 2.0)).tolist() == [0, -1, -1]


def test_samples_of_a_jet_depend_on_its_number_alone():
    whole = sample_weights(0, 1000)
    assert np.array_equal(whole[400:700], sample_weights(400, 300))
    assert whole.shape == (1000, 1 + SAMPLES)
    assert (whole[:, 0] == 1).all()
    # Poisson numbers of mean and variance 1, in samples that have nothing to do with each other
    drawn = whole[:, 1:]
    assert drawn.mean() == pytest.approx(1, abs=0.02)
    assert drawn.var() == pytest.approx(1, abs=0.04)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(SAMPLES)).max() < 0.15


def test_event_weights_multiply_those_of_the_samples():
    weight = np.array([2.0, -0.5])
    assert sample_weights(7, 2, weight) == pytest.approx(sample_weights(7, 2) * weight[:, None])


def test_intervals_of_pt_are_the_bins_between_their_ends():
    bins = TrueBins()
    true_pt = np.array([29.0, 30, 45, 50, 99, 2000, 60])
    true_eta = np.array([0.0, 0, 0, 0, 0, 0, 3])
    flavour = np.array([1, 1, 2, 21, 0, 5, 1])
    cells = bins.cells(true_pt, true_eta, flavour)
    response = np.array([9.0, 1, 2, 3, 4, 5, 6])
    bins.add(cells, response, sample_weights(0, 7))

    def values(region, interval, flavours):
        return bins.of(region, interval, flavours).values.round(1).tolist()

    assert values("central", (30.0, 50.0), FLAVOURS) == [1, 2]
    assert values("central", (50.0, 100.0), FLAVOURS) == [3, 4]
    assert values("central", (30.0, np.inf), FLAVOURS) == [1, 2, 3, 4, 5]
    assert values("central", (30.0, np.inf), ("u", "d")) == [1, 2]
    assert values("forward", (30.0, np.inf), FLAVOURS) == [6]


def test_closure_is_in_what_is_measured():
    bins = RecoBins()
    pt = np.array([20.0, 35, 60, 60])
    eta = np.array([0.0, -1, 2.2, 3.5])
    rho = np.array([1.0, 1, 1, 10])
    bins.add(pt, eta, rho, np.array([9.0, 1, 2, 3]), sample_weights(0, 4))
    in_pt = [one.values.round(1).tolist() for one in bins.in_pt("central")]
    assert in_pt[:2] == [[1], [2]]
    assert [one.values.round(1).tolist() for one in bins.in_pt("forward")][1] == [3]
    in_eta = [one.values.round(1).tolist() for one in bins.in_eta()]
    assert in_eta == [[], [1], [], [], [2], [], [3], []]
    assert bins.in_rho("central")[0].values.round(1).tolist() == [1, 2]
    assert bins.in_rho("forward")[3].values.round(1).tolist() == [3]
    plane = bins.in_plane()
    assert plane[1][4].values.round(1).tolist() == [2]


def test_the_test_loss_counts_jets_outside_of_the_window_in_n_alone():
    loss = Loss()
    # log(true / raw) is 0.5, and 1.5, where the loss is 0
    true_pt = np.exp([0.5, 1.5])
    weights = np.ones((2, 1 + SAMPLES), np.float32)
    weights[1, 1:] = 0
    loss.add(true_pt, np.ones(2), np.exp([0.2, -0.4]), weights)
    # of both jets (0.2 + 0) / 2; the samples have the first jet alone
    assert loss.value == pytest.approx([0.1] + SAMPLES * [0.2])


def test_coverage_is_the_share_of_true_values_below_a_quantile():
    coverage = Coverage(2)
    true_pt = np.array([35.0, 35, 35, 35, 200])
    truth = np.array([0.0, 1, 2, np.nan, 5])
    predicted = np.array([[0.5, 1.5]] * 5)
    weights = sample_weights(0, 5)
    coverage.add(true_pt, np.zeros(5), truth, predicted, weights)
    in_bin = coverage.shares("central", (30.0, 50.0))
    assert in_bin[:, 0] == pytest.approx([1 / 3, 2 / 3])
    known = weights[:3].sum(0) > 0
    expected = weights[0, known] / weights[:3, known].sum(0)
    assert in_bin[0, known] == pytest.approx(expected)
    assert coverage.shares("central")[:, 0] == pytest.approx([1 / 4, 2 / 4])
    assert np.isnan(coverage.shares("forward")).all()


def test_tables_are_made_of_whole_bins():
    ends = {end for interval in PT_INTERVALS for end in interval}
    assert ends <= set(PT_EDGES)
