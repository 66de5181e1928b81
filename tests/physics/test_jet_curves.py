"""Factors are exp of a cubic in log pT between knots; beyond them those of the outermost ones."""

import numpy as np
import pytest

from weaver_tt.physics.jet_curves import EtaCurves, PtCurve


def curve_of(level: float) -> PtCurve:
    """A constant segment, and one that rises: from 10, from 100 and up to 1000 GeV."""
    return PtCurve(
        edges=np.array([10.0, 100, 1000]),
        coefficients=np.array([[level, 0, 0, 0], [level, 0.1, 0.02, -0.003]]),
        errors=np.array([[0.01, 0], [0.01, 0.002]]),
    )


def test_a_factor_is_the_exponential_of_a_cubic_in_the_distance_from_the_knot() -> None:
    d = np.log(300 / 100)
    expected = [np.exp(0.2), np.exp(0.2 + 0.1 * d + 0.02 * d**2 - 0.003 * d**3)]
    found = curve_of(0.2).factor(np.array([50.0, 300.0]))
    assert found == pytest.approx(expected, rel=1e-14)
    assert curve_of(0.2).error(np.array([300.0])) == pytest.approx(0.01 + 0.002 * d)


def test_each_bin_of_eta_has_its_curve_whatever_the_side() -> None:
    curves = EtaCurves(eta_edges=np.array([0, 1.3, 2.5]), curves=(curve_of(0.0), curve_of(0.5)))
    pt = np.full(4, 50.0)
    eta = np.array([-1.2, 1.3, -2.0, 7.0])
    assert curves.factor(pt, eta) == pytest.approx([1, *3 * [np.exp(0.5)]])
    assert curves.is_outside_eta(eta).tolist() == [False, False, False, True]
    assert curves.parameters == 16


def test_the_range_in_pt_holds_its_lower_edge_and_not_its_upper_one() -> None:
    curves = EtaCurves(eta_edges=np.array([0, 5.0]), curves=(curve_of(0.0),))
    pt = np.array([9.99, 10, 999, 1000])
    assert curves.is_outside_pt(pt, np.zeros(4)).tolist() == [True, False, False, True]
