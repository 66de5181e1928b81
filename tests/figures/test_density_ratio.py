"""Observed against predicted ratio."""

import numpy as np
import pytest
import torch

from weaver_tt.config.schema import RatioOptions
from weaver_tt.figures.density_ratio import observed_ratios, ratio_calibration, ratio_figures
from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.density_ratio import RatioMeter


def sums(numerator, denominator, ratio):
    """w and w^2 of numerator, denominator and reweighted denominator, weights of 1."""
    reweighted = np.multiply(denominator, ratio)
    squares = np.multiply(denominator, np.square(ratio))
    return np.array(
        [[numerator, numerator], [denominator, denominator], [reweighted, squares]], dtype=float
    )


def test_what_is_observed_is_normalised_as_the_prediction_is():
    # shares 0.4 and 0.6 of 50, 0.75 and 0.25 of 100
    predicted, observed, error = observed_ratios(sums([20, 30], [75, 25], [0.5, 2.5]), 1.0)
    assert predicted.tolist() == [0.5, 2.5]
    assert observed.tolist() == pytest.approx([0.4 / 0.75, 0.6 / 0.25])
    assert error[0] == pytest.approx(observed[0] * np.sqrt(1 / 20 + 1 / 75))
    _, yields, _ = observed_ratios(sums([20, 30], [75, 25], [0.25, 1.25]), 0.5)
    assert yields.tolist() == pytest.approx([20 / 75, 30 / 25])


def test_bins_that_negative_weights_empty_are_left_out():
    predicted, _, _ = observed_ratios(sums([20, -1, 30], [75, 9, 25], [0.5, 1, 2.5]), 1.0)
    assert predicted.tolist() == [0.5, 2.5]


def test_the_figure_names_both_samples_in_words():
    options = RatioOptions(numerator="data", denominator="mc")
    meter = RatioMeter()
    target = torch.tensor([1.0, 1, 0, 0, 0])
    ones = torch.ones(5)
    scored = Scored(torch.tensor([[0.5], [2], [0.5], [2], [0.5]]), target, ones, ones.long())
    meter.update(scored, None)
    figures = ratio_figures(meter, meter.totals(), options, {"mc": "simulation"})
    [axes] = figures["ratio"].axes
    assert axes.get_xlabel() == "predicted data / simulation"
    assert axes.get_xscale() == "linear"
    alone = RatioMeter()
    alone.update(scored.take(target == 0), None)
    assert ratio_figures(alone, alone.totals(), options, {}) == {}


def test_ratios_over_decades_have_logarithmic_axes():
    figure = ratio_calibration(sums([2, 300], [75, 25], [0.02, 9]), "a / b", 1.0)
    assert figure.axes[0].get_yscale() == "log"
