"""Efficiencies and their errors, by hand and by an independent propagation."""

import numpy as np
import pytest

from weaver_tt.applications.calibration.fit import Fit, Goodness
from weaver_tt.applications.calibration.scale_factors import (
    SimulatedYields,
    conditional_covariance,
    efficiency_variance,
    measure_scale_factors,
)

NAMES = ("top_pass", "top_fail", "scale", "staterror_pass[0]")


def make_fit(values, covariance):
    constraints = np.array([[np.nan, np.nan], [np.nan, np.nan], [0.0, 1.0], [1.0, 0.1]])
    return Fit(
        names=NAMES,
        values=np.array(values),
        covariance=np.array(covariance),
        constraints=constraints,
        is_fixed=np.zeros(len(NAMES), bool),
        samples=("top",),
        yields=np.zeros((1, 2, 1)),
        errors=np.zeros((2, 1)),
        goodness=Goodness(0.0, 1, 1.0),
        problems=(),
    )


TOP = SimulatedYields("top", np.array([60.0, 40.0]), np.array([60.0, 40.0]), np.ones(2))


def test_a_scale_factor_is_the_ratio_of_the_efficiencies():
    # 60 * 0.9 = 54 of 54 + 40 * 1.15 = 46 pass: 0.54 in data, 0.6 simulated
    diagonal = np.diag([0.01**2, 0.02**2, 0.1, 0.001])
    (one,) = measure_scale_factors(make_fit([0.9, 1.15, 0, 1], diagonal), [TOP]).factors
    assert one.data == pytest.approx(0.54)
    assert one.mc == pytest.approx(0.6)
    assert one.value == pytest.approx(0.9)
    # eff (1 - eff) sqrt((0.01 / 0.9)^2 + (0.02 / 1.15)^2) = 0.2484 * 0.020637
    assert one.total == pytest.approx(0.2484 * 0.0206368 / 0.6, rel=1e-4)
    assert one.data_error == pytest.approx(0.2484 * 0.0206368, rel=1e-4)
    # sqrt(0.6 * 0.4 / 100)
    assert one.mc_error == pytest.approx(0.0489898, rel=1e-5)


def test_correlated_normalisations_change_no_efficiency():
    covariance = np.diag([0.09**2, 0.115**2, 1.0, 0.01])
    covariance[0, 1] = covariance[1, 0] = 0.09 * 0.115
    (one,) = measure_scale_factors(make_fit([0.9, 1.15, 0, 1], covariance), [TOP]).factors
    assert one.total == pytest.approx(0, abs=1e-8)


def test_errors_by_source_add_up_to_the_total_and_are_slopes_of_independent_sources():
    # mu_pass = 1 + 0.03 data + 0.04 scale + 0.12 gamma / 0.1, mu_fail = 1 + 0.02 data'
    slopes = np.array([[0.03, 0, 0.04, 0.012], [0, 0.02, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 0.1]])
    fit = make_fit([1, 1, 0, 1], slopes @ slopes.T)
    (one,) = measure_scale_factors(fit, [TOP]).factors
    factor = 0.24 / 0.6
    assert one.statistical == pytest.approx(factor * np.hypot(0.03, 0.02))
    assert one.systematic == pytest.approx(factor * 0.04)
    assert one.simulation == pytest.approx(factor * 0.012)
    assert one.total**2 == pytest.approx(factor**2 * (0.03**2 + 0.02**2 + 0.04**2 + 0.012**2))


def test_a_template_that_was_scaled_counts_with_its_scale():
    scaled = SimulatedYields("top", TOP.contents, TOP.variances, np.array([0.9, 1.15]))
    (one,) = measure_scale_factors(make_fit([1, 1, 0, 1], np.eye(4) * 1e-4), [scaled]).factors
    assert one.value == pytest.approx(0.9)


def test_a_conditional_covariance_is_that_of_the_inverse_s_block():
    rng = np.random.default_rng(1)
    slopes = rng.normal(size=(5, 8))
    covariance = slopes @ slopes.T
    expected = np.linalg.inv(np.linalg.inv(covariance)[:2, :2])
    assert conditional_covariance(covariance, [0, 1], [2, 3, 4]) == pytest.approx(expected)
    assert conditional_covariance(covariance, [3], []) == pytest.approx(covariance[3:4, 3:4])


def test_the_variance_of_an_efficiency_is_binomial_for_weights_of_one():
    expected = 0.3 * 0.7 / 1000
    contents = np.array([300.0, 700.0])
    assert efficiency_variance(contents, contents) == pytest.approx(expected)
    # weights of 2 are half as many jets
    assert efficiency_variance(contents, 2 * contents) == pytest.approx(2 * expected)
