"""Metrics of classification against numbers worked out by hand and by counting."""

import math

import numpy as np
import pytest
from torch import tensor

from weaver_tt.metrics.classification import ClassificationMeter, area_under_curve


def test_accuracy_by_hand(scored, read):
    probabilities = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]
    assert read(ClassificationMeter(["a", "b"]), scored(probabilities, [0, 1, 1, 1], weight=[1.0, 1.0, 2.0, 1.0]))["accuracy"] == pytest.approx(3 / 5)


def test_area_under_the_curve_equals_counting_pairs(scored, read):
    generator = np.random.default_rng(1)
    score, signal = generator.uniform(0.02, 0.98, 300), generator.random(300) < 0.4
    score[signal] = score[signal] ** 0.5
    pairs = (score[signal][:, None] > score[~signal][None, :]).mean()
    batch = scored(np.stack([1 - score, score], 1).astype(np.float32), signal.astype(np.int64))
    assert read(ClassificationMeter(["rest", "signal"]), batch)["auc"] == pytest.approx(pairs, abs=0.005)


def test_equal_scores_are_half_a_win():
    assert area_under_curve(tensor([0.0, 1.0]), tensor([0.0, 1.0])) == 0.5
    assert area_under_curve(tensor([1.0, 0.0]), tensor([0.0, 1.0])) == 1.0


def test_several_classes_have_an_area_each(scored, read):
    values = read(ClassificationMeter(["a", "b", "c"]), scored([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], [0, 1, 2]))
    assert values == {"accuracy": 1.0, "auc": 1.0, "auc_a": 1.0, "auc_b": 1.0, "auc_c": 1.0}


def test_a_class_that_never_occurs_does_not_spoil_the_mean_area(scored, read):
    values = read(ClassificationMeter(["a", "b", "never"]), scored([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]], [0, 1]))
    assert values["auc"] == 1.0
    assert math.isnan(values["auc_never"])
