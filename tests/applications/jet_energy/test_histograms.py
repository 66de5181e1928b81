"""Medians and means that come out of a stream are those of the jets."""

import numpy as np
import pytest

from weaver_tt.applications.jet_energy.histograms import ResponseHistograms


def filled(cell, response, weight=None, cells=1):
    sums = ResponseHistograms(cells=cells)
    response = np.asarray(response, float)
    weight = np.ones(len(response)) if weight is None else np.asarray(weight, float)
    cell = np.broadcast_to(np.asarray(cell), response.shape)
    # in three pieces, as from a file
    for part in np.array_split(np.arange(len(response)), 3):
        sums.add(cell[part], response[part], weight[part])
    return sums


def test_quantiles_means_and_errors_are_those_of_the_jets():
    rng = np.random.default_rng(3)
    response = rng.gamma(100, 0.01, 4000)
    cell = rng.integers(0, 2, 4000)
    sums = filled(cell, response, cells=2)
    for number in (0, 1):
        mine = response[cell == number]
        low, median, high = np.quantile(mine, (0.25, 0.5, 0.75))
        assert sums.quantiles((0.25, 0.5, 0.75))[number] == pytest.approx(
            (low, median, high), abs=3e-4
        )
        expected = 1.2533 * (high - low) / 1.349 / np.sqrt(len(mine))
        assert sums.medians()[1][number] == pytest.approx(expected, rel=0.01)
        assert sums.means()[0][number] == pytest.approx(mine.mean(), rel=1e-12)
        assert sums.means()[1][number] == pytest.approx(mine.std() / np.sqrt(len(mine)), rel=1e-9)


def test_the_error_of_a_median_is_its_spread_over_many_samples():
    rng = np.random.default_rng(4)
    response = rng.normal(1, 0.1, (300, 400))
    sums = filled(np.repeat(np.arange(300), 400), response.ravel(), cells=300)
    median, error = sums.medians()
    # 300 samples give their spread to 4 %
    assert error.mean() == pytest.approx(median.std(), rel=0.12)


def test_a_response_of_exactly_1_has_median_1():
    sums = filled(0, np.ones(10))
    assert sums.medians()[0] == pytest.approx([1], abs=1e-12)
    assert sums.means()[0] == pytest.approx([1], abs=1e-12)


def test_weights_count_as_so_many_jets_and_their_errors_as_fewer():
    """Weights 1 and 3: the mean of 0.8 and 1.2 is 1.1; 16 / 10 jets."""
    sums = filled(0, [0.8, 1.2], [1, 3])
    assert sums.means()[0] == pytest.approx([1.1])
    assert sums.effective() == pytest.approx([1.6])
    assert sums.medians()[0] == pytest.approx([1.2], rel=2e-3)


def test_a_negative_weight_may_make_the_sum_of_weights_fall():
    """Weights 3, -2, 3 at 0.8, 0.9, 1.2: half of their sum, 2, is reached at 0.8."""
    sums = filled(0, [0.8, 0.9, 1.2], [3, -2, 3])
    assert sums.medians()[0] == pytest.approx([0.8], rel=2e-3)


def test_jets_measured_exactly_have_errors_above_0():
    """A fit divides by them."""
    sums = filled(0, np.ones(100))
    assert 0 < sums.medians()[1][0] < 1e-3
    assert 0 < sums.means()[1][0] < 1e-3


def test_merged_cells_are_as_if_filled_together():
    response = np.linspace(0.5, 1.5, 60)
    cell = np.arange(60) % 3
    two = filled(cell, response, cells=3).merged(np.array([0, -1, 0]), 1)
    direct = filled(0, response[cell != 1])
    assert np.array_equal(two.counts, direct.counts)
    assert np.allclose(two.means(), direct.means(), rtol=1e-12)


def test_a_cell_without_jets_has_no_median_and_no_mean():
    sums = filled(0, [1.0], cells=2)
    assert np.isnan(sums.medians()[0][1])
    assert np.isnan(sums.means()[0][1])
    assert sums.effective()[1] == 0


def test_responses_beyond_the_histogram_are_in_its_outermost_bins():
    assert filled(0, [1e-9, 1, 1e9]).medians()[0] == pytest.approx([1], rel=2e-3)


def test_the_center_of_the_core_does_not_see_the_tails():
    rng = np.random.default_rng(6)
    core = rng.normal(0.95, 0.1, 9000)
    tail = rng.uniform(0.1, 0.6, 1000)
    sums = filled(0, np.concatenate([core, tail]))
    center, error = sums.gaussians()
    assert center[0] == pytest.approx(0.95, abs=0.004)
    # the others are drawn to the tail, the mean most
    assert sums.medians()[0][0] == pytest.approx(0.935, abs=0.004)
    assert sums.means()[0][0] == pytest.approx(0.89, abs=0.004)
    assert sums.centers("gaussian") == (center, error)


def test_the_center_of_a_core_is_where_a_fit_within_two_widths_has_it():
    """A skewed response, beside a maximum-likelihood fit of a normal distribution cut there."""
    rng = np.random.default_rng(7)
    response = rng.gamma(60, 1 / 60, 200_000)
    center = filled(0, response).gaussians()[0][0]
    mean, width = response.mean(), response.std()
    for _ in range(50):
        inside = response[np.abs(response - mean) < 2 * width]
        # the likelihood of a normal distribution that is cut on both sides alike
        mean = inside.mean()
        width = inside.std() / np.sqrt(0.7738)  # 1 - 4 phi(2) / 0.9545
    assert center == pytest.approx(mean, abs=2e-4)
    assert np.median(response) - 0.005 < center < response.mean()


def test_the_error_of_the_center_of_a_core_is_its_spread_over_many_samples():
    rng = np.random.default_rng(8)
    response = rng.normal(1, 0.1, (300, 400))
    center, error = filled(np.repeat(np.arange(300), 400), response.ravel(), cells=300).gaussians()
    assert error.mean() == pytest.approx(0.1 / 20 / np.sqrt(0.7385), rel=0.03)
    assert error.mean() == pytest.approx(center.std(), rel=0.12)


def test_a_core_of_jets_that_are_all_alike_or_none():
    center, error = filled([0] * 100, np.ones(100), cells=2).gaussians()
    assert center[0] == pytest.approx(1, abs=1e-12)
    assert 0 < error[0] < 1e-3
    assert np.isnan([center[1], error[1]]).all()
