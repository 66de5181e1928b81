"""Weights of the bootstrap: Poisson distributed, functions of member and row alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.bootstrap import identify_rows, poisson_weights, with_poisson_weights

ROWS = 100_000
# rows of two files: neighbours, as files have them
IDENTITY = np.concatenate(
    [identify_rows(0, np.arange(60_000)), identify_rows(1, np.arange(40_000))]
)


@pytest.mark.parametrize("seed", [0, 1, 2, 2**31 - 1])
def test_weights_are_poisson_distributed_with_mean_1(seed):
    weights = poisson_weights(IDENTITY, seed)
    assert weights.dtype == np.float32
    # mean and variance are 1; their standard errors sqrt(1 / n) and sqrt((mu4 - 1) / n), mu4 = 4
    assert weights.mean() == pytest.approx(1, abs=4 * math.sqrt(1 / ROWS))
    assert weights.var() == pytest.approx(1, abs=4 * math.sqrt(3 / ROWS))
    for copies in range(6):
        probability = math.exp(-1) / math.factorial(copies)
        error = math.sqrt(probability * (1 - probability) / ROWS)
        assert (weights == copies).mean() == pytest.approx(probability, abs=4 * error)


def test_members_and_neighbouring_rows_are_independent():
    # a correlation of n independent pairs has the standard error 1 / sqrt(n)
    members = np.stack([poisson_weights(IDENTITY, seed) for seed in range(20)])
    correlation = np.corrcoef(members)[np.triu_indices(20, 1)]
    assert np.abs(correlation).max() < 5 / math.sqrt(ROWS)
    assert correlation.std() == pytest.approx(1 / math.sqrt(ROWS), rel=0.2)
    for lag in (1, 2, 60_000):
        of_pairs = np.corrcoef(members[0][lag:], members[0][:-lag])[0, 1]
        assert abs(of_pairs) < 5 / math.sqrt(ROWS - lag)


def test_a_row_has_its_weight_in_whatever_batch_it_comes():
    order = np.random.default_rng(5).permutation(ROWS)
    whole = poisson_weights(IDENTITY, 7)
    parts = [poisson_weights(IDENTITY[part], 7) for part in np.array_split(order, 313)]
    assert np.array_equal(np.concatenate(parts), whole[order])


def test_no_two_rows_of_the_data_are_the_same():
    identity = np.concatenate([identify_rows(file, np.arange(1000)) for file in range(1000)])
    assert len(np.unique(identity)) == 1_000_000
    assert identify_rows(3, np.array([5]))[0] == 3 * 2**40 + 5


def test_the_weight_of_an_event_is_multiplied():
    identity = np.arange(8)
    x = torch.zeros(8, 1)
    batch = Batch({"event": x}, {}, {}, {}, size=8, identity=identity)
    drawn = torch.from_numpy(poisson_weights(identity, 3))
    assert len(drawn.unique()) > 1
    assert torch.equal(with_poisson_weights(batch, 3).weight, drawn)
    weight = torch.arange(8.0) - 3
    weighted = with_poisson_weights(replace(batch, weight=weight), 3)
    assert torch.equal(weighted.weight, drawn * weight)
    assert batch.weight is None
