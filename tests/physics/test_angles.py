"""Azimuths and distances, for numpy, awkward and torch alike."""

import math

import awkward as ak
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.physics.angles import delta_phi, delta_r, wrap_phi

angles = st.floats(-50, 50)


@pytest.mark.parametrize(
    ("angle", "expected"),
    [
        (0.0, 0.0),
        (3.0, 3.0),
        (4.0, 4.0 - 2 * math.pi),
        (-4.0, 2 * math.pi - 4.0),
        (math.pi, -math.pi),
        (-math.pi, -math.pi),
        (7 * math.pi / 2, -math.pi / 2),
    ],
)
def test_angles_come_into_one_turn_around_zero(angle, expected):
    assert wrap_phi(angle) == pytest.approx(expected, abs=1e-12)


@given(angles)
def test_an_angle_that_is_wrapped_stays_as_it_is(angle):
    wrapped = wrap_phi(angle)
    assert -math.pi <= wrapped < math.pi
    # 1e-12 below pi is 1e-12 above -pi
    assert abs(math.remainder(wrap_phi(wrapped) - wrapped, 2 * math.pi)) < 1e-12


@given(angles, st.integers(-5, 5))
def test_whole_turns_do_not_count(angle, turns):
    moved = wrap_phi(angle + turns * 2 * math.pi)
    assert abs(math.remainder(moved - wrap_phi(angle), 2 * math.pi)) < 1e-12


@given(angles, angles)
def test_the_difference_is_the_shorter_way_round(phi, other):
    assert delta_phi(phi, other) == pytest.approx(wrap_phi(phi - other), abs=1e-12)
    assert math.cos(delta_phi(phi, other)) == pytest.approx(math.cos(phi - other), abs=1e-9)


def test_numpy_awkward_and_torch_get_the_same_and_keep_their_type():
    values = [3.0, -4.0, 6.0, 0.5]
    expected = [3.0, 2 * math.pi - 4, 6 - 2 * math.pi, 0.5]
    jagged = wrap_phi(ak.Array([values[:3], [], values[3:]]))
    assert ak.num(jagged).tolist() == [3, 0, 1]
    assert ak.flatten(jagged).tolist() == pytest.approx(expected)
    for array in (np.array(values, np.float32), torch.tensor(values)):
        found = wrap_phi(array)
        assert type(found) is type(array)
        assert found.dtype == array.dtype
        assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_its_gradient_is_one_everywhere():
    angle = torch.tensor([0.1, 3.0, 4.0, -9.0], requires_grad=True)
    (wrap_phi(angle) * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert angle.grad.tolist() == [1, 2, 3, 4]


def test_distances_are_taken_across_pi():
    # 0.3 in eta, 0.4 in phi
    assert delta_r(1.0, math.pi - 0.1, 0.7, 0.3 - math.pi) == pytest.approx(0.5)
    eta = ak.Array([[0.0, 3.0], []])
    phi = ak.Array([[0.0, 0.0], []])
    distances = delta_r(eta, phi, np.array([0.0, 1.0]), np.array([4 - 2 * math.pi, 1.0]))
    assert distances.tolist() == [
        [pytest.approx(2 * math.pi - 4), pytest.approx(math.hypot(3, 2 * math.pi - 4))],
        [],
    ]


@given(angles, angles, angles, angles)
def test_a_distance_is_the_same_from_both_sides(eta, phi, other_eta, other_phi):
    there = delta_r(eta, phi, other_eta, other_phi)
    back = delta_r(other_eta, other_phi, eta, phi)
    assert there == pytest.approx(back, rel=1e-12, abs=1e-12)
    assert delta_r(eta, phi, eta, phi) == 0
