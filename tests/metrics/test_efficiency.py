"""Metrics of efficiencies against numbers worked out by hand."""

import math

import pytest
from torch import tensor

from weaver_tt.metrics.efficiency import EfficiencyMeter


def test_efficiency_and_tag_rate_by_hand(scored, read):
    values = read(EfficiencyMeter(["tag"]), scored([[0.2], [0.6]], [[0.0], [1.0]]))
    assert values["efficiency"] == pytest.approx(0.4)
    assert values["tag_rate"] == 0.5
    assert values["brier"] == pytest.approx((0.04 + 0.16) / 2)
    assert values["log_loss"] == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    assert values["calibration_error"] == pytest.approx((0.2 + 0.4) / 2)


def test_efficiencies_count_by_event_weight_not_by_loss_weight(scored, read):
    batch = scored(
        [[0.2], [0.8]], [[0.0], [1.0]], weight=[9.0, 1.0], weight_of_row=tensor([1.0, 1.0])
    )
    batch.monitors["weight"] = batch.monitors.pop("weight_of_row")
    assert read(EfficiencyMeter(["tag"]), batch)["efficiency"] == pytest.approx(0.5)


def test_each_working_point_has_its_values(scored, read):
    values = read(EfficiencyMeter(["loose", "tight"]), scored([[0.8, 0.1]], [[1.0, 0.0]]))
    assert values["efficiency_loose"] == pytest.approx(0.8)
    assert values["tag_rate_tight"] == 0.0


def test_calibration_bins_are_filled_where_the_predictions_are(scored, read):
    meter = EfficiencyMeter(["tag"])
    read(meter, scored([[0.001], [0.5], [1.0]], [[0.0], [1.0], [1.0]]))
    counts = meter.blocks(meter.totals())["calibration"][0, 0]
    assert counts.nonzero().flatten().tolist() == [0, 10, 19]  # arcsin(sqrt(0.5)) is in the middle


def test_pt_and_flavour_find_their_bin(scored, read):
    meter = EfficiencyMeter(["tag"])
    pt, flavour = tensor([0.5, 100.0, 1e9]), tensor([5.0, -4.0, 0.0])
    read(meter, scored([[0.5]] * 3, [[1.0]] * 3, pt=pt, flavour=flavour))
    filled = meter.blocks(meter.totals())["pt"][0, 0].nonzero().tolist()
    assert filled == [[0, 0], [1, 16], [2, 31]]  # 100 is 2 decades above 1, at 8 bins a decade


def test_all_means_count_by_weight(scored, read):
    meter = EfficiencyMeter(["tag"])
    values = read(meter, scored([[0.2], [0.6]], [[0.0], [1.0]], weight=[3.0, 1.0]))
    assert values == pytest.approx(
        {
            "efficiency": (3 * 0.2 + 0.6) / 4,
            "tag_rate": 1 / 4,
            "brier": (3 * 0.04 + 0.16) / 4,
            "log_loss": -(3 * math.log(0.8) + math.log(0.6)) / 4,
            "calibration_error": (3 * 0.2 + 0.4) / 4,
        }
    )
    squares = meter.blocks(meter.totals())["calibration"][3, 0]
    assert squares[squares > 0].tolist() == [9.0, 1.0]


def test_errors_are_those_of_weighted_means_and_of_a_share_binomial(scored):
    meter = EfficiencyMeter(["tag"])
    meter.update(scored([[0.2], [0.6], [0.6]], [[0.0], [1.0], [1.0]], weight=[2.0, 1.0, 1.0]), None)
    errors = meter.errors(meter.totals())
    # means 0.4 and 0.5; sum w^2 (x - mean)^2 / (sum w)^2
    assert errors["efficiency"] == pytest.approx(math.sqrt(4 * 0.04 + 2 * 0.04) / 4)
    assert errors["tag_rate"] == pytest.approx(math.sqrt(4 * 0.25 + 2 * 0.25) / 4)
    # squared errors 0.04 and 0.16
    assert errors["brier"] == pytest.approx(math.sqrt(6 * 0.06**2) / 4)
    assert errors.keys() == {"efficiency", "tag_rate", "brier", "log_loss"}


def test_a_certain_prediction_that_is_wrong_loses_as_much_as_one_in_ten_million(scored, read):
    values = read(EfficiencyMeter(["tag"]), scored([[0.0], [1.0]], [[1.0], [0.0]]))
    assert values["log_loss"] == pytest.approx(7 * math.log(10))


def test_each_working_point_fills_histograms_of_its_own(scored, read):
    meter = EfficiencyMeter(["loose", "tight"])
    monitors = {"pt": tensor([10.0]), "flavour": tensor([4.0])}
    values = read(meter, scored([[0.5, 0.001]], [[1.0, 0.0]], **monitors))
    blocks = meter.blocks(meter.totals())
    assert blocks["calibration"][0].nonzero().tolist() == [[0, 10], [1, 0]]
    assert blocks["pt"][0].nonzero().tolist() == [[0, 1, 8], [1, 1, 8]]
    assert values["calibration_error_loose"] == pytest.approx(0.5)
    assert values["calibration_error_tight"] == pytest.approx(0.001)


def test_flavours_are_rounded_and_without_any_all_are_others(scored, read):
    # as a network's input, scaled and back in single precision
    flavour = tensor([4.9999995, -3.9999998])
    meter = EfficiencyMeter(["tag"])
    read(meter, scored([[0.5]] * 2, [[1.0]] * 2, pt=tensor([10.0, 10.0]), flavour=flavour))
    assert meter.blocks(meter.totals())["pt"][0, 0].nonzero().tolist() == [[0, 8], [1, 8]]
    meter = EfficiencyMeter(["tag"])
    read(meter, scored([[0.5]], [[1.0]], pt=tensor([10.0])))
    assert meter.blocks(meter.totals())["pt"][0, 0].nonzero().tolist() == [[2, 8]]


def test_the_tag_rate_counts_by_weight(scored, read):
    values = read(EfficiencyMeter(["tag"]), scored([[0.5]] * 2, [[1.0], [0.0]], weight=[3.0, 1.0]))
    assert values["tag_rate"] == 3 / 4


def test_a_tag_that_is_unknown_counts_for_its_own_label_no_more(scored, read):
    batch = scored([[0.2, 0.4], [0.6, 0.8]], [[math.nan, 0.0], [1.0, 1.0]])
    meter = EfficiencyMeter(["loose", "tight"])
    values = read(meter, batch)
    assert values["efficiency_loose"] == pytest.approx(0.6)
    assert values["log_loss_loose"] == pytest.approx(-math.log(0.6))
    assert values["efficiency_tight"] == pytest.approx(0.6)
    assert values["calibration_error_loose"] == pytest.approx(0.4)
