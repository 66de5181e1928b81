"""Figures show the numbers they are given."""

import numpy as np
import pytest

from weaver_tt.figures import efficiency as figures
from weaver_tt.figures.base import binned_fractions


def sums(weight, predicted, tagged, squares):
    """(4, bins) of w, w * predicted, w * tag, w^2."""
    return np.array([weight, predicted, tagged, squares], dtype=float)


def test_fractions_by_hand():
    predicted, observed, error = binned_fractions(sums([4.0], [1.0], [2.0], [4.0]))
    assert (predicted[0], observed[0]) == (0.25, 0.5)
    assert error[0] == pytest.approx(np.sqrt(0.5 * 0.5 / 4))


def test_errors_of_weighted_entries_use_their_effective_number():
    weights = np.array([3.0, 1.0])  # (3 + 1)^2 / (9 + 1) = 1.6 entries
    error = binned_fractions(sums([weights.sum()], [0.0], [2.0], [(weights**2).sum()]))[2]
    assert error[0] == pytest.approx(np.sqrt(0.25 / 1.6))


def test_empty_bins_are_nan_and_left_out():
    table = sums([0.0, 2.0], [0.0, 1.0], [0.0, 1.0], [0.0, 2.0])
    assert np.isnan(binned_fractions(table)[0][0])
    points = figures.efficiency_calibration(table).axes[0].lines[1]
    assert points.get_xdata().tolist() == [0.5]


def test_every_flavour_has_points_and_a_line():
    table = sums([2.0, 2.0], [1.0, 1.0], [1.0, 1.0], [2.0, 2.0])
    axes = figures.efficiency_vs_pt(
        np.array([10.0, 100.0, 1000.0]), {"b": table, "other": table}
    ).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "b, predicted",
        "other, predicted",
        "b, observed",
        "other, observed",
    ]
