"""Metrics of regression against numbers worked out by hand."""

import math

import pytest
from torch import tensor

from weaver_tt.metrics.regression import RegressionMeter


def test_regression_by_hand(scored, read):
    values = read(RegressionMeter(["x"]), scored([[1.0], [5.0]], [[0.0], [2.0]]))
    assert values == {"mae": 2.0, "rmse": pytest.approx(math.sqrt(5.0)), "bias": 2.0}


def test_masked_targets_do_not_count(scored, read):
    values = read(
        RegressionMeter(["x", "y"]), scored([[1.0, 7.0], [3.0, 1.0]], [[0.0, math.nan], [0.0, 0.0]])
    )
    assert (values["mae_x"], values["mae_y"]) == (2.0, 1.0)


def test_rows_count_by_their_weight(scored, read):
    # residuals of -1 and 3, the second row counts three times
    batch = scored([[-1.0], [5.0]], [[0.0], [2.0]], weight=[1.0, 3.0])
    assert read(RegressionMeter(["x"]), batch) == {
        "mae": (1 + 3 * 3) / 4,
        "rmse": pytest.approx(math.sqrt((1 + 3 * 9) / 4)),
        "bias": (-1 + 3 * 3) / 4,
    }


def test_a_mean_square_below_zero_counts_as_zero(scored, read):
    batch = scored([[0.0], [2.0]], [[0.0], [0.0]], weight=[3.0, -1.0])
    assert read(RegressionMeter(["x"]), batch) == {"mae": -1.0, "rmse": 0.0, "bias": -1.0}


def test_rows_count_by_event_weight_where_the_loss_needs_other_labels_too(scored, read):
    batch = scored([[1.0], [3.0]], [[0.0], [math.inf]], weight=[0.0, 1.0])
    batch.monitors["weight"] = tensor([2.0, 1.0])
    # an infinite target counts as little as one that is not known
    assert read(RegressionMeter(["x"]), batch) == {"mae": 1.0, "rmse": 1.0, "bias": 1.0}
