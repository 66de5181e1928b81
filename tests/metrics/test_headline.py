"""The few metrics that say most of a network."""

from weaver_tt.metrics.headline import headline_metrics, headline_values

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


def test_a_line_keeps_the_measured_order_of_the_loss_and_what_says_most():
    values = {"accuracy": 0.5, "auc_b": 0.25, "auc": 0.75, "loss": 1.0}
    assert list(headline_values(values, ["auc", "watched", "accuracy"]).items()) == [
        ("accuracy", 0.5),
        ("auc", 0.75),
        ("loss", 1.0),
    ]
    assert headline_values(values, []) == values
