"""Components, angles, energies and masses."""

import math

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.physics.four_momentum import (
    azimuth,
    energy_from_mass,
    invariant_mass,
    mass_squared,
    momentum_size,
    pseudorapidity,
    pt_eta_phi,
    px_py_pz,
    rapidity,
    signed_mass,
    transverse_momentum,
)


def test_a_3_4_12_momentum_of_mass_84_by_hand():
    # 3^2 + 4^2 = 5^2, 5^2 + 12^2 = 13^2, 13^2 + 84^2 = 85^2
    pt, eta, phi = pt_eta_phi(3.0, 4.0, 12.0)
    assert pt == transverse_momentum(3.0, 4.0) == 5
    assert phi == azimuth(3.0, 4.0) == math.atan2(4, 3)
    # with cot(theta) = 12 / 5, tan(theta / 2) = (13 - 12) / 5
    assert eta == pytest.approx(math.log(5))
    assert eta == pseudorapidity(5.0, 12.0)
    assert momentum_size(5.0, 12.0) == 13
    assert energy_from_mass(84.0, 13.0**2) == 85
    assert invariant_mass(3.0, 4.0, 12.0, 85.0) == pytest.approx(84)
    assert signed_mass(85.0, 13.0) == pytest.approx(84)


def test_two_photons_back_to_back_have_the_mass_of_their_energies():
    px, py, pz = px_py_pz(np.array([45.0, 45.0]), np.zeros(2), np.array([1.0, 1.0 - math.pi]))
    energy = energy_from_mass(0.0, px**2 + py**2 + pz**2)
    assert invariant_mass(px.sum(), py.sum(), pz.sum(), energy.sum()) == pytest.approx(90)


def test_a_mass_that_rounds_below_zero_is_zero_or_keeps_its_sign():
    assert invariant_mass(5.0, 0.0, 0.0, 3.0) == 0
    assert signed_mass(3.0, 5.0) == -4


def test_a_momentum_of_zero_lies_in_the_middle_and_one_along_the_beam_at_its_end():
    with np.errstate(over="ignore"):
        pt, eta, phi = pt_eta_phi(np.array([0.0, 0.0]), np.zeros(2), np.array([0.0, -7.0]))
    assert (pt.tolist(), phi.tolist()) == ([0, 0], [0, 0])
    assert eta[0] == 0
    assert eta[1] < -700


@given(st.floats(0.1, 1e4), st.floats(-6, 6), st.floats(-3.1, 3.1), st.floats(0, 200))
def test_components_and_angles_lead_back_to_each_other(pt, eta, phi, mass):
    momentum = px_py_pz(pt, eta, phi)
    assert pt_eta_phi(*momentum) == pytest.approx((pt, eta, phi), rel=1e-9, abs=1e-9)
    squared = sum(component**2 for component in momentum)
    energy = energy_from_mass(mass, squared)
    # a mass that is small beside the energy is lost in the difference of two squares
    lost = 1e-7 * energy
    assert invariant_mass(*momentum, energy) == pytest.approx(mass, rel=1e-6, abs=lost)
    assert math.sqrt(squared) == pytest.approx(momentum_size(pt, momentum[2]))


def test_jagged_momenta_keep_their_rows():
    px = ak.Array([[3.0, 0.0], [], [1.0]])
    py = ak.Array([[4.0, 2.0], [], [0.0]])
    pt, eta, phi = pt_eta_phi(px, py, px * 0)
    assert pt.tolist() == [[5, 2], [], [1]]
    assert eta.tolist() == [[0, 0], [], [0]]
    assert phi.tolist() == [[math.atan2(4, 3), math.pi / 2], [], [0]]


def test_rapidity_is_half_the_logarithm_of_energy_and_momentum_along_the_beam():
    # E = 5, pz = 3: 1/2 ln (8 / 2) = ln 2
    assert rapidity(0.0, 0.0, 3.0, 5.0) == pytest.approx(math.log(2))
    assert rapidity(0.0, 0.0, -3.0, 5.0) == pytest.approx(-math.log(2))
    # massless: pseudorapidity
    assert rapidity(3.0, 4.0, 12.0, 13.0) == pytest.approx(math.log(5))
    assert mass_squared(3.0, 4.0, 12.0, 85.0) == 84**2


def test_rapidity_is_finite_along_the_beam_and_for_spacelike_momenta():
    assert rapidity(0.0, 0.0, 7.0, 7.0) == 100_007
    assert rapidity(0.0, 0.0, -7.0, 7.0) == -100_007
    # counts as massless: with (E + pz)^2 = 14^2 and pT = 1
    assert rapidity(1.0, 0.0, 7.0, 7.0) == pytest.approx(math.log(14))
    assert np.isfinite(rapidity(0.0, 0.0, 0.0, 0.0))
