"""Resilience by hand, by finite differences, and its laws."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.metrics.resilience import (
    ValueWithError,
    measure_performance,
    measure_resilience,
    relative_change,
)

EFFICIENCIES = st.floats(1e-3, 1.0)


def exact(*values):
    """Efficiencies without errors."""
    return tuple(ValueWithError(value, 0.0) for value in values)


def test_a_relative_change_by_hand():
    change = relative_change(ValueWithError(0.5, 0.03), ValueWithError(0.4, 0.04))
    assert change.value == pytest.approx(0.1 / 0.45)
    # 4 sqrt((0.4 * 0.03)^2 + (0.5 * 0.04)^2) / 0.9^2 = 4 * 0.0233238 / 0.81
    assert change.error == pytest.approx(0.115179, rel=1e-5)


def test_a_resilience_by_hand():
    # changes of 2/9 and -2/3: 4/81 + 4/9 = 40/81, and sqrt(81/40) = 1.423025
    assert measure_resilience(exact(0.5, 0.4), exact(0.01, 0.02)).value == pytest.approx(1.423025)
    # of the signal alone: 1 / (2/9)
    assert measure_resilience(exact(0.5, 0.4), exact(0.01, 0.01)).value == pytest.approx(4.5)


def test_its_error_is_that_of_finite_differences():
    values = [0.5, 0.4, 0.01, 0.02]
    errors = [0.01, 0.012, 0.001, 0.0015]
    step = 1e-6
    terms = []
    for place, error in enumerate(errors):
        moved = list(values)
        moved[place] += step * error
        here = measure_resilience(exact(*values[:2]), exact(*values[2:])).value
        there = measure_resilience(exact(*moved[:2]), exact(*moved[2:])).value
        terms.append((there - here) / step)
    pairs = [ValueWithError(*pair) for pair in zip(values, errors, strict=True)]
    found = measure_resilience((pairs[0], pairs[1]), (pairs[2], pairs[3]))
    assert found.error == pytest.approx(math.hypot(*terms), rel=1e-4)
    # the changes have errors of 0.035610 and 0.111111: 1 / sqrt(0.0012681 + 0.0123457)
    assert found.by_chance == pytest.approx(8.57058, rel=1e-4)


def test_where_nothing_changes_it_is_unlimited_and_has_no_error():
    signal = ValueWithError(0.5, 0.01)
    background = ValueWithError(0.01, 0.001)
    found = measure_resilience((signal, signal), (background, background))
    assert found.is_unlimited
    assert math.isnan(found.error)
    # changes fluctuate by sqrt(2) times the relative errors, 0.02 and 0.1
    assert found.by_chance == pytest.approx(1 / math.sqrt(2 * (0.02**2 + 0.1**2)))


@pytest.mark.parametrize("unknown", [0.0, math.nan, -0.01])
@pytest.mark.parametrize("place", range(4))
def test_what_passes_nowhere_makes_it_unknown(unknown, place):
    values = [0.5, 0.4, 0.01, 0.02]
    values[place] = unknown
    found = measure_resilience(exact(*values[:2]), exact(*values[2:]))
    assert math.isnan(found.value)
    assert not found.is_unlimited


@given(EFFICIENCIES, EFFICIENCIES, EFFICIENCIES, EFFICIENCIES)
def test_which_sample_is_the_first_does_not_matter_and_it_is_at_least_that_of_all_or_nothing(
    a, b, c, d
):
    there = measure_resilience(exact(a, b), exact(c, d)).value
    back = measure_resilience(exact(b, a), exact(d, c)).value
    assert there == pytest.approx(back)
    # two changes of at most 2: 1 / sqrt(8)
    assert there >= 1 / math.sqrt(8)


@given(EFFICIENCIES, EFFICIENCIES, st.floats(0.01, 1.0))
def test_changes_are_relative(a, b, factor):
    change = relative_change(ValueWithError(a, 0.1 * a), ValueWithError(b, 0.1 * b))
    scaled = relative_change(
        ValueWithError(factor * a, 0.1 * factor * a), ValueWithError(factor * b, 0.1 * factor * b)
    )
    assert scaled.value == pytest.approx(change.value, abs=1e-12)
    assert scaled.error == pytest.approx(change.error)


def test_performance_by_hand():
    found = measure_performance(ValueWithError(0.5, 0.02), ValueWithError(0.04, 0.008))
    assert found.value == pytest.approx(0.5 / 0.2)
    # relative: 0.04 of the signal, half of 0.2 of the background
    assert found.error == pytest.approx(2.5 * math.hypot(0.04, 0.1))
    assert math.isnan(measure_performance(ValueWithError(0.5, 0.02), ValueWithError(0, 0)).value)


def test_a_change_of_nothing_by_nothing_is_unknown():
    assert math.isnan(relative_change(*exact(0.0, 0.0)).value)
