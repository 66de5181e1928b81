"""Metrics of regression against numbers worked out by hand."""

import math

import pytest

from weaver_tt.metrics.regression import RegressionMeter


def test_regression_by_hand(scored, read):
    values = read(RegressionMeter(["x"]), scored([[1.0], [5.0]], [[0.0], [2.0]]))
    assert values == {"mae": 2.0, "rmse": pytest.approx(math.sqrt(5.0)), "bias": 2.0}


def test_masked_targets_do_not_count(scored, read):
    values = read(
        RegressionMeter(["x", "y"]), scored([[1.0, 7.0], [3.0, 1.0]], [[0.0, math.nan], [0.0, 0.0]])
    )
    assert (values["mae_x"], values["mae_y"]) == (2.0, 1.0)
