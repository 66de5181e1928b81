"""Divergences by hand, by scipy, and of random selections."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from weaver_tt.metrics.divergence import jensen_shannon, measure_divergence, sample_sums


def test_the_divergence_by_hand_and_as_scipy_has_it():
    assert jensen_shannon(np.array([3.0, 0.0]), np.array([0.0, 7.0])) == pytest.approx(1)
    assert jensen_shannon(np.array([1.0, 3.0]), np.array([2.0, 6.0])) == pytest.approx(0)
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(
        0.311278, abs=1e-6
    )  # log2(4/3)/2 + (log2(2/3) + 1)/4
    first, second = np.array([5.0, 2.0, 0.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0])
    assert jensen_shannon(first, second) == pytest.approx(jensenshannon(first, second, base=2) ** 2)


def test_an_empty_spectrum_has_no_divergence():
    assert jensen_shannon(np.array([0.0, -1.0]), np.array([1.0, 1.0])) is None


def test_few_rows_have_another_shape_by_chance():
    # (bins - 1) / (8 n ln 2): 9 / (8 * 500 * 0.6931) = 0.003246
    every = np.full((2, 10), 1e6)
    passing = np.full((2, 10), 50.0)
    found = measure_divergence(passing, every)
    assert found.value == pytest.approx(0, abs=1e-12)
    assert found.random == pytest.approx(0.003246, rel=0.05)
    # 8 n ln 2 divergences are a chi-square of 9 degrees of freedom
    assert found.error == pytest.approx(np.sqrt(2 * 9) / (8 * 500 * np.log(2)), rel=0.1)


def test_a_random_selection_has_no_excess_and_its_error_is_the_spread_of_such():
    random = np.random.default_rng(4)
    shape = np.array([5.0, 3.0, 2.0, 1.0, 1.0])
    every = np.stack([1000 * shape, 1000 * shape])
    found = []
    for _ in range(200):
        counts = random.multivariate_hypergeometric((1000 * shape).astype(int), 300)
        found.append(measure_divergence(np.stack([counts, counts]).astype(float), every))
    excess = np.array([one.excess for one in found])
    assert excess.mean() == pytest.approx(0, abs=4 * excess.std() / np.sqrt(200))
    assert np.mean([one.error for one in found]) == pytest.approx(excess.std(), rel=0.4)


def test_the_error_of_a_sculpted_shape_is_the_spread_over_repeated_samples():
    random = np.random.default_rng(5)
    every = np.full((2, 6), 1e5)
    shape = np.array([0.05, 0.1, 0.35, 0.3, 0.15, 0.05])
    values = []
    for _ in range(400):
        counts = random.multinomial(800, shape)
        values.append(jensen_shannon(counts.astype(float), every[0]))
    error = measure_divergence(np.stack([800 * shape, 800 * shape]), every).error
    assert error == pytest.approx(np.std(values), rel=0.15)


def test_weighted_rows_count_as_their_effective_number():
    every = np.full((2, 10), 1e6)
    # the same sums from 100 rows of weight 5: (10 * 50)^2 / (10 * 250) = 100
    weighted = np.stack([np.full(10, 50.0), np.full(10, 250.0)])
    found = measure_divergence(weighted, every)
    assert found.random == pytest.approx(9 / (8 * 100 * np.log(2)), rel=0.07)


def test_all_rows_are_no_random_selection_of_their_own():
    every = np.full((2, 4), 7.0)
    found = measure_divergence(every, every)
    assert (found.value, found.random, found.excess) == (0, 0, 0)


def test_nothing_that_passes_has_no_divergence():
    assert measure_divergence(np.zeros((2, 3)), np.ones((2, 3))) is None


def test_samples_of_the_bootstrap_have_the_errors_of_weighted_sums():
    # 400 rows of weight 1; 25 of weight 4 less 9 of weight 2; nothing; weights that cancel
    sums = np.array([[400.0, 82.0, 0.0, 0.0], [400.0, 25 * 16 + 9 * 4, 0.0, 2.0]])
    found = sample_sums(sums, 20_000, np.random.default_rng(1))
    assert found.mean(0)[:2] == pytest.approx(sums[0, :2], rel=0.02)
    assert found.var(0)[:2] == pytest.approx(sums[1, :2], rel=0.05)
    assert not found[:, 2:].any()
    # weights below 0 stay so
    negative = sample_sums(np.array([[-8.0], [16.0]]), 20_000, np.random.default_rng(1))
    assert negative.max() == 0
    assert (negative.mean(), negative.var()) == pytest.approx((-8, 16), rel=0.05)
