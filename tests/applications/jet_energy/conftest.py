"""A correction of two bins in |eta| with numbers that can be worked out by hand."""

import numpy as np
import pytest

from weaver_tt.applications.jet_energy.correction import Correction
from weaver_tt.physics.jet_curves import EtaCurves, PtCurve

SOURCES = {"pt": "jet_pt", "eta": "jet_eta"}
SOURCES_WITH_OFFSET = SOURCES | {"area": "jet_area", "rho": "rho"}


def constant(factor, error, low, high):
    return PtCurve(
        edges=np.array([low, high]),
        coefficients=np.array([[np.log(factor), 0, 0, 0]]),
        errors=np.array([[error, 0]]),
    )


@pytest.fixture
def correction():
    """1.25 below |eta| = 1, from 20 to 200 GeV; (pT / 100 GeV)^-0.5 / 2 from 50 to 400 GeV beyond.

    The second is constant below 100 GeV and above 200 GeV.
    """
    forward = PtCurve(
        edges=np.array([50.0, 100, 200, 400]),
        coefficients=np.array(
            [
                [np.log(0.5), 0, 0, 0],
                [np.log(0.5), -0.5, 0, 0],
                [np.log(0.5) - 0.5 * np.log(2), 0, 0, 0],
            ]
        ),
        errors=np.array([[0.01, 0], [0.01, 0.02], [0.01 + 0.02 * np.log(2), 0]]),
    )
    curves = EtaCurves(
        eta_edges=np.array([0.0, 1, 3]), curves=(constant(1.25, 0.02, 20.0, 200.0), forward)
    )
    return Correction(curves=curves, sources=SOURCES)
