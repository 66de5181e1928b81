"""Metrics of regression against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch import tensor

from weaver_tt.metrics.base import PartMeter
from weaver_tt.metrics.classification import ClassificationMeter
from weaver_tt.metrics.regression import (
    BINS,
    CoverageMeter,
    PullMeter,
    RegressionMeter,
    TargetLossMeter,
    bin_edges,
    bin_numbers,
    histogram_quantiles,
)


def test_regression_by_hand(scored, read):
    values = read(RegressionMeter(["x"]), scored([[1.0], [5.0]], [[0.0], [2.0]]))
    # residuals 1 and 3: the 16 and 84 % quantiles lie in their bins
    assert values == {
        "mae_x": 2.0,
        "rmse_x": pytest.approx(math.sqrt(5.0)),
        "bias_x": 2.0,
        "resolution_x": pytest.approx(1.0, rel=0.02),
    }


def test_errors_are_those_of_weighted_means(scored):
    meter = RegressionMeter(["x"])
    # residuals 1 of weight 2, and -3 of weight 1
    meter.update(scored([[1.0], [0.0]], [[0.0], [3.0]], weight=[2.0, 1.0]), None)
    errors = meter.errors(meter.totals())
    # mae 5/3: sqrt(4 (2/3)^2 + (4/3)^2) / 3
    assert errors["mae_x"] == pytest.approx(math.sqrt(4 * 4 / 9 + 16 / 9) / 3)
    # bias -1/3: deviations 4/3 and -8/3
    assert errors["bias_x"] == pytest.approx(math.sqrt(4 * 16 / 9 + 64 / 9) / 3)
    # mean square 11/3, whose deviations are -8/3 and 16/3; of a root half the relative error
    of_square = math.sqrt(4 * 64 / 9 + 256 / 9) / 3
    assert errors["rmse_x"] == pytest.approx(of_square / (2 * math.sqrt(11 / 3)))
    # two entries have no quantiles beyond those that they are
    assert math.isnan(errors["resolution_x"])


def test_the_error_of_the_resolution_is_that_of_two_quantiles(scored):
    residuals = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(3))
    meter = RegressionMeter(["x"], alone=True)
    meter.update(scored(residuals, torch.zeros(20_000, 1)), None)
    error = meter.errors(meter.totals())["resolution"]
    # each quantile: sqrt(0.16 x 0.84) / 0.2433, the density of a Gaussian there; correlation 0.19
    one = math.sqrt(0.16 * 0.84) / 0.2433
    expected = math.sqrt(2 * one**2 * (1 - 0.16 / 0.84)) / 2 / math.sqrt(20_000)
    assert error == pytest.approx(expected, rel=0.05)


def test_errors_of_coverages_are_binomial_and_that_of_pulls_the_one_of_their_mean(scored):
    meter = CoverageMeter("y", [0.16, 0.84], alone=True)
    meter.update(scored([[0.0, 2.0]] * 4, [[-1.0], [0.5], [1.5], [9.0]]), None)
    errors = meter.errors(meter.totals())
    # 1 of 4 and 3 of 4 below, 2 of 4 between
    assert errors == pytest.approx(
        {
            "coverage@0.16": math.sqrt(3 / 16 / 4),
            "coverage@0.84": math.sqrt(3 / 16 / 4),
            "coverage@0.16-0.84": math.sqrt(1 / 4 / 4),
        }
    )
    pulls = PullMeter("y")
    pulls.update(scored([[1.0], [3.0]], [[1.0], [3.0]]), None)
    assert pulls.errors(pulls.totals())["pull_mean_y"] == pytest.approx(math.sqrt(2) / 2)
    assert pulls.errors(torch.zeros_like(pulls.totals())) == {}


def test_a_target_that_is_all_there_is_to_learn_need_not_be_named(scored, read):
    values = read(RegressionMeter(["x"], alone=True), scored([[1.0]], [[0.0]]))
    assert list(values) == ["mae", "rmse", "bias", "resolution"]
    values = read(RegressionMeter(["x", "y"], alone=True), scored([[1.0, 1.0]], [[0.0, 0.0]]))
    assert "mae_x" in values


def test_masked_targets_do_not_count(scored, read):
    values = read(
        RegressionMeter(["x", "y"]), scored([[1.0, 7.0], [3.0, 1.0]], [[0.0, math.nan], [0.0, 0.0]])
    )
    assert (values["mae_x"], values["mae_y"]) == (2.0, 1.0)
    assert values["without_target_y"] == 1.0
    assert "without_target_x" not in values


def without_resolution(values):
    return {name: value for name, value in values.items() if "resolution" not in name}


def test_rows_count_by_their_weight(scored, read):
    # residuals of -1 and 3, the second row counts three times
    batch = scored([[-1.0], [5.0]], [[0.0], [2.0]], weight=[1.0, 3.0])
    assert without_resolution(read(RegressionMeter(["x"]), batch)) == {
        "mae_x": (1 + 3 * 3) / 4,
        "rmse_x": pytest.approx(math.sqrt((1 + 3 * 9) / 4)),
        "bias_x": (-1 + 3 * 3) / 4,
    }


def test_a_mean_square_below_zero_counts_as_zero(scored, read):
    batch = scored([[0.0], [2.0]], [[0.0], [0.0]], weight=[3.0, -1.0])
    values = without_resolution(read(RegressionMeter(["x"]), batch))
    assert values == {"mae_x": -1.0, "rmse_x": 0.0, "bias_x": -1.0}


def test_rows_count_by_event_weight_where_the_loss_needs_other_labels_too(scored, read):
    batch = scored([[1.0], [3.0]], [[0.0], [math.inf]], weight=[0.0, 1.0])
    batch.monitors["weight"] = tensor([2.0, 1.0])
    # an infinite target counts as little as one that is not known
    values = without_resolution(read(RegressionMeter(["x"]), batch))
    expected = {"mae_x": 1.0, "rmse_x": 1.0, "bias_x": 1.0, "without_target_x": 1.0}
    assert values == expected


def test_every_number_lies_in_its_bin_and_what_is_beyond_in_the_outermost():
    edges = bin_edges()
    values = tensor([1.0, -1.0, 3e-6, -7.7, 1234.5], dtype=torch.float64)
    for value, place in zip(values.tolist(), bin_numbers(values).tolist(), strict=True):
        assert edges[place] <= value <= edges[place + 1]
    middle = BINS // 2
    assert bin_numbers(tensor([0.0, 1e-9, -1e-9, math.nan])).tolist() == [middle] * 4
    assert bin_numbers(tensor([1e30, math.inf, -1e30])).tolist() == [BINS - 1, BINS - 1, 0]


@pytest.mark.parametrize("scale", [1e-4, 1.0, 300.0])
def test_quantiles_of_fine_bins_are_those_of_the_sample(scale):
    sample = np.random.default_rng(1).normal(0.2, 1, 100_000) * scale
    counts = np.bincount(bin_numbers(torch.from_numpy(sample)).numpy(), minlength=BINS)
    found = histogram_quantiles(counts.astype(float), [0.16, 0.5, 0.84])
    assert found == pytest.approx(np.quantile(sample, [0.16, 0.5, 0.84]), rel=3e-3)


def test_the_resolution_is_half_the_central_68_percent_and_the_response_a_ratio(scored):
    residual = torch.randn(20_000, generator=torch.Generator().manual_seed(1)) * 0.1
    true = torch.full((20_000, 1), 2.0)
    entries = scored((true + residual[:, None]).tolist(), true.tolist())
    meter = RegressionMeter(["x"])
    meter.update(entries, None)
    assert meter.values(meter.totals())["resolution_x"] == pytest.approx(0.0994, rel=0.02)
    found = meter.details(meter.totals())["targets"]["x"]
    assert found["weight"] == 20_000
    assert found["response"]["median"] == pytest.approx(1.0, abs=1e-3)
    assert found["response"]["resolution"] == pytest.approx(0.0497, rel=0.02)


def test_the_response_of_a_logarithm_is_that_of_the_numbers(scored):
    # predicted log10 is 0.1 too large: the numbers are 26 % too large; the truth has both signs
    meter = RegressionMeter(["x"], log_bases={"x": 10.0})
    meter.update(scored([[0.4], [-0.2]], [[0.3], [-0.3]]), None)
    response = meter.details(meter.totals())["targets"]["x"]["response"]
    assert response["median"] == pytest.approx(10**0.1, rel=2e-3)
    plain = RegressionMeter(["x"])
    plain.update(scored([[1.0]], [[-1.0]]), None)
    # of numbers of two signs there is no ratio
    assert "response" not in plain.details(plain.totals())["targets"]["x"]


def test_coverage_is_the_share_below_each_quantile_and_between_two(scored, read):
    quantiles = [[0.0, 1.0, 2.0]] * 4
    batch = scored(quantiles, [[-1.0], [0.5], [1.5], [math.nan]], weight=[1.0, 1.0, 2.0, 5.0])
    values = read(CoverageMeter("y", [0.16, 0.5, 0.84]), batch)
    assert values == {
        "coverage@0.16_y": 0.25,
        "coverage@0.5_y": 0.5,
        "coverage@0.84_y": 1.0,
        "coverage@0.16-0.84_y": 0.75,
        "coverage_error_y": pytest.approx((0.09 + 0 + 0.16) / 3),
    }
    alone = read(CoverageMeter("y", [0.5], alone=True), scored([[0.0]], [[1.0]]))
    assert alone == {"coverage@0.5": 0.0, "coverage_error": 0.5}


def test_pulls_have_a_mean_and_a_width(scored, read):
    # pulls of 1 twice, -2 of weight 2, and one without a truth
    pulls = [[1.0], [1.0], [-2.0], [math.nan]]
    values = read(PullMeter("y"), scored(pulls, pulls, weight=[1.0, 1.0, 2.0, 5.0]))
    assert values == {
        "pull_mean_y": -0.5,
        "pull_width_y": 1.5,
        # from -2 to 1
        "pull_resolution_y": pytest.approx(1.5, rel=0.02),
    }
    assert read(PullMeter("y", alone=True), scored([[math.nan]], [[math.nan]])) == {}


def test_pulls_of_a_normal_distribution_have_width_one(scored, read):
    pulls = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(3)).tolist()
    values = read(PullMeter("y", alone=True), scored(pulls, pulls))
    assert values["pull_mean"] == pytest.approx(0, abs=0.02)
    assert values["pull_width"] == pytest.approx(1, abs=0.02)
    # half of the central 68 % is 0.9945 widths
    assert values["pull_resolution"] == pytest.approx(0.9945, abs=0.02)


def test_the_loss_of_each_target_is_over_the_rows_where_it_counts(scored):
    def losses(scored):
        return tensor([[1.0, 4.0], [3.0, 0.0]]), tensor([[True, True], [True, False]])

    meter = TargetLossMeter(["x", "y"], losses)
    batch = scored([[0.0, 0.0]] * 2, [[0.0, 0.0]] * 2, weight=[1.0, 3.0])
    meter.update(batch, None)
    assert meter.values(meter.totals()) == {"loss_x": 2.5, "loss_y": 4.0}


def test_a_meter_of_a_part_is_given_that_part_alone(scored):
    def second(scored):
        return scored.take(tensor([False, True]))

    meter = PartMeter(RegressionMeter(["x"]), second)
    meter.update(scored([[1.0], [5.0]], [[0.0], [2.0]]), tensor([0.0, 0.0]))
    assert meter.values(meter.totals())["mae_x"] == 3.0
    assert "x" in meter.details(meter.totals())["targets"]
    again = PartMeter(RegressionMeter(["x"]), second)
    again.restore(meter.totals())
    assert torch.equal(again.totals(), meter.totals())


def test_a_meter_of_a_part_has_the_errors_of_its_metrics(scored):
    meter = PartMeter(ClassificationMeter(["a", "b"]), lambda part: part)
    scores = scored([[0.9, 0.1], [0.4, 0.6]] * 2, [0, 1, 0, 0])
    meter.update(scores, None)
    # of 3 in 4 jets, sqrt(3/4 x 1/4 / 4)
    assert meter.errors(meter.totals())["accuracy"] == pytest.approx(0.2165, abs=1e-4)
