"""Figures of a regression, from sums worked out by hand."""

import numpy as np
import pytest
import torch
from torch import tensor

from weaver_tt.figures.regression import (
    coverage_figure,
    merge_neighbours,
    prediction_vs_target,
    pull_figure,
    regression_figures,
)
from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.regression import CoverageMeter, PullMeter, RegressionMeter


def entries(output, target):
    ones = torch.ones(len(output))
    return Scored(torch.tensor(output), torch.tensor(target), ones, ones.long())


def filled(meter, output, target):
    meter.update(entries(output, target), None)
    return meter


def test_each_target_has_figures_by_name():
    meter = filled(
        RegressionMeter(["x", "y"]), [[1.0, 2.0], [3.0, 1.0]], [[1.5, -2.0], [2.0, -1.0]]
    )
    drawn = regression_figures(meter, meter.totals())
    kinds = ("prediction_vs_target", "residuals", "response")
    # numbers of two signs have no ratio
    expected = {f"{kind}_x" for kind in kinds} | {f"{kind}_y" for kind in kinds[:2]}
    assert drawn.keys() == expected
    assert drawn["response_x"].axes[0].get_xlabel() == "predicted / true x"
    logarithm = filled(RegressionMeter(["x"], log_bases={"x": 10.0}), [[1.0]], [[1.0]])
    response = regression_figures(logarithm, logarithm.totals())["response_x"]
    assert response.axes[0].get_xlabel() == "response, exp(predicted - true x)"
    alone = filled(RegressionMeter(["x"], alone=True), [[1.0]], [[1.0]])
    assert drawn.keys() != regression_figures(alone, alone.totals()).keys() == set(kinds)


def test_a_target_without_rows_has_no_figures():
    meter = RegressionMeter(["x"])
    assert regression_figures(meter, meter.totals()) == {}


def test_the_residuals_are_drawn_as_a_density():
    values = torch.linspace(-1, 1, 2001)[:, None]
    meter = filled(RegressionMeter(["x"]), values.tolist(), torch.zeros(2001, 1).tolist())
    drawn = regression_figures(meter, meter.totals())
    stairs = drawn["residuals_x"].axes[0].patches[0].get_data()
    # even from -1 to 1, of which 1 % is cut off
    assert stairs.values == pytest.approx(0.5, rel=0.1)
    assert stairs.edges[[0, -1]] == pytest.approx([-0.99, 0.99], rel=0.01)


def test_the_profile_is_the_mean_prediction_at_the_mean_truth():
    output = [[10.0], [14.0], [30.0]]
    meter = filled(RegressionMeter(["x"]), output, [[10.0], [10.0], [20.0]])
    profile = meter.blocks(meter.totals())["profiles"][0].numpy()
    figure = prediction_vs_target("x", profile)
    points = figure.axes[0].containers[0][0].get_xydata()
    np.testing.assert_allclose(points, [[10, 12], [20, 30]])


def test_bins_are_merged_to_groups_of_about_equal_weight():
    sums = np.array([[1.0, 1, 2, 0, 4], [1.0, 2, 3, 4, 5]])
    merged = merge_neighbours(sums, 2)
    assert merged[0].sum() == 8
    assert merged.shape[1] == 2


def test_coverage_is_drawn_against_the_quantile():
    meter = CoverageMeter("y", [0.25, 0.75])
    meter.update(Scored(tensor([[0.0, 1.0]]), tensor([[0.5]]), torch.ones(1), torch.ones(1)), None)
    points = coverage_figure(meter, meter.totals()).axes[0].lines[1].get_xydata()
    assert points.tolist() == [[0.25, 0.0], [0.75, 1.0]]


def test_pulls_are_drawn_as_a_density_beside_the_normal_one():
    pulls = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(5))
    meter = filled(PullMeter("y"), pulls.tolist(), pulls.tolist())
    axes = pull_figure(meter, meter.totals()).axes[0]
    density, edges, _ = axes.patches[0].get_data()
    normal = np.exp(-((edges[1:] + edges[:-1]) ** 2) / 8) / np.sqrt(2 * np.pi)
    assert density == pytest.approx(normal, abs=0.03)
    assert axes.lines[0].get_ydata().max() == pytest.approx(0.3989, abs=1e-4)
