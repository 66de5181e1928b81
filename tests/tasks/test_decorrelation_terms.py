"""Terms that vanish where scores are independent of variables, against sums by hand and dcor."""

import dcor
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from torch import tensor

from weaver_tt.tasks.decorrelation_terms import (
    mutual_information,
    pass_fail_divergence,
    ranked,
    soft_histogram,
    soft_selection,
    squared_distance_correlation,
    standardised,
)

ROWS = 40


def drawn(seed, rows=ROWS, columns=1):
    """Scores and variables (M, 1) in float64 that depend on each other, and ones as weights."""
    random = np.random.default_rng(seed)
    y = random.normal(size=(rows, 1))
    x = np.tanh(y**2 + random.normal(size=(rows, columns)))
    return tensor(x), tensor(y), torch.ones(rows, dtype=torch.float64)


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_the_distance_correlation_is_that_of_the_package_dcor(seed, columns):
    x, y, weight = drawn(seed, columns=columns)
    expected = dcor.distance_correlation_sqr(x.numpy(), y.numpy(), method="naive")
    assert float(squared_distance_correlation(x, y, weight)) == pytest.approx(expected, abs=1e-9)
    # of weights only ratios count
    assert float(squared_distance_correlation(x, y, 7 * weight)) == pytest.approx(
        expected, abs=1e-9
    )


def test_two_rows_that_differ_are_fully_correlated():
    # distances 0 and 1; centred +-1/2 in both: covariance = both variances
    x = tensor([[0.0], [1.0]])
    y = tensor([[5.0], [3.0]])
    assert float(squared_distance_correlation(x, y, torch.ones(2))) == pytest.approx(1)


@given(st.lists(st.integers(0, 3), min_size=6, max_size=6), st.integers(0, 100))
def test_whole_weights_count_as_repeated_rows(numbers, seed):
    x, y, _ = drawn(seed, rows=6)
    repeats = tensor(numbers)
    by_weight = squared_distance_correlation(x, y, repeats.double())
    rows = x.repeat_interleave(repeats, 0)
    others = y.repeat_interleave(repeats, 0)
    by_rows = squared_distance_correlation(rows, others, torch.ones(len(rows)).double())
    assert float(by_weight) == pytest.approx(float(by_rows), abs=1e-9)


def test_rows_of_weight_0_are_not_there():
    x, y, weight = drawn(3)
    more = [torch.cat([part, torch.full((2, 1), 9.0)]) for part in (x, y)]
    padded = torch.cat([weight, torch.zeros(2)])
    assert float(squared_distance_correlation(*more, padded)) == pytest.approx(
        float(squared_distance_correlation(x, y, weight)), abs=1e-12
    )


@pytest.mark.parametrize(
    ("x", "y", "weight"),
    [
        (torch.full((5, 1), 0.25), torch.arange(5.0)[:, None], torch.ones(5)),
        (torch.full((5, 2), 0.25), torch.arange(5.0)[:, None], torch.ones(5)),
        (torch.rand(5, 1), torch.full((5, 1), 3.0), torch.ones(5)),
        (torch.rand(1, 1), torch.rand(1, 1), torch.ones(1)),
        (torch.rand(0, 1), torch.rand(0, 1), torch.ones(0)),
        (torch.rand(5, 1), torch.rand(5, 1), torch.zeros(5)),
        (torch.rand(2, 1), torch.rand(2, 1), tensor([1.0, -1.0])),
    ],
    ids=[
        "constant scores",
        "constant pairs of scores",
        "constant variable",
        "one row",
        "no row",
        "weights of 0",
        "weights that cancel",
    ],
)
def test_what_says_nothing_is_0_with_a_finite_gradient(x, y, weight):
    x = x.requires_grad_()
    value = squared_distance_correlation(x, standardised(y, weight), weight)
    value.backward()
    assert float(value.detach()) == pytest.approx(0, abs=1e-6)
    assert x.grad.isfinite().all()


def test_a_gradient_step_lowers_the_correlation():
    x, y, weight = drawn(1)
    x.requires_grad_()
    before = squared_distance_correlation(x, y, weight)
    before.backward()
    after = squared_distance_correlation(x.detach() - 0.5 * x.grad, y, weight)
    assert float(after) < float(before.detach())


def test_single_precision_is_enough():
    x, y, weight = drawn(2, rows=500)
    single = squared_distance_correlation(
        x.float(), standardised(y.float(), weight.float()), weight.float()
    )
    assert float(single) == pytest.approx(
        float(squared_distance_correlation(x, y, weight)), abs=1e-5
    )


def test_standardised_values_have_mean_0_and_deviation_1_by_weight():
    values = tensor([[0.0, 5.0], [4.0, 5.0], [9.0, 5.0]])
    # of 0 and 4 with weights 3 and 1: mean 1, variance (3 * 1 + 9) / 4 = 3
    found = standardised(values, tensor([3.0, 1.0, 0.0]))
    assert found[:2, 0].tolist() == pytest.approx([-1 / 3**0.5, 3 / 3**0.5])
    # a variable that is constant says nothing
    assert found[:, 1].tolist() == [0, 0, 0]


