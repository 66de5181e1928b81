"""Figures of a search: what is drawn where."""

import numpy as np
import pytest

from tests.report.conftest import add_trial, make_study
from weaver_tt.report.search import Importance, read_search
from weaver_tt.report.tuning_figures import (
    front,
    history_figure,
    importance_figure,
    parallel_figure,
    pareto_figure,
)


def test_a_front_holds_what_no_other_beats_in_both():
    points = np.array([[1, 1], [2, 2], [0, 2], [2, 2], [3, 0.0]])
    assert front(points, [True, True]).tolist() == [False, True, False, True, True]
    assert front(points, [False, False]).tolist() == [True, False, True, False, True]


def test_the_most_important_setting_is_on_top_with_the_spread_between_forests():
    importances = {"-o hidden": Importance(0.7, 0.05), "-o k": Importance(0.3, 0.02)}
    figure = importance_figure(importances, {"-o hidden": -0.4}, "auc")
    left, right = figure.axes
    bars, errors = left.containers[1], left.containers[0]
    assert [label.get_text() for label in left.get_yticklabels()] == ["-o k", "-o hidden"]
    assert [bar.get_width() for bar in bars] == [0.3, 0.7]
    (segments,) = errors.lines[2]
    assert segments.get_segments()[1][:, 0].tolist() == pytest.approx([0.65, 0.75])
    assert [bar.get_width() for bar in right.patches] == [0, -0.4]


def test_ant_factors_have_logarithmic_axes_and_areas_linear_ones(tmp_path):
    study = make_study(tmp_path, ("auc", "ant"), ("maximize", "maximize"))
    for place in range(4):
        add_trial(study, [0.9 + place / 100, 10.0**-place], [1e-3, "batch", 2])
    search = read_search(study)
    (axes,) = pareto_figure(search, "auc", "ant").axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")
    assert history_figure(search, "ant").axes[0].get_yscale() == "log"
    lines = parallel_figure(search, "ant").axes[0].collections[-1]
    # the last axis is that of the factor: decades have equal distances, the best one in front
    heights = [segment[-1][1] for segment in lines.get_segments()]
    assert heights == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert lines.norm(0.1) == pytest.approx(2 / 3)
