"""Photons in the material of the tracker."""

import numpy as np
import pytest

from tests.samples.simulate.detector.flying import flying, many
from weaver_tt.samples.simulate.columnar import joined
from weaver_tt.samples.simulate.detector.conversions import (
    INNERMOST,
    OUTERMOST,
    conversion_probability,
    convert_photons,
)


def test_the_probability_by_hand():
    # 0.4, 1.8 and 1.3 radiation lengths; 1.1 half way to 1.4; nothing beyond the tracker
    eta = np.array([0.0, -1.4, 2.5, 0.7, 3.0])
    expected = [1 - np.exp(-7 / 9 * x) for x in (0.4, 1.8, 1.3, 1.1, 0)]
    assert conversion_probability(eta) == pytest.approx(expected)


def test_a_pair_shares_the_momentum_of_its_photon_where_it_converts():
    photons = many(2000, 22, 0, 10.0, 0.0, 0.5)
    others = flying((211, 1, 3.0, 0.0, 0.0), (130, 0, 3.0, 0.0, 0.0))
    found = convert_photons(joined(photons, others), np.random.default_rng(1))
    electrons = found[found.pid == 11]
    positrons = found[found.pid == -11]
    assert len(electrons) == pytest.approx(2000 * (1 - np.exp(-0.4 * 7 / 9)), abs=70)
    assert (electrons.charge == -1).all()
    assert (positrons.charge == 1).all()
    pairs = electrons.momentum + positrons.momentum
    assert pairs == pytest.approx(photons.momentum[:, : len(electrons)])
    radius = np.hypot(*electrons.vertex[:2])
    assert radius.min() > INNERMOST
    assert radius.max() < OUTERMOST
    assert np.arctan2(*electrons.vertex[1::-1]) == pytest.approx(0.5)
    assert {211, 130} <= set(found.pid.tolist())


def test_photons_made_behind_the_tracker_do_not_convert():
    photons = flying(*[(22, 0, 10.0, 1.0, 0.0, (1079.0, 0.0, 0.0))] * 50)
    found = convert_photons(photons, np.random.default_rng(1))
    assert (found.pid == 22).all()
