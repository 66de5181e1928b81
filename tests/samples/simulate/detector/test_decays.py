"""Decays of K0S and Lambda in the detector."""

import numpy as np
import pytest

from tests.samples.simulate.detector.flying import many
from weaver_tt.physics.four_momentum import invariant_mass
from weaver_tt.samples.simulate.detector.decays import (
    K_SHORT,
    LAMBDA,
    decay_in_flight,
    decay_vertices,
    two_body_decay,
)

K_MASS = 0.4976
LAMBDA_MASS = 1.1157


def test_daughters_have_their_masses_and_add_up_to_the_mother():
    momentum = many(1000, 3122, 0, 5.0, 1.0, 2.0, mass=LAMBDA_MASS).momentum
    one, two = two_body_decay(momentum, (0.93827, 0.13957), np.random.default_rng(1))
    assert one + two == pytest.approx(momentum)
    assert invariant_mass(*one) == pytest.approx(0.93827, abs=1e-5)
    assert invariant_mass(*two) == pytest.approx(0.13957, abs=1e-4)


def test_a_decay_at_rest_is_isotropic_with_the_momentum_of_the_tables():
    momentum = np.tile([[0.0], [0.0], [0.0], [K_MASS]], 20_000)
    one, _ = two_body_decay(momentum, (0.13957, 0.13957), np.random.default_rng(1))
    size = np.sqrt((one[:3] ** 2).sum(axis=0))
    assert size == pytest.approx(0.206, abs=0.001)  # GeV, Particle Data Group
    # of a uniform cosine: mean 0, mean square 1/3
    for axis in one[:3] / size:
        assert axis.mean() == pytest.approx(0, abs=0.02)
        assert (axis**2).mean() == pytest.approx(1 / 3, abs=0.01)


def test_flight_distances_are_exponential_with_the_boost():
    particles = many(20_000, 310, 0, 4.976, 0.0, 0.0, mass=K_MASS)
    x, y, z = decay_vertices(particles, K_SHORT.lifetime, np.random.default_rng(1))
    # p / m = 10
    assert x.mean() == pytest.approx(268.4, rel=0.03)
    assert x.std() == pytest.approx(268.4, rel=0.03)
    assert not y.any()
    assert not z.any()


def test_kaons_become_pions_or_photons_at_the_place_of_the_decay():
    mothers = many(10_000, 310, 0, 1.0, 0.0, 0.0, mass=K_MASS)
    found = decay_in_flight(mothers, np.random.default_rng(1))
    number = {pid: int((found.pid == pid).sum()) for pid in (310, 211, -211, 22, 111)}
    # c tau p / m is 54 mm: all decay, 69.2 % to charged pions, the others to four photons
    assert number[310] == number[111] == 0
    assert number[211] == number[-211] == pytest.approx(6920, abs=150)
    assert number[22] == 4 * (10_000 - number[211])
    assert found.momentum.sum(axis=1) == pytest.approx(mothers.momentum.sum(axis=1))
    assert (found.charge[found.pid == -211] == -1).all()
    assert (np.hypot(*found.vertex[:2]) > 0).all()


def test_an_antilambda_becomes_an_antiproton_and_a_positive_pion():
    mothers = many(500, -3122, 0, 2.0, 0.0, 0.0, mass=LAMBDA_MASS)
    found = decay_in_flight(mothers, np.random.default_rng(1))
    assert {-2212, 211, -2112, 22} <= set(found.pid.tolist())
    assert not {2212, -211, 2112, -22, -111} & set(found.pid.tolist())
    assert found.charge.sum() == 0
    assert LAMBDA.charged_share == pytest.approx((found.pid == 211).sum() / 500, abs=0.07)


def test_those_that_live_longer_than_the_tracker_is_wide_stay():
    mothers = many(100, 310, 0, 5000.0, 0.0, 0.0, mass=K_MASS)
    found = decay_in_flight(mothers, np.random.default_rng(1))
    # c tau p / m is 270 m
    assert (found.pid == 310).sum() >= 97
