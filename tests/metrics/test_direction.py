"""Where metrics are best, and which of two values is better."""

import pytest

from weaver_tt.metrics.direction import DIRECTIONS, Direction, metric_direction


@pytest.mark.parametrize(("direction", "best"), [("min", -3.0), ("max", 2.0), ("zero", -1.0)])
def test_the_best_value_by_hand(direction, best):
    assert Direction(direction).best([2.0, -3.0, -1.0]) == best


def test_of_two_equal_values_neither_is_better():
    assert not Direction.MIN.is_better(1.0, 1.0)
    assert not Direction.ZERO.is_better(-1.0, 1.0)
    assert Direction.ZERO.is_better(-0.5, 1.0)
    assert Direction.MAX.is_better(2.0, 1.0)


def test_the_longest_name_that_a_metric_begins_with_counts():
    assert metric_direction("rejection@0.5_top") is Direction.MAX
    assert metric_direction("log_loss_tight") is Direction.MIN
    known = {**DIRECTIONS, "auc_gap": Direction.ZERO}
    assert metric_direction("auc_gap", known) is Direction.ZERO
    assert metric_direction("auc_ovo", known) is Direction.MAX


def test_a_longer_word_is_another_metric():
    assert metric_direction("bias_pt") is Direction.ZERO
    assert metric_direction("biased_pt") is Direction.MIN
    assert metric_direction("tag_rates") is Direction.MIN


def test_what_is_neither_good_nor_bad_has_no_direction_and_the_unknown_is_best_small():
    assert metric_direction("tag_rate_tight") is None
    assert metric_direction("surprise") is Direction.MIN
