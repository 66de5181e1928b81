"""Meters against numbers worked out by hand, and laws of sums."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor

from weaver_tt.metrics import ClassificationMeter, EfficiencyMeter, LossMeter, Meter, RegressionMeter, Scored, area_under_curve


def scored(output, target, weight=None, **monitors):
    """Entries of as many rows."""
    output, target = torch.as_tensor(output), torch.as_tensor(target)
    weight = torch.ones(len(output)) if weight is None else torch.as_tensor(weight)
    return Scored(output, target, weight, counts=torch.ones(len(output), dtype=torch.int64), monitors=monitors)


def read(meter: Meter, *batches, losses=None):
    """Values after all batches."""
    for batch in batches:
        meter.update(batch, losses)
    return meter.values(meter.totals())


def test_loss_is_divided_by_the_sum_of_absolute_weights():
    meter = LossMeter()
    meter.update(scored([[0.0], [0.0]], [0, 0], weight=[2.0, -1.0]), tensor([1.0, 0.5]))
    assert meter.values(meter.totals()) == {"loss": pytest.approx((2 - 0.5) / 3)}


def test_loss_is_a_mean_over_entries_not_over_batches():
    meter = LossMeter()
    meter.update(scored([[0.0]], [0]), tensor([4.0]))
    meter.update(scored([[0.0]] * 3, [0] * 3), tensor([0.0, 0.0, 0.0]))
    assert meter.values(meter.totals())["loss"] == 1.0


@pytest.mark.parametrize("meter", [LossMeter(), ClassificationMeter(["a", "b"]), EfficiencyMeter(["tag"]), RegressionMeter(["x"])])
def test_a_meter_that_saw_nothing_says_nothing(meter):
    assert meter.values(meter.totals()) == {}


def test_networks_that_give_activated_outputs_have_no_loss():
    assert read(LossMeter(), scored([[0.5]], [1])) == {}


def test_accuracy_by_hand():
    probabilities = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]
    assert read(ClassificationMeter(["a", "b"]), scored(probabilities, [0, 1, 1, 1], weight=[1.0, 1.0, 2.0, 1.0]))["accuracy"] == pytest.approx(3 / 5)


def test_area_under_the_curve_equals_counting_pairs():
    generator = np.random.default_rng(1)
    score, signal = generator.uniform(0.02, 0.98, 300), generator.random(300) < 0.4
    score[signal] = score[signal] ** 0.5
    pairs = (score[signal][:, None] > score[~signal][None, :]).mean()
    batch = scored(np.stack([1 - score, score], 1).astype(np.float32), signal.astype(np.int64))
    assert read(ClassificationMeter(["rest", "signal"]), batch)["auc"] == pytest.approx(pairs, abs=0.005)


def test_equal_scores_are_half_a_win():
    assert area_under_curve(tensor([0.0, 1.0]), tensor([0.0, 1.0])) == 0.5
    assert area_under_curve(tensor([1.0, 0.0]), tensor([0.0, 1.0])) == 1.0


def test_several_classes_have_an_area_each():
    values = read(ClassificationMeter(["a", "b", "c"]), scored([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], [0, 1, 2]))
    assert values == {"accuracy": 1.0, "auc": 1.0, "auc_a": 1.0, "auc_b": 1.0, "auc_c": 1.0}


def test_a_class_that_never_occurs_does_not_spoil_the_mean_area():
    values = read(ClassificationMeter(["a", "b", "never"]), scored([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]], [0, 1]))
    assert values["auc"] == 1.0
    assert math.isnan(values["auc_never"])


def test_efficiency_and_tag_rate_by_hand():
    values = read(EfficiencyMeter(["tag"]), scored([[0.2], [0.6]], [[0.0], [1.0]]))
    assert values["efficiency"] == pytest.approx(0.4)
    assert values["tag_rate"] == 0.5
    assert values["brier"] == pytest.approx((0.04 + 0.16) / 2)
    assert values["log_loss"] == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    assert values["calibration_error"] == pytest.approx((0.2 + 0.4) / 2)


def test_efficiencies_count_by_event_weight_not_by_loss_weight():
    batch = scored([[0.2], [0.8]], [[0.0], [1.0]], weight=[9.0, 1.0], weight_of_row=tensor([1.0, 1.0]))
    batch.monitors["weight"] = batch.monitors.pop("weight_of_row")
    assert read(EfficiencyMeter(["tag"]), batch)["efficiency"] == pytest.approx(0.5)


def test_each_working_point_has_its_values():
    values = read(EfficiencyMeter(["loose", "tight"]), scored([[0.8, 0.1]], [[1.0, 0.0]]))
    assert values["efficiency_loose"] == pytest.approx(0.8)
    assert values["tag_rate_tight"] == 0.0


def test_calibration_bins_are_filled_where_the_predictions_are():
    meter = EfficiencyMeter(["tag"])
    read(meter, scored([[0.001], [0.5], [1.0]], [[0.0], [1.0], [1.0]]))
    counts = meter.blocks(meter.totals())["calibration"][0, 0]
    assert counts.nonzero().flatten().tolist() == [0, 10, 19]  # arcsin(sqrt(0.5)) is in the middle


def test_pt_and_flavour_find_their_bin():
    meter = EfficiencyMeter(["tag"])
    pt, flavour = tensor([0.5, 100.0, 1e9]), tensor([5.0, -4.0, 0.0])
    read(meter, scored([[0.5]] * 3, [[1.0]] * 3, pt=pt, flavour=flavour))
    filled = meter.blocks(meter.totals())["pt"][0, 0].nonzero().tolist()
    assert filled == [[0, 0], [1, 16], [2, 31]]  # 100 is 2 decades above 1, at 8 bins a decade


def test_nan_outputs_do_not_break_a_meter():
    nan = math.nan
    assert read(EfficiencyMeter(["tag"]), scored([[nan]], [[1.0]], pt=tensor([nan])))["tag_rate"] == 1.0
    assert read(ClassificationMeter(["a", "b"]), scored([[nan, nan]], [1]))["accuracy"] in (0.0, 1.0)


def test_regression_by_hand():
    values = read(RegressionMeter(["x"]), scored([[1.0], [5.0]], [[0.0], [2.0]]))
    assert values == {"mae": 2.0, "rmse": pytest.approx(math.sqrt(5.0)), "bias": 2.0}


def test_masked_targets_do_not_count():
    values = read(RegressionMeter(["x", "y"]), scored([[1.0, 7.0], [3.0, 1.0]], [[0.0, math.nan], [0.0, 0.0]]))
    assert (values["mae_x"], values["mae_y"]) == (2.0, 1.0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.booleans(), st.floats(0.1, 3.0)), min_size=2, max_size=20), st.data())
def test_totals_of_parts_add_up_to_totals_of_the_whole(entries, data):
    cut = data.draw(st.integers(1, len(entries) - 1))

    def make(rows):
        return scored([[p] for p, _, _ in rows], [[float(t)] for _, t, _ in rows], [w for _, _, w in rows])

    whole, first, second = (EfficiencyMeter(["tag"]) for _ in range(3))
    whole.update(make(entries), None)
    first.update(make(entries[:cut]), None)
    second.update(make(entries[cut:]), None)
    torch.testing.assert_close(first.totals() + second.totals(), whole.totals())


def test_a_restored_meter_goes_on_where_it_was():
    meter, later = RegressionMeter(["x"]), RegressionMeter(["x"])
    meter.update(scored([[1.0]], [[0.0]]), None)
    later.restore(meter.totals())
    assert read(later, scored([[3.0]], [[0.0]]))["mae"] == 2.0
    with pytest.raises(ValueError, match="has 4 sums, was given 2"):
        later.restore(torch.zeros(2))


def test_figures_are_drawn_from_totals():
    meter = EfficiencyMeter(["tag"])
    read(meter, scored([[0.5]] * 2, [[1.0], [0.0]], pt=tensor([50.0, 60.0])))
    assert set(meter.figures(meter.totals())) == {"calibration", "efficiency_vs_pt"}
    classes = ClassificationMeter(["a", "b"])
    read(classes, scored([[0.9, 0.1]], [0]))
    assert set(classes.figures(classes.totals())) == {"confusion"}
