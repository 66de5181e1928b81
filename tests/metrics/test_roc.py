"""Areas, rejections and their errors: by hand, by counting, by toys, and as sklearn and scipy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from weaver_tt.metrics.roc import (
    Roc,
    bin_borders,
    bin_centers,
    bin_scores,
    effective_entries,
    passing_share,
    thresholds_at,
)


def histogram(scores, weights=None, half=20_000):
    """w and w^2 of logits in fine bins, (2, B)."""
    scores = torch.as_tensor(scores, dtype=torch.float64)
    weights = (
        torch.ones_like(scores)
        if weights is None
        else torch.as_tensor(weights, dtype=torch.float64)
    )
    sums = torch.zeros(2, 2 * half + 1, dtype=torch.float64)
    index = bin_scores(scores, half, 8.0)
    return torch.stack(
        [sums[0].index_add(0, index, weights), sums[1].index_add(0, index, weights**2)]
    )


@given(st.floats(-1e3, 1e3))
def test_the_place_of_minus_x_mirrors_that_of_x(x):
    there, back = bin_scores(tensor([x, -x], dtype=torch.float64), 100, 8.0).tolist()
    assert there + back == 200


@given(st.floats(-60, 60))
def test_a_score_lies_within_half_a_bin_of_its_bins_middle(x):
    half = 100
    index = int(bin_scores(tensor([x], dtype=torch.float64), half, 8.0))
    width = (8 + abs(x)) ** 2 / 8 / half  # the derivative of the middles, at x
    assert bin_centers(half, 8.0)[index].item() == pytest.approx(x, abs=0.6 * width)


@given(st.floats(-1e3, 1e3))
def test_a_score_lies_between_the_borders_of_its_bin(x):
    borders = bin_borders(100, 8.0)
    assert len(borders) == 202
    index = int(bin_scores(tensor([x], dtype=torch.float64), 100, 8.0))
    # a score on the border itself is rounded to either side
    assert borders[index] <= x * (1 + 1e-12) + 1e-12
    assert x <= borders[index + 1] * (1 + 1e-12) + 1e-12


def test_all_numbers_have_a_place_and_zero_is_the_middle():
    assert bin_scores(tensor([-math.inf, 0.0, 3e38]).nan_to_num(), 100, 8.0).tolist() == [
        0,
        100,
        200,
    ]


def test_two_bins_by_hand():
    # signal: one low, three high; background: two low, two high
    roc = Roc(tensor([[1.0, 3.0]] * 2), tensor([[2.0, 2.0]] * 2))
    assert float(roc.area) == pytest.approx((1 * 1 + 3 * (2 + 1)) / 16)  # wins plus half the ties
    value, _ = roc.background_efficiency(tensor([0.75, 0.375]))
    assert value.tolist() == pytest.approx([0.5, 0.25])  # a straight line inside a bin


def test_an_area_is_the_share_of_pairs_in_order():
    generator = np.random.default_rng(1)
    signal, background = generator.normal(1, 1, 300), generator.normal(0, 1.5, 200)
    pairs = (signal[:, None] > background[None, :]).mean()
    assert float(Roc(histogram(signal), histogram(background)).area) == pytest.approx(
        pairs, abs=1e-4
    )


def test_an_area_is_the_u_statistic_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(2)
    signal, background = (
        generator.integers(0, 5, 200) * 1.0,
        generator.integers(0, 4, 100) * 1.0,
    )  # with many ties
    u = stats.mannwhitneyu(signal, background).statistic
    assert float(Roc(histogram(signal), histogram(background)).area) == pytest.approx(
        u / len(signal) / len(background)
    )


def test_an_areas_error_is_delongs():
    generator = np.random.default_rng(3)
    signal, background = generator.normal(1, 1, 60), generator.normal(0, 1, 80)
    above = (signal[:, None] > background[None, :]).astype(float)
    variance = above.mean(1).var() / len(signal) + above.mean(0).var() / len(background)
    assert float(Roc(histogram(signal), histogram(background)).area_error) == pytest.approx(
        math.sqrt(variance), rel=1e-3
    )


def test_weights_count_as_in_sklearn():
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(4)
    score, target, weight = (
        generator.normal(0, 1, 400),
        generator.integers(0, 2, 400),
        generator.uniform(0.1, 2, 400),
    )
    score[target == 1] += 0.7
    roc = Roc(*(histogram(score[target == k], weight[target == k]) for k in (1, 0)))
    assert float(roc.area) == pytest.approx(
        metrics.roc_auc_score(target, score, sample_weight=weight), abs=1e-4
    )
    false, true, _ = metrics.roc_curve(target, score, sample_weight=weight, drop_intermediate=False)
    points = tensor([0.3, 0.5, 0.7])
    assert roc.background_efficiency(points)[0].tolist() == pytest.approx(
        np.interp(points, true, false), abs=0.02
    )


def test_a_thousand_entries_without_weights_have_the_binomials_error():
    background = torch.zeros(2, 2)
    background[:] = tensor([900.0, 100.0])
    many = 1e12 * torch.ones(2, 2)  # a signal without fluctuations
    value, error = Roc(many, background).background_efficiency(tensor([0.5]))
    assert float(value) == pytest.approx(0.1)
    assert float(error) == pytest.approx(math.sqrt(0.1 * 0.9 / 1000), rel=1e-4)


def test_weighted_entries_are_as_precise_as_their_effective_number():
    weights = tensor([3.0, 1.0])  # (3 + 1)^2 / (9 + 1) = 1.6 entries
    sums = torch.stack([weights, weights**2])
    assert float(effective_entries(sums)) == pytest.approx(1.6)
    doubled = torch.tensor([[1800.0, 200.0], [3600.0, 400.0]])  # 1000 entries that weigh 2 each
    _, error = Roc(1e12 * torch.ones(2, 2), doubled).background_efficiency(tensor([0.5]))
    assert float(error) == pytest.approx(math.sqrt(0.1 * 0.9 / 1000), rel=1e-4)


@pytest.mark.parametrize(("signal_entries", "background_entries"), [(20_000, 1000), (300, 20_000)])
def test_the_error_is_the_spread_of_many_toys(signal_entries, background_entries):
    generator = np.random.default_rng(5)
    values, errors = [], []
    for _ in range(150):
        roc = Roc(
            histogram(generator.normal(1, 1, signal_entries), half=500),
            histogram(generator.normal(0, 1, background_entries), half=500),
        )
        value, error = roc.background_efficiency(tensor([0.5]))
        values.append(float(value))
        errors.append(float(error))
    assert np.mean(errors) == pytest.approx(
        np.std(values), rel=0.2
    )  # 150 toys know their spread to 6 %
    assert np.mean(values) == pytest.approx(0.158655, rel=0.02)  # a background of N(0, 1) above 1


def test_rejections_are_inverse_and_infinite_where_nothing_passes():
    roc = Roc(tensor([[1.0, 1.0, 2.0]] * 2), tensor([[5.0, 5.0, 0.0]] * 2))
    value, error = roc.rejection(tensor([0.4, 0.75]))
    assert value.tolist() == [math.inf, 2.0]
    assert math.isnan(error[0])
    efficiency_error = roc.background_efficiency(tensor([0.75]))[1]
    assert float(error[1]) == pytest.approx(float(efficiency_error) / 0.25)


def test_an_absent_class_is_nan_and_does_not_spoil_others():
    signal = torch.stack([torch.zeros(2, 3), torch.ones(2, 3)], 1)  # (2, 2 curves, 3)
    roc = Roc(signal, torch.ones(2, 2, 3))
    assert math.isnan(roc.area[0])
    assert roc.area[1] == 0.5
    assert roc.rejection(tensor([0.5]))[0][:, 0].tolist() == pytest.approx(
        [math.nan, 2.0], nan_ok=True
    )


def test_negative_weights_do_not_break_a_curve():
    roc = Roc(
        tensor([[4.0, -1.0, 7.0], [4.0, 1.0, 7.0]]), tensor([[5.0, 5.0, -1.0], [5.0, 5.0, 1.0]])
    )
    value, error = roc.background_efficiency(tensor([0.3, 0.5, 0.7]))
    assert value.isfinite().all()
    assert error.isfinite().all()


def test_an_areas_error_has_the_weights_of_the_entries():
    generator = np.random.default_rng(6)
    signal, background = generator.normal(1, 1, 60), generator.normal(0, 1, 80)
    signal_weight, background_weight = generator.uniform(0.2, 3, 60), generator.uniform(0.2, 3, 80)
    above = (signal[:, None] > background[None, :]).astype(float)
    # the share of the other class that each entry beats, or is beaten by
    beaten = above @ background_weight / background_weight.sum()
    beating = signal_weight @ above / signal_weight.sum()
    area = signal_weight @ beaten / signal_weight.sum()
    variance = (signal_weight**2 @ (beaten - area) ** 2) / signal_weight.sum() ** 2
    variance += (background_weight**2 @ (beating - area) ** 2) / background_weight.sum() ** 2
    roc = Roc(histogram(signal, signal_weight), histogram(background, background_weight))
    assert float(roc.area) == pytest.approx(area, abs=1e-4)
    assert float(roc.area_error) == pytest.approx(math.sqrt(variance), rel=1e-3)


def test_nothing_has_no_effective_entries():
    assert effective_entries(torch.zeros(2, 3)).item() == 0


def test_where_negative_weights_make_a_curve_fall_its_first_crossing_counts():
    # passing from above: signal 0, 0.7, 0.6, 1 and background 0, -1, 4, 9 of 9
    roc = Roc(
        tensor([[4.0, -1.0, 7.0], [4.0, 1.0, 7.0]]), tensor([[5.0, 5.0, -1.0], [5.0, 5.0, 1.0]])
    )
    share, _ = roc.background_efficiency(tensor([0.65]))
    assert share.tolist() == pytest.approx([-1 / 9 * 0.65 / 0.7])
    # fewer than no background entries pass: the rejection is infinite, not negative
    assert roc.rejection(tensor([0.65]))[0].tolist() == [math.inf]


def test_the_error_of_a_weighted_efficiency_by_hand():
    # of weights 3 and 1, 1 passes: (3/4)^2 * 1 + (1/4)^2 * 9, over 4^2
    background = tensor([[3.0, 1.0], [9.0, 1.0]])
    _, error = Roc(1e12 * torch.ones(2, 2), background).background_efficiency(tensor([0.5]))
    assert float(error) == pytest.approx(math.sqrt((9 / 16 + 9 / 16) / 16), rel=1e-4)


def test_the_error_from_a_finite_signal_is_half_of_what_it_moves_the_curve_by():
    # 20 signal entries: the efficiency 0.5 has a deviation of sqrt(0.25 / 20) = 0.1118
    signal = torch.full((2, 2), 10.0)
    background = 1e12 * tensor([[3.0, 1.0], [3.0, 1.0]])
    share, error = Roc(signal, background).background_efficiency(tensor([0.5]))
    # the curve rises by 0.25 / 0.5 below that point, and by 0.75 / 0.5 above it
    deviation = math.sqrt(0.25 / 20)
    assert share.tolist() == pytest.approx([0.25])
    assert error.tolist() == pytest.approx([(0.5 + 1.5) * deviation / 2], rel=1e-4)


def test_a_threshold_of_one_sample_is_applied_to_another():
    # 3 of 4 in the upper bin: half of them, or the upper bin and half of the lower one
    thresholds = thresholds_at(tensor([[1.0, 3.0]] * 2), tensor([0.375, 0.875]))
    assert thresholds.border.tolist() == [0, 1]
    assert thresholds.part.tolist() == pytest.approx([0.5, 0.5])
    share, error = passing_share(tensor([[6.0, 2.0]] * 2), thresholds)
    assert share.tolist() == pytest.approx([0.125, 0.625])
    binomial = [math.sqrt(e * (1 - e) / 8) for e in (0.125, 0.625)]
    assert error.tolist() == pytest.approx(binomial)


def test_the_sample_that_sets_a_threshold_passes_it_as_asked():
    generator = torch.Generator().manual_seed(3)
    sums = torch.rand(2, 5, 40, generator=generator, dtype=torch.float64)
    grid = tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    share, _ = passing_share(sums, thresholds_at(sums, grid))
    assert share.numpy() == pytest.approx(np.broadcast_to([0.0, 0.3, 1.0], (5, 3)))


def test_an_empty_sample_sets_no_threshold():
    thresholds = thresholds_at(torch.zeros(2, 3), tensor([0.5]))
    share, error = passing_share(torch.ones(2, 3), thresholds)
    assert math.isnan(share.item())
    assert math.isnan(error.item())
