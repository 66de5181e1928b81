"""What is said of a metric where its curve is shown."""

from weaver_tt.metrics.descriptions import DESCRIPTIONS, describe_metric


def test_a_metric_of_a_class_or_a_target_is_described_as_the_one_that_it_begins_with():
    assert describe_metric("rejection@0.5_top") == describe_metric("rejection")
    # by the longest name
    assert describe_metric("auc_ovo").startswith("mean over pairs of classes")
    assert describe_metric("auc_top") == describe_metric("auc")


def test_where_a_metric_is_best_stands_behind_it():
    assert describe_metric("accuracy").endswith("0 to 1; larger is better")
    assert describe_metric("brier").endswith("smaller is better")
    assert describe_metric("bias_pt").endswith("in the unit of the target; 0 is best")
    for name in ("efficiency", "coverage@0.16", "learning_rate", "data_wait", "mean_ratio"):
        assert describe_metric(name) == DESCRIPTIONS[name.partition("@")[0]]


def test_of_a_metric_of_ones_own_nothing_is_said():
    assert describe_metric("magnet") == ""
    assert describe_metric("author") == ""
