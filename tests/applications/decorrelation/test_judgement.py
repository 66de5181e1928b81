"""Shares that pass in bins of mass, by counting, and chi2 by its distribution."""

import numpy as np
import pytest

from tests.applications.decorrelation.toy import background
from weaver_tt.applications.decorrelation.judgement import (
    equal_mass_edges,
    judge_by_folds,
    judge_elsewhere,
    measure_share,
)
from weaver_tt.applications.decorrelation.threshold_map import ONE_BIN, adaptive_bins, make_map

EDGES = np.array([20.0, 40, 80, 160, 250])


def test_shares_and_errors_are_those_of_counting():
    found = background(2000)
    passes = found.score > np.quantile(found.score, 0.8)
    plain = make_map(found, 0.2, ONE_BIN)
    edges = np.array([20.0, 100, 200, 5000, 6000])
    share = measure_share(plain, found, passes, edges)
    for place in range(2):
        inside = (found.mass >= edges[place]) & (found.mass < edges[place + 1])
        expected = passes[inside].mean()
        assert share.shares[place] == pytest.approx(expected)
        # binomial of the bin, and of the threshold that all jets have made
        variance = expected * (1 - expected) / inside.sum() + 0.16 / len(found)
        assert share.errors[place] == pytest.approx(np.sqrt(variance))
    assert np.isnan(share.shares[3])
    assert share.ndf == 2
    assert share.overall == pytest.approx(0.2, abs=0.001)
    assert share.overall_error == pytest.approx(np.sqrt(2 * 0.16 / len(found)))


def test_a_common_threshold_does_not_change_the_flatness():
    found = background(2000)
    # whoever passes is drawn: chi2 is that of Pearson for equal shares in all bins
    passes = np.random.default_rng(5).random(len(found)) < 0.2
    share = measure_share(make_map(found, 0.2, ONE_BIN), found, passes, EDGES)
    place = np.digitize(found.mass, EDGES) - 1
    rows = np.array([(place == number).sum() for number in range(4)])
    passing = np.array([passes[place == number].sum() for number in range(4)])
    mean = passing.sum() / rows.sum()
    expected = ((passing - mean * rows) ** 2 / (rows * 0.16)).sum()
    assert share.chi2 == pytest.approx(expected)


def test_thresholds_flatten_the_background_of_other_jets():
    found, other = background(20_000), background(20_000, seed=2)
    made = make_map(found, 0.05, adaptive_bins(found, 0.05))
    judged = judge_elsewhere(made, found, other, equal_mass_edges(other), "other jets")
    after, before = judged.after, judged.before
    assert before.chi2 > 50 * before.ndf
    # above what 1 of 100 have by chance for 7 degrees of freedom
    assert after.chi2 < 18.5
    assert after.ndf == 7
    assert abs(after.overall - 0.05) < 3 * after.overall_error
    assert after.overall_error < 0.004


def test_chi2_of_many_toys_has_its_mean():
    chi2 = []
    for seed in range(40):
        found, other = background(3000, seed=seed), background(3000, seed=1000 + seed)
        # the score without the mass: what is left is statistical alone
        flat = np.random.default_rng(seed).random
        found.score[:], other.score[:] = flat(len(found)), flat(len(other))
        made = make_map(found, 0.1, adaptive_bins(found, 0.1))
        chi2.append(judge_elsewhere(made, found, other, EDGES, "").after.chi2)
    # 3 degrees of freedom, sqrt(6 / 40) of a mean
    assert np.mean(chi2) == pytest.approx(3, abs=3 * 0.39)


def test_cross_fitting_judges_each_fifth_by_the_others():
    found = background(20_000)
    made = make_map(found, 0.05, adaptive_bins(found, 0.05))
    judged = judge_by_folds(made, found, equal_mass_edges(found))
    assert "each 5th by thresholds of the others" in judged.how
    assert abs(judged.after.overall - 0.05) < 3 * judged.after.overall_error
    assert judged.after.chi2 < 18.5
    # scores that are noise are learnt by heart: on the jets of the map alone nothing would vary
    own = found.score > made.of_jets(found.rho, found.pt)
    assert judged.after.chi2 > measure_share(made, found, own, judged.mass_edges).chi2
