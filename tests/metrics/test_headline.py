"""The few metrics that say most of a network."""

import torch

from weaver_tt.metrics.base import LossMeter, SumMeter
from weaver_tt.metrics.headline import headline_metrics, headline_values, own_metrics

TWO_CLASSES = ["loss", "accuracy", "auc", "rejection@0.3", "rejection@0.5", "calibration_error"]


def test_a_tagger_has_its_area_accuracy_and_rejection():
    assert headline_metrics(TWO_CLASSES) == ["auc", "accuracy", "rejection@0.5"]


def test_what_is_watched_comes_first_and_the_loss_is_not_among_them():
    assert headline_metrics(TWO_CLASSES, ["loss"]) == headline_metrics(TWO_CLASSES)
    assert headline_metrics(TWO_CLASSES, ["rejection@0.3", "loss"]) == [
        "rejection@0.3",
        "auc",
        "accuracy",
    ]


def test_a_metric_of_single_labels_stands_where_there_is_none_of_all():
    measured = ["loss", "auc", "auc_b", "auc_c", "rejection@0.5_b", "accuracy"]
    assert headline_metrics(measured) == ["auc", "accuracy", "rejection@0.5_b"]
    of_targets = ["mae_pt", "resolution_pt", "bias_pt", "mae_mass", "resolution_mass", "bias_mass"]
    assert headline_metrics(of_targets) == ["resolution_pt", "resolution_mass", "bias_pt"]


def test_metrics_of_a_users_own_fill_up_but_not_those_without_a_best_value():
    assert headline_metrics(["loss", "gain", "efficiency", "brier"]) == ["brier", "gain"]


def test_a_users_own_come_after_the_watched_one_and_are_never_cut_for_ours():
    measured = [*TWO_CLASSES, "gain", "gap", "tail", "width"]
    assert headline_metrics(measured, ["auc"], ["gain"]) == ["auc", "gain", "accuracy"]
    assert headline_metrics(measured, ["gain"], ["gain"]) == ["gain", "auc", "accuracy"]
    assert headline_metrics(measured, ["auc"], ["gain", "gap", "tail", "width"]) == [
        *("auc", "gain", "gap", "tail", "width"),
    ]
    many = [f"bin_{number}" for number in range(100)]
    assert headline_metrics([*measured, *many], (), many) == many[:6]


class Gap(SumMeter):
    """A user's own; the beginning of its name is that of a metric without a best value."""

    def __init__(self):
        super().__init__(sums=(2,))

    def update(self, scored, losses):
        """Nothing to add."""

    def values(self, totals):
        return {"efficiency_gap": float(totals[0])}


class LossAndGain(LossMeter):
    """One of ours with something of a user's own."""

    def values(self, totals):
        return super().values(totals) | {"loss_of_taus": 1.0, "gain": 2.0}


def test_what_a_users_meter_adds_to_ours_is_the_users_own():
    for meter, own in {LossMeter(): [], Gap(): ["efficiency_gap"], LossAndGain(): ["gain"]}.items():
        assert own_metrics(meter, list(meter.values(torch.ones(2)))) == own


def test_a_line_keeps_the_measured_order_of_the_loss_and_what_says_most():
    values = {"accuracy": 0.5, "auc_b": 0.25, "auc": 0.75, "loss": 1.0}
    assert list(headline_values(values, ["auc", "watched", "accuracy"]).items()) == [
        ("accuracy", 0.5),
        ("auc", 0.75),
        ("loss", 1.0),
    ]
    assert headline_values(values, []) == values
