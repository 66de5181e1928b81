"""A response that is known is taken back: the factor at the measured pT gives the true one."""

from dataclasses import replace

import numpy as np
import pytest

from weaver_tt.applications.jet_energy.inversion import fit_response, invert
from weaver_tt.applications.jet_energy.response import ResponsePoints
from weaver_tt.errors import DataError


def points(response, pt=None, error=0.001, noise=0.0):
    pt = np.geomspace(25, 900, 20) if pt is None else np.asarray(pt, float)
    value = response(pt) + noise * np.random.default_rng(1).normal(size=len(pt))
    return ResponsePoints(
        eta=(0.8, 1.3),
        pt=pt,
        response=value,
        error=np.full(len(pt), error),
        jets=np.full(len(pt), 50),
        lowest=20.0,
        highest=1000.0,
    )


def rising(pt):
    """From 0.8 at 10 GeV to 1.2 at 1 TeV."""
    return 0.8 + 0.2 * np.log10(pt / 10)


def test_the_factor_at_the_measured_pt_gives_the_true_pt():
    curve = invert(fit_response(points(rising)))
    true = np.geomspace(25, 900, 300)
    measured = true * rising(true)
    assert curve.factor(measured) * measured == pytest.approx(true, rel=2e-5)


def test_jets_beyond_the_first_and_last_point_get_the_response_there():
    """They are in the range, from 20 GeV to 1 TeV of true pT, but nothing is measured there."""
    curve = invert(fit_response(points(rising)))
    assert curve.low == pytest.approx(20 * rising(25))
    assert curve.high == pytest.approx(1000 * rising(900))
    below, above = np.array([20.5 * rising(25)]), np.array([990 * rising(900)])
    assert curve.factor(below) == pytest.approx([1 / rising(25)])
    assert curve.factor(above) == pytest.approx([1 / rising(900)])


def test_the_factor_is_smooth_in_pt():
    """Its slope does not jump between the first and the last point."""
    curve = invert(fit_response(points(lambda pt: 1 - 0.5 * pt**-0.3)))
    pt = np.geomspace(curve.edges[1] * 1.001, curve.edges[-2] * 0.999, 4000)
    slope = np.diff(np.log(curve.factor(pt))) / np.diff(np.log(pt))
    assert np.abs(np.diff(slope)).max() < 1e-3 * np.abs(slope).max() * 5


def test_the_fit_averages_over_the_points_and_says_how_well_it_knows():
    """20 points with 1 % each: a polynomial of degree 4 knows its middle to about 0.4 %."""
    errors = []
    differences = []
    for seed in range(200):
        made = points(rising, error=0.01)
        rng = np.random.default_rng(seed)
        noisy = replace(made, response=made.response + 0.01 * rng.normal(size=20))
        fit = fit_response(noisy)
        place = np.log(np.array([150.0]))
        errors.append(float(fit.error(place)[0]))
        differences.append(float(fit.response(place)[0][0]) - rising(150))
    assert 0.003 < np.mean(errors) < 0.006
    # errors grow by sqrt(chi2 / ndf) where it is above 1
    assert np.std(differences) == pytest.approx(np.mean(errors), rel=0.2)


def test_errors_grow_where_points_scatter_more_than_they_say():
    made = points(rising, error=0.01)
    scatter = 0.05 * np.resize([1.0, -1.0], 20)
    fit = fit_response(replace(made, response=made.response + scatter))
    assert fit.chi2 / fit.ndf > 20
    place = np.log(np.array([150.0]))
    expected = fit_response(made).error(place) * np.sqrt(fit.chi2 / fit.ndf)
    assert fit.error(place) == pytest.approx(expected)


def test_the_error_of_the_factor_is_that_of_its_spread():
    """A response that rises as the square root of pT: pT changes by 2/3 of it."""
    made = points(lambda pt: np.sqrt(pt / 1000), error=0.01)
    measured = np.array([10.0, 60, 500])
    factors = []
    for seed in range(200):
        noise = 0.01 * np.random.default_rng(seed).normal(size=20)
        noisy = replace(made, response=made.response + noise)
        factors.append(invert(fit_response(noisy)).factor(measured))
    error = invert(fit_response(made)).error(measured)
    assert np.std(factors, axis=0) / np.mean(factors, axis=0) == pytest.approx(error, rel=0.2)


def test_a_measured_pt_that_belongs_to_several_true_ones_is_refused():
    """Response 1 / pT^1.5: what is measured falls with the true pT."""
    with pytest.raises(DataError, match=r"0.8 to 1.3: the measured pT does not rise .* 25 and 651"):
        invert(fit_response(points(lambda pt: (pt / 25) ** -1.5)))


def test_a_dip_in_the_middle_is_refused_with_its_place():
    def dip(pt):
        return 1 - 0.6 * np.exp(-(np.log(pt / 150) ** 2) / 0.5)

    with pytest.raises(DataError, match=r"does not rise with pT_gen between 77.52 and 113 GeV"):
        invert(fit_response(points(dip)))


def test_points_that_fall_by_chance_are_no_dip():
    """Forty points between 100 and 200 GeV, each known to 2 %."""
    made = points(np.ones_like, pt=np.linspace(100, 200, 40), error=0.02, noise=0.02)
    measured = made.pt * made.response
    assert (np.diff(measured) < 0).any()
    invert(fit_response(made))


def test_a_fit_below_0_is_refused():
    """A straight line through 0.05, 0.1 and 2 begins below 0."""
    few = points(lambda pt: np.array([0.05, 0.1, 2.0]), pt=[30, 100, 300])
    with pytest.raises(DataError, match="not above 0 at pT_gen = 30 GeV"):
        invert(fit_response(few))


def test_few_points_are_fitted_by_a_straight_line_and_one_is_refused():
    assert len(fit_response(points(rising, pt=[30, 100, 300])).coefficients) == 2
    with pytest.raises(DataError, match="one bin of pT_gen, at least 2"):
        fit_response(points(rising, pt=[100]))