def test_a_score_is_shared_between_the_two_points_beside_it():
    # points 0, 0.5 and 1: a score of 0.4 lies at 0.2 of the first and at 0.8 of the second
    found = soft_histogram(tensor([0.4, 1.0]), tensor([1, 0]), tensor([1.0, 3.0]), 3, 2)
    assert found.flatten().tolist() == pytest.approx([0, 0.05, 0, 0.2, 0.75, 0])
    # with two points, the shares that fail and pass
    found = soft_histogram(tensor([0.4, 1.0]), tensor([1, 0]), tensor([1.0, 3.0]), 2, 2)
    assert found.flatten().tolist() == pytest.approx([0, 0.15, 0.75, 0.1])


def test_ranks_are_even_whatever_the_scale_and_have_a_gradient():
    values = torch.randn(400, generator=torch.Generator().manual_seed(1))
    found = ranked(values, torch.ones(400))
    # from 0 to 1 in the order of the values, and as many in each tenth: 40 but for edges
    assert found.min() == 0
    assert found.max() == 1
    assert (found[values.argsort()].diff() >= 0).all()
    tenths = torch.histc(found, 10, 0, 1)
    assert (tenths - 40).abs().max() <= 4
    torch.testing.assert_close(ranked(9 * values + 5, torch.ones(400)), found)
    own = values.clone().requires_grad_()
    ranked(own, torch.ones(400)).sum().backward()
    assert (own.grad >= 0).all()
    assert own.grad.sum() > 10
    same = torch.full((5,), 0.3, requires_grad=True)
    ranked(same, torch.ones(5)).sum().backward()
    assert same.grad.isfinite().all()


def test_ranks_count_rows_by_weight():
    values = torch.arange(200.0)
    weight = torch.where(values < 100, 3.0, 1.0)
    found = ranked(values, weight)
    # of 400 rows, 300 lie below 100
    assert float(found[100]) == pytest.approx(0.75, abs=0.02)
    assert float(found[50]) == pytest.approx(0.375, abs=0.02)


def test_a_share_of_the_rows_passes_mostly_those_of_the_highest_ranks():
    rank = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    # of r^9 the mean is 1/10, and 1 - 0.9^10 = 0.651 of its sum lies above r = 0.9
    passed = soft_selection(rank, 0.1)
    assert float(passed.mean()) == pytest.approx(0.1, rel=1e-3)
    assert float(passed[900:].sum() / passed.sum()) == pytest.approx(0.651, abs=1e-3)
    assert torch.equal(soft_selection(rank, 0.5), rank)
    lowest = torch.zeros(3, requires_grad=True)
    soft_selection(lowest, 0.3).sum().backward()
    assert lowest.grad.tolist() == [0, 0, 0]


def test_the_divergence_of_spectra_is_that_of_scipy():
    random = np.random.default_rng(1)
    histogram = random.uniform(0.1, 1, (2, 7))
    expected = entropy(histogram[1], histogram[0])
    assert float(pass_fail_divergence(tensor(histogram))) == pytest.approx(expected)
    same = tensor([[3.0, 1.0, 0.0], [6.0, 2.0, 0.0]])
    assert float(pass_fail_divergence(same)) == pytest.approx(0, abs=1e-7)


def test_the_mutual_information_is_that_of_the_entropies():
    histogram = np.random.default_rng(1).uniform(0, 1, (4, 7))
    histogram /= histogram.sum()
    of_parts = entropy(histogram.sum(0)) + entropy(histogram.sum(1))
    expected = of_parts - entropy(histogram.flatten())
    assert float(mutual_information(tensor(histogram))) == pytest.approx(expected)
    independent = np.outer([0.2, 0.8], [0.5, 0.1, 0.4])
    assert float(mutual_information(tensor(independent))) == pytest.approx(0, abs=1e-7)
    # two bins that tell each other: the entropy of a fair coin
    coin = tensor([[0.5, 0.0], [0.0, 0.5]])
    assert float(mutual_information(coin)) == pytest.approx(np.log(2), rel=1e-5)


@pytest.mark.parametrize("term", [pass_fail_divergence, mutual_information])
@pytest.mark.parametrize(
    ("score", "weight"),
    [
        (torch.full((5,), 0.25), torch.ones(5)),
        (torch.zeros(5), torch.ones(5)),
        (torch.ones(5), torch.ones(5)),
        (torch.rand(5), torch.zeros(5)),
        (torch.rand(5), tensor([1.0, -1, 1, -1, 0])),
    ],
    ids=["constant", "all fail", "all pass", "weights of 0", "weights that cancel"],
)
def test_what_says_nothing_has_no_divergence_and_a_finite_gradient(term, score, weight):
    score = score.clone().requires_grad_()
    value = term(soft_histogram(score, tensor([0, 0, 1, 2, 2]), weight, 2, 4))
    value.backward()
    assert score.grad.isfinite().all()
    if weight.all() and score.detach().unique().numel() == 1:
        assert float(value.detach()) == pytest.approx(0, abs=1e-5)
