"""A jet energy correction on tensors gives the numbers that the correction itself gives."""

import numpy as np
import pytest
import torch

from weaver_tt.applications.jet_energy.correction import Correction
from weaver_tt.config.corrected_output import CorrectedOutput
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.network.jet_correction import corrected_on_tensors
from weaver_tt.physics.jet_curves import EtaCurves, PtCurve

OFFSET = {"area": "area", "rho": "rho"}


def curve(segments, seed):
    """Cubic polynomials of some segments from 20 to 500 GeV, about 1."""
    random = np.random.default_rng(seed)
    return PtCurve(
        edges=np.geomspace(20 + seed, 500 + 10 * seed, segments + 1),
        coefficients=random.normal(0, 0.1, (segments, 4)),
        errors=np.zeros((segments, 2)),
    )


CURVES = EtaCurves(
    eta_edges=np.array([0, 0.8, 1.3, 2.5]), curves=(curve(3, 1), curve(12, 2), curve(1, 3))
)


def both(offset, extrapolates):
    """The correction, and its output of a graph."""
    sources = {"pt": "pt", "eta": "eta"} | offset
    correction = Correction(curves=CURVES, sources=sources, extrapolates=extrapolates)
    roles = {role: parse_expression(source, "test") for role, source in sources.items()}
    output = CorrectedOutput(
        file="/jec.json", digest="1", curves=CURVES, extrapolates=extrapolates, roles=roles
    )
    return correction, output


def jets(number=2000):
    random = np.random.default_rng(4)
    return {
        "pt": random.uniform(5, 700, number),
        "eta": random.uniform(-3, 3, number),
        "area": np.full(number, 0.5),
        "rho": random.uniform(0, 30, number),
    }


def as_tensors(columns):
    return {name: torch.tensor(values, dtype=torch.float32) for name, values in columns.items()}


@pytest.mark.parametrize("offset", [{}, OFFSET])
def test_the_factor_of_each_segment_and_beyond_the_range_is_that_of_the_correction(offset):
    correction, output = both(offset, extrapolates=True)
    columns = jets()
    found = corrected_on_tensors(output, as_tensors(columns)).numpy()
    expected = correction.corrected(columns)
    # jets on the two sides of an edge in float32 and float64: there are none among these
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("offset", [{}, OFFSET])
def test_beyond_the_range_there_is_no_value_unless_the_correction_extrapolates(offset):
    correction, output = both(offset, extrapolates=False)
    columns = jets()
    found = corrected_on_tensors(output, as_tensors(columns)).numpy()
    is_outside = correction.is_outside(columns)
    assert 0.1 < is_outside.mean() < 0.9
    assert (np.isnan(found) == is_outside).all()
    expected = correction.extrapolating().corrected(columns)
    np.testing.assert_allclose(found[~is_outside], expected[~is_outside], rtol=1e-5)


def test_a_jet_keeps_a_hundredth_of_its_pt_and_one_without_pt_has_none():
    _, output = both(OFFSET, extrapolates=True)
    one = {"pt": [50.0, 0.0], "eta": [2.0, 2.0], "area": [0.5, 0.5], "rho": [1000.0, 0.0]}
    kept, nothing = corrected_on_tensors(output, as_tensors(one)).tolist()
    # of 0.5 GeV, with the constant part of the only segment of its bin, far below it
    expected = 0.5 * CURVES.factor(np.array([0.5]), np.array([2.0]))[0]
    assert kept == pytest.approx(expected, rel=1e-4)
    assert np.isnan(nothing)
