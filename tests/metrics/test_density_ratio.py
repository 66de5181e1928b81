"""Metrics of a ratio of two samples, by hand."""

import math

import pytest
import torch
from torch import tensor

from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.density_ratio import LeftOutMeter, RatioMeter


def scored(ratios, target, weight):
    ones = torch.ones(len(target), dtype=torch.int64)
    return Scored(tensor(ratios)[:, None], tensor(target), tensor(weight), ones)


def measured(*batches, training_size=None):
    meter = RatioMeter(training_size)
    for batch in batches:
        meter.update(scored(*batch), None)
    return meter.values(meter.totals()), meter.details(meter.totals())


def test_the_mean_is_that_under_the_denominator():
    # mean (2*1 + 1*4) / 3 = 2; sum of w^2 (r - mean)^2 = 4*1 + 1*4 = 8
    values, _ = measured(
        ([1.0, 100.0], [0.0, 1.0], [2.0, 5.0]),
        ([4.0], [0.0], [1.0]),
    )
    assert values["mean_ratio"] == pytest.approx(2)
    assert values["mean_ratio_error"] == pytest.approx(math.sqrt(8) / 3)
    # reweighted the weights are 2 and 4: 36 / 20
    assert values["effective_size"] == pytest.approx(1.8)


def test_the_normalisation_is_known_as_well_as_the_mean_of_the_training_sample():
    # (2 + 1)^2 / (4 + 1) = 1.8 effective entries here, 45 in the training: an error 5 times smaller
    batch = ([1.0, 4.0], [0.0, 0.0], [2.0, 1.0])
    values, _ = measured(batch, training_size=45.0)
    assert values["normalisation_error"] == pytest.approx(math.sqrt(8) / 3 / 5)


def test_the_right_ratio_tells_the_samples_apart_before_and_not_after_reweighting():
    # 1 and 3 of the numerator, 3 and 1 of the denominator: ratios 1/3 and 3
    ratios, target = [1 / 3, 3.0, 1 / 3, 3.0], [1.0, 1.0, 0.0, 0.0]
    values, details = measured((ratios, target, [1.0, 3.0, 3.0, 1.0]))
    # pairs of a row of each: 9 of 16 in the right order, 6 share a bin
    assert values["auc"] == pytest.approx(12 / 16)
    assert values["auc_reweighted"] == pytest.approx(0.5)
    assert details["auc"]["value"] == values["auc"]
    assert details["auc"]["error"] > 0


def test_the_mean_and_both_areas_have_errors():
    meter = RatioMeter()
    ratios, target = [1 / 3, 3.0, 1 / 3, 3.0], [1.0, 1.0, 0.0, 0.0]
    assert meter.errors(meter.totals()) == {}
    meter.update(scored(ratios, target, [1.0, 3.0, 3.0, 1.0]), None)
    errors = meter.errors(meter.totals())
    details = meter.details(meter.totals())
    # of the denominator (3 of 1/3, 1 of 3) the mean is 1: sum w^2 (r - 1)^2 = 9 x 4/9 + 4 = 8
    assert errors["mean_ratio"] == pytest.approx(math.sqrt(8) / 4)
    assert errors["auc"] == details["auc"]["error"] > 0
    assert errors.keys() == {"mean_ratio", "auc", "auc_reweighted"}


def test_one_sample_alone_has_a_mean_and_no_area():
    values, details = measured(([2.0, 2.0], [0.0, 0.0], [1.0, 1.0]))
    assert values == {"mean_ratio": 2, "mean_ratio_error": 0, "effective_size": 2}
    assert details == {}
    assert measured(([2.0], [1.0], [1.0]))[0] == {}


def test_batches_without_a_ratio_are_counted_in_a_training():
    meter = LeftOutMeter()
    good = scored([1.0, 1.0], [0.0, 1.0], [1.0, 1.0])
    bad = scored([1.0, 1.0, 1.0], [0.0, 0.0, 1.0], [1.0, -1.0, 1.0])
    for batch in (good, bad, bad):
        meter.update(batch, torch.zeros(len(batch.weight), requires_grad=True))
        meter.update(batch, torch.zeros(len(batch.weight)))
    assert meter.values(meter.totals()) == {"batches_left_out": 2}
    assert LeftOutMeter().values(LeftOutMeter().totals()) == {}
