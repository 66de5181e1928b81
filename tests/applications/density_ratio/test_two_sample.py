"""A fresh network tells samples apart that differ, and no others."""

import numpy as np
import pytest

from weaver_tt.applications.density_ratio import two_sample
from weaver_tt.applications.density_ratio.two_sample import two_sample_test, weighted_area


def test_an_area_worked_out_by_hand():
    score = np.array([0.1, 0.4, 0.4, 0.9])
    is_numerator = np.array([False, True, False, True])
    weight = np.array([1.0, 1.0, 3.0, 2.0])
    area = weighted_area(score, is_numerator, weight, np.arange(4))
    # pairs: 0.4 above 0.1 and half of it beside 0.4, weights 1 and 3; 0.9 above both, weight 2
    assert area.value == pytest.approx((1 * (1 + 1.5) + 2 * 4) / (3 * 4))


def test_the_error_of_an_area_is_that_of_repeated_samples():
    random = np.random.default_rng(1)
    values, errors = [], []
    for _ in range(200):
        is_numerator = random.random(300) < 0.4
        score = np.repeat(random.normal(0, 1, 300) + 0.7 * is_numerator, 2)
        weight = np.repeat(random.exponential(1, 300), 2)
        # each entry is there twice
        row = np.repeat(np.arange(300), 2)
        area = weighted_area(score, np.repeat(is_numerator, 2), weight, row)
        values.append(area.value)
        errors.append(area.error)
    assert np.std(values) == pytest.approx(np.mean(errors), rel=0.2)


def test_a_difference_is_found_and_reweighting_by_the_true_ratio_takes_it_away(monkeypatch):
    monkeypatch.setattr(two_sample, "STEPS", 150)
    random = np.random.default_rng(2)
    x = random.uniform(-1, 1, (6000, 2))
    is_numerator = np.arange(6000) < 2000
    # the numerator has density 1 + x y, which neither variable alone shows
    product = x[:, 0] * x[:, 1]
    kept = ~is_numerator | (2 * random.random(6000) < 1 + product)
    x, is_numerator, product = x[kept], is_numerator[kept], product[kept]
    row = np.arange(len(x))
    before = two_sample_test(x, is_numerator, np.ones(len(x)), row)
    assert before.deviation > 5
    weight = np.where(is_numerator, 1.0, 1 + product)
    after = two_sample_test(x, is_numerator, weight, row)
    assert abs(after.deviation) < 3


def test_the_random_numbers_of_others_are_left_alone(monkeypatch):
    import torch

    monkeypatch.setattr(two_sample, "STEPS", 2)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    x = np.random.default_rng(1).normal(size=(100, 1))
    two_sample_test(x, np.arange(100) % 2 == 0, np.ones(100), np.arange(100))
    assert torch.rand(3).equal(expected)
