"""Patience counts values that are no improvement by more than the threshold on the best one."""

import math

import pytest

from weaver_tt.engine.patience import Patience
from weaver_tt.options.thresholds import Threshold


def waits(values: list[float], direction: str, threshold: Threshold) -> list[int]:
    patience = Patience(direction, threshold)
    counts = []
    for value in values:
        patience.observe(value)
        counts.append(patience.waited)
    return counts


def test_small_steps_add_up_to_an_improvement() -> None:
    # each is better by 0.6; the second one by 1.2 than the best
    assert waits([10, 9.4, 8.8, 8.8], "min", Threshold(1.0)) == [0, 1, 0, 1]


def test_a_relative_threshold_is_a_share_of_the_best_value() -> None:
    # 1 % of 100
    threshold = Threshold(0.01, is_relative=True)
    assert waits([100, 99.1, 98.9, 97.95], "min", threshold) == [0, 1, 0, 1]


@pytest.mark.parametrize(("direction", "values"), [("max", [1, 2, 1.5]), ("zero", [-1, 0.5, -0.7])])
def test_best_may_be_large_or_close_to_0(direction: str, values: list[float]) -> None:
    assert waits(values, direction, Threshold(0.0)) == [0, 0, 1]


def test_anything_finite_improves_on_infinity() -> None:
    threshold = Threshold(0.01, is_relative=True)
    assert waits([math.inf, 1e30, 1e29], "min", threshold) == [0, 0, 0]
