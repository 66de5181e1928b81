"""Figures show the numbers they are given."""

import numpy as np
import pytest
import torch

from weaver_tt.figures import efficiency as figures
from weaver_tt.figures.base import binned_fractions
from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.efficiency import EfficiencyMeter
from weaver_tt.physics.particles import FLAVOURS


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
    figure = figures.efficiency_vs_pt(np.array([10.0, 100.0, 1000.0]), {"b": table, "light": table})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "b, predicted",
        "b, observed",
        "light, predicted",
        "light, observed",
    ]


def figures_of(monitors):
    """The figures of four objects, half of them tagged."""
    meter = EfficiencyMeter(["tag"])
    scored = Scored(
        torch.full((4, 1), 0.5),
        torch.tensor([[0.0], [1.0], [0.0], [1.0]]),
        torch.ones(4),
        torch.ones(4).long(),
        monitors={"weight": torch.ones(4), "pt": torch.full((4,), 50.0), **monitors},
    )
    meter.update(scored, None)
    return figures.efficiency_figures(meter, meter.totals())


def legend(figure):
    return {text.get_text() for text in figure.legends[0].get_texts()}


def test_flavours_have_the_words_that_they_have_everywhere():
    drawn = figures_of({"flavour": torch.tensor([5.0, -5.0, 4.0, 21.0])})
    words = [f"{flavour}, {kind}" for flavour in FLAVOURS for kind in ("observed", "predicted")]
    assert FLAVOURS == ("b", "c", "light")
    assert legend(drawn["efficiency_vs_pt"]) == set(words)


def test_where_no_flavour_is_known_all_objects_are_one():
    assert legend(figures_of({})["efficiency_vs_pt"]) == {"all, observed", "all, predicted"}


def test_axes_of_efficiencies_end_at_0_and_1():
    # one entry that is tagged, one that is not: the errors alone would reach beyond
    table = sums([1.0, 1.0, 2.0], [0.5, 0.5, 0.02], [1.0, 0.0, 1.0], [1.0, 1.0, 2.0])
    edges = np.array([10.0, 100.0, 1000.0, 10000.0])
    axes = figures.efficiency_vs_pt(edges, {"b": table}).axes[0]
    assert axes.get_ylim() == (0, 1)
    assert axes.get_xlabel() == "$p_T$ [GeV]"
    axes = figures.efficiency_calibration(table).axes[0]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 1), (0, 1))
