"""The figure of a learning-rate test."""

import numpy as np
import pytest

from weaver_tt.figures.learning_rates import sweep_figure

RATES = np.logspace(-5, 0, 6)
LOSSES = np.array([2.0, 1.0, 0.9, 0.5, 0.6, 50.0])


def test_average_and_suggestion_are_drawn_beside_each_step():
    (axes,) = sweep_figure(RATES, LOSSES, LOSSES[1:], 1e-3).axes
    steps, average, suggestion = axes.lines
    np.testing.assert_array_equal(steps.get_ydata(), LOSSES)
    np.testing.assert_array_equal(average.get_xdata(), RATES[1:])
    assert suggestion.get_xdata()[0] == pytest.approx(1e-3)
    titles = [text.get_text() for text in axes.get_legend().get_texts()]
    assert titles == ["each step", "average", "steepest descent: 0.001"]
    assert axes.get_xscale() == "log"


def test_the_divergence_at_the_end_does_not_make_all_else_flat():
    (axes,) = sweep_figure(RATES, LOSSES, LOSSES[1:], None).axes
    low, high = axes.get_ylim()
    # from 0.5 to 1.2 of the first average
    assert low == pytest.approx(0.5 - 0.07)
    assert 1.2 < high < 5


def test_losses_that_are_not_finite_are_drawn_without_an_error():
    nothing = np.full(5, np.nan)
    (axes,) = sweep_figure(RATES, LOSSES, nothing, None).axes
    assert len(axes.lines) == 2
