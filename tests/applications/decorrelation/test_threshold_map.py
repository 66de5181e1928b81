"""Thresholds by hand: which share passes, where scores are tied, and where there are no jets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.applications.decorrelation.toy import background
from weaver_tt.applications.decorrelation.jets import Jets
from weaver_tt.applications.decorrelation.threshold_map import (
    RhoPtBins,
    adaptive_bins,
    find_threshold,
    make_map,
)
from weaver_tt.errors import ConfigError, DataError

BINS = RhoPtBins(
    pt_edges=np.array([500.0, 600, 800]),
    rho_edges=(np.array([-6.0, -4, -2]), np.array([-5.0, -3, -2, -1])),
)


def jets(rho, pt, score=None, weight=None):
    rho = np.asarray(rho, float)
    score = np.linspace(0, 1, len(rho)) if score is None else np.asarray(score, float)
    pt = np.broadcast_to(np.asarray(pt, float), rho.shape)
    weight = np.ones(len(rho)) if weight is None else weight
    return Jets(rho=rho, pt=pt, mass=pt * np.exp(rho / 2), score=score, weight=weight)


def test_a_threshold_lies_at_the_mean_position_of_order_statistics():
    # 19 scores: k / 20 of other jets are expected above the k-th highest, 10 % above the second
    assert find_threshold(np.arange(19.0), np.ones(19), 0.1)[0] == pytest.approx(17)
    # 12.5 % are position 2.5: half-way to the third
    threshold, _, passing = find_threshold(np.arange(19.0), np.ones(19), 0.125)
    assert threshold == pytest.approx(16.5)
    assert passing == 2 / 19


def test_the_share_of_other_jets_is_unbiased():
    generator = np.random.default_rng(1)
    # of uniform scores a share 1 - threshold passes; 40 jets, so that k / n would be 12 % off
    shares = [1 - find_threshold(generator.random(40), np.ones(40), 0.1)[0] for _ in range(4000)]
    error = np.std(shares) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - 0.1) < 3 * error
    assert error < 0.001


def test_the_error_is_the_spread_of_thresholds_of_many_samples():
    generator = np.random.default_rng(2)
    found = [find_threshold(generator.random(1000), np.ones(1000), 0.1)[:2] for _ in range(300)]
    thresholds, errors = np.array(found).T
    # sqrt(0.1 * 0.9 / 1000)
    assert errors.mean() == pytest.approx(0.0095, rel=0.1)
    assert thresholds.std() == pytest.approx(0.0095, rel=0.15)


def test_weights_are_repeated_rows_and_those_of_all_are_a_scale():
    scores = np.random.default_rng(3).random(200)
    weights = np.tile([1.0, 3.0], 100)
    threshold, _, passing = find_threshold(scores, weights, 0.25)
    assert passing == pytest.approx((weights * (scores > threshold)).sum() / 400)
    assert passing == pytest.approx(0.25, abs=3 / 400)
    assert find_threshold(scores, 7 * weights, 0.25) == pytest.approx((threshold, *_rest(scores)))


def _rest(scores):
    return find_threshold(scores, np.tile([1.0, 3.0], 100), 0.25)[1:]


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30),
    st.floats(0.01, 0.99),
)
def test_the_share_is_that_of_the_scores_above_the_threshold(scores, efficiency):
    scores = np.array(scores)
    threshold, error, passing = find_threshold(scores, np.ones(len(scores)), efficiency)
    assert (scores > threshold).mean() == pytest.approx(passing)
    assert error >= 0


def test_tied_scores_pass_together_or_not_at_all():
    # of 100 scores 30 are 0.9: 25 % is nearer to 30 than to 0, 10 % is not
    scores = np.repeat([0.9, 0.1], [30, 70])
    ones = np.ones(100)
    threshold, _, passing = find_threshold(scores, ones, 0.25)
    assert passing == 0.3
    # as near to those that are to fail as it can be
    assert threshold == pytest.approx(0.9 - 0.01 * 0.8)
    threshold, _, passing = find_threshold(scores, ones, 0.1)
    assert passing == 0
    assert threshold == pytest.approx(0.9)
    made = make_map(jets(np.full(100, -3.0), 700, scores), 0.1, BINS)
    assert made.is_tied.tolist() == [False, False, False, True, False]
    assert not make_map(jets(np.full(100, -3.0), 700), 0.1, BINS).is_tied.any()


def test_a_value_on_an_edge_belongs_to_the_bin_above_and_outer_bins_are_open():
    rho = np.array([-4.0, -9, 5, -3, -2, 0])
    pt = np.array([500.0, 100, 599, 600, 600, 9000])
    assert BINS.find(rho, pt).tolist() == [1, 0, 1, 3, 4, 4]
    assert BINS.is_outside(rho, pt).tolist() == [False, True, True, False, False, True]
    assert BINS.text(3) == "rho from -3 to -2, pT 600 to 800"


def test_each_bin_has_its_own_threshold_and_an_empty_one_that_of_the_nearest():
    rho = np.concatenate([np.full(99, -5.0), np.full(99, -4.5)])
    pt = np.repeat([550.0, 700.0], 99)
    score = np.concatenate([np.arange(99), 1000 + np.arange(99)])
    made = make_map(jets(rho, pt, score), 0.1, BINS)
    assert made.jets.tolist() == [99, 0, 99, 0, 0]
    # the tenth highest of 99, in rho beside it in each bin of pT
    expected = [89, 89, 1089, 1089, 1089]
    assert made.thresholds == pytest.approx(expected, abs=0.02)
    assert made.of_jets(np.array([-1.0]), np.array([700.0])) == pytest.approx(1089, abs=0.02)


def test_a_bin_of_too_few_jets_is_named():
    with pytest.raises(
        DataError,
        match=r"rho from -4 to -2, pT 500 to 600: 19 background jets, at least 20 .*1 such bin",
    ):
        make_map(jets(np.full(19, -3.0), 550), 0.1, BINS)
    with pytest.raises(DataError, match="at least 1000 are needed in a bin for an efficiency"):
        make_map(jets(np.full(500, -3.0), 550), 0.001, BINS)
    with pytest.raises(DataError, match="weights of the background add up to -30"):
        make_map(jets(np.full(30, -3.0), 550, weight=-np.ones(30)), 0.1, BINS)


def test_bins_have_equal_content_and_leave_10_that_pass():
    found = background(20_000)
    bins = adaptive_bins(found, 0.05)
    counts = np.bincount(bins.find(found.rho, found.pt), minlength=len(bins))
    # of 14,000 jets at most 70 bins of 200
    assert 60 <= len(bins) <= 70
    assert counts.min() > 0.9 * len(found) / len(bins)
    # 95 % leave as many that fail
    assert len(adaptive_bins(found, 0.95)) == len(bins)
    with pytest.raises(DataError, match="12 background jets, at least 20"):
        adaptive_bins(found.take(np.arange(len(found)) < 12), 0.1)


def test_jets_of_one_pt_have_one_bin_and_given_edges_are_kept():
    found = jets(np.linspace(-6, -1, 5000), 600)
    bins = adaptive_bins(found, 0.1)
    assert bins.pt_edges.tolist() == [599.5, 600.5]
    bins = adaptive_bins(found, 0.1, [500, 550, 700], [-6, -3, 0])
    assert [edges.tolist() for edges in bins.rho_edges] == [[-6, -3, 0]] * 2
    with pytest.raises(ConfigError, match="--rho-edges 1 0: expected two or more"):
        adaptive_bins(found, 0.1, [], [1, 0])


def test_values_that_most_jets_share_do_not_leave_bins_of_few():
    rho = np.concatenate([np.full(3000, -3.0), np.linspace(-2.9, -1, 22)])
    found = jets(rho, np.linspace(500, 700, len(rho)))
    bins = adaptive_bins(found, 0.1)
    assert len(bins) > 1
    # a map of bins with fewer is refused
    assert make_map(found, 0.1, bins).jets.min() >= 20
