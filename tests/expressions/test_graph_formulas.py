"""Formulas of a graph against numbers by hand."""

import math

import numpy as np
import pytest

from tests.expressions.graph_runs import run_in_graph


def value(text, x, y=0.0):
    """The expression of one ``x`` and ``y``, of float64."""
    table = {"x": np.array([x], np.float64), "y": np.array([y], np.float64)}
    return run_in_graph(text, table)[0]


def test_two_thirds_of_a_circle_by_hand():
    # atan2(sqrt(3) / 2, -1 / 2) = 2 pi / 3 in all digits, which float32 alone would not give
    table = {"x": np.array([-0.5]), "y": np.array([np.sqrt(3) / 2])}
    assert run_in_graph("np.arctan2(y, x)", table)[0] == pytest.approx(2 * np.pi / 3, rel=1e-15)


def test_small_numbers_keep_their_digits():
    # to first order these are x itself, of which exp(x) - 1 would lose all digits
    for text in ("np.expm1(x)", "np.log1p(x)", "np.arcsinh(x)", "np.arctanh(x)", "np.sinh(x)"):
        assert value(text, 1e-17) == pytest.approx(1e-17, rel=1e-15), text


def test_large_numbers_do_not_overflow_on_the_way():
    # sqrt(3^2 + 4^2) = 5, and log(e^800 + e^800) = 800 + log 2
    assert value("np.hypot(x, y)", 3e200, 4e200) == pytest.approx(5e200, rel=1e-15)
    assert value("np.logaddexp(x, y)", 800, 800) == pytest.approx(800 + math.log(2), rel=1e-15)
    assert value("np.arccosh(x)", 1e200) == pytest.approx(200 * math.log(10) + math.log(2))


def test_signs_of_a_remainder_are_those_of_python_and_of_c():
    # -7 = -3 * 3 + 2 rounded down, and -2 * 3 - 1 towards zero
    assert (value("np.remainder(x, y)", -7, 3), value("np.fmod(x, y)", -7, 3)) == (2, -1)
    assert (value("x // y", -7, 3), value("np.trunc(x / y)", -7, 3)) == (-3, -2)


def test_half_ways_are_rounded_to_even_numbers():
    assert [value("np.round(x)", x) for x in (0.5, 1.5, 2.5)] == [0, 2, 2]
    assert value("np.round(x, 1)", 0.25) == pytest.approx(0.2)


def test_the_cube_root_of_a_negative_number_is_negative():
    assert value("np.cbrt(x)", -27) == pytest.approx(-3, rel=1e-15)


def test_bits_of_whole_numbers_by_hand():
    table = {"x": np.array([0b1100], np.int32)}
    found = [int(run_in_graph(f"x {sign} {0b1010}", table)[0]) for sign in "&|^"]
    assert found == [0b1000, 0b1110, 0b0110]
    assert run_in_graph("~x", table)[0] == -13
