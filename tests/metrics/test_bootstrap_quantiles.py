"""Quantiles in a stream are those of all rows, in each sample of the bootstrap, to 1e-4."""

import numpy as np
import pytest

from weaver_tt.metrics import bootstrap_quantiles
from weaver_tt.metrics.bootstrap_quantiles import SampledDistributions, bootstrap_error

LEVELS = (0.25, 0.5, 0.75)
SAMPLES = 4


@pytest.fixture
def rows():
    """Responses of jets in three cells, and Poisson weights of four samples."""
    random = np.random.default_rng(7)
    cell = random.integers(-1, 3, 3000)
    value = random.lognormal(0, 0.2, 3000)
    weights = random.poisson(1.0, (3000, SAMPLES)).astype(np.float32)
    weights[:, 0] = 1
    return cell, value, weights


def filled(rows, chunk):
    sums = SampledDistributions(3, SAMPLES)
    for first in range(0, len(rows[0]), chunk):
        sums.add(*(column[first : first + chunk] for column in rows))
    return sums


@pytest.mark.parametrize("cells", [[0], [1, 2], [0, 1, 2]])
def test_quantiles_are_those_of_numpy_with_weights_to_1e_4(rows, cells):
    cell, value, weights = rows
    found = filled(rows, 1000).of(cells).quantiles(LEVELS)
    use = np.isin(cell, cells)
    for sample in range(SAMPLES):
        expected = np.quantile(
            value[use], LEVELS, weights=weights[use, sample], method="inverted_cdf"
        )
        assert found[:, sample] == pytest.approx(expected, abs=1e-4)


def test_the_stream_does_not_matter(rows, monkeypatch):
    whole = filled(rows, 3000).of([0, 2])
    monkeypatch.setattr(bootstrap_quantiles, "LEAST_WAITING", 10)
    parts = filled(rows, 7).of([0, 2])
    assert np.array_equal(parts.values, whole.values)
    assert np.array_equal(parts.weights, whole.weights)


def test_rows_of_no_cell_do_not_count_and_empty_cells_have_no_quantile():
    sums = SampledDistributions(2, 2)
    weights = np.array([[1, 0], [1, 2]], np.float32)
    sums.add(np.array([0, -1]), np.array([1.0, 5.0]), weights)
    assert sums.of([0]).total.tolist() == [1, 0]
    median = sums.of([0]).quantiles([0.5])
    assert median[0, 0] == pytest.approx(1, abs=1e-4)
    # the second sample has drawn no row of the cell
    assert np.isnan(median[0, 1])
    assert np.isnan(sums.of([1]).quantiles([0.5])).all()


def test_what_is_beyond_the_last_bin_is_in_it():
    sums = SampledDistributions(1, 1)
    sums.add(np.zeros(3, np.int64), np.array([0.5, 40.0, 1e12]), np.ones((3, 1), np.float32))
    assert sums.of([0]).quantiles([0.3, 0.9])[:, 0] == pytest.approx([0.5, 10.0], abs=1e-4)


def test_an_error_is_the_standard_deviation_over_the_samples():
    # of 1, 2, 3 it is 1; the value over all rows does not count
    assert bootstrap_error(np.array([77.0, 1, 2, 3])) == 1
    assert np.isnan(bootstrap_error(np.array([1.0, 1, np.nan])))


def test_the_error_of_a_median_is_that_of_theory():
    """For a normal distribution sqrt(pi / 2) sigma / sqrt(n)."""
    random = np.random.default_rng(3)
    rows, samples = 4000, 201
    weights = random.poisson(1.0, (rows, samples)).astype(np.float32)
    weights[:, 0] = 1
    sums = SampledDistributions(1, samples)
    sums.add(np.zeros(rows, np.int64), random.normal(1, 0.1, rows), weights)
    error = bootstrap_error(sums.of([0]).quantiles([0.5])[0])
    assert error == pytest.approx(1.2533 * 0.1 / np.sqrt(rows), rel=0.15)
