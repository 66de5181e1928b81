"""What trials are compared by: numbers of the best epoch, by hand."""

import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.errors import ConfigError, TrainingError
from weaver_tt.metrics.direction import Direction
from weaver_tt.run.tune_goals import find_goals, goal_values, measured_metric
from weaver_tt.tasks.registry import make_task

MAX = Direction.MAX


def task_of(*classes):
    return make_task(
        from_mapping(
            {
                "inputs": {"jet": {"vars": ["pt"]}},
                "labels": {"type": "simple", "value": list(classes)},
            }
        )
    )


def test_the_ant_factor_is_a_rejection_at_30_percent_for_each_parameter():
    best = [{"auc": 0.9, "rejection@0.3": 500.0}]
    assert goal_values(best, {"auc": MAX, "ant": MAX}, 2000) == [0.9, 0.25]


def test_the_networks_of_a_trial_count_with_their_mean():
    best = [{"rejection@0.3": 500.0}, {"rejection@0.3": 300.0}]
    assert goal_values(best, {"ant": MAX}, 2000) == [0.2]


def test_what_is_best_at_zero_counts_with_its_size():
    assert goal_values([{"bias": -0.5}, {"bias": 0.3}], {"bias": Direction.ZERO}) == [0.4]


def test_a_sum_of_metrics_is_a_goal():
    goals = find_goals(["auc - 0.5*loss"], task_of("top", "qcd"))
    assert goal_values([{"auc": 0.9, "loss": 0.2}], goals) == [pytest.approx(0.8)]


def test_of_several_classes_each_has_an_ant_factor():
    assert measured_metric("ant_top") == "rejection@0.3_top"
    assert measured_metric("antique") == "antique"
    task = task_of("top", "w", "qcd")
    assert find_goals(["ant_top", "loss"], task) == {"ant_top": MAX, "loss": Direction.MIN}
    message = r"--metric ant: is rejection@0\.3 / parameters, and there is no metric"
    with pytest.raises(ConfigError, match=message):
        find_goals(["ant"], task)


def test_what_has_no_best_value_is_no_goal():
    with pytest.raises(ConfigError, match="there is no metric 'auk'; did you mean 'auc'"):
        find_goals(["auk"], task_of("top", "qcd"))


@pytest.mark.parametrize(
    ("best", "parameters", "message"),
    [
        (
            {"rejection@0.3": None},
            3,
            r"rejection@0\.3 is infinite or not defined: validate",
        ),
        ({"rejection@0.3": 5.0}, None, "number of trainable parameters is not known"),
        ({"rejection@0.3": 5.0}, 0, "number of trainable parameters is not known, or 0"),
        ({"auc": 0.5}, 3, r"--metric ant: there is no metric 'rejection@0\.3'"),
    ],
)
def test_a_goal_without_a_value_says_why(best, parameters, message):
    with pytest.raises((ConfigError, TrainingError), match=message):
        goal_values([best], {"ant": MAX}, parameters)
