"""The YAML chooses the task."""

import dataclasses

import pytest

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, TaskChoice, Variable
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.metrics.direction import DIRECTIONS
from weaver_tt.tasks.registry import TASKS, make_task, task_options


def config(kind, task=None, names=("tag",)):
    """One label of a kind, or several."""
    group = InputGroup(name="jets", variables=(Variable(name="pt"),), length=4)
    value = {name: parse_expression(name, "test") for name in names}
    labels = {
        "simple": Labels(classes=value),
        "custom": Labels(targets=value),
        "per_object": Labels(object_targets={"jets": value}),
    }[kind]
    return DataConfig(source="c.yaml", text="", inputs={"jets": group}, labels=labels, task=task)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("simple", "classification"), ("custom", "regression"), ("per_object", "object_efficiency")],
)
def test_the_kind_of_labels_has_a_default_task(kind, name):
    assert make_task(config(kind)).name == name


def test_options_reach_the_task():
    task = make_task(
        config(
            "per_object",
            TaskChoice(name="object_efficiency", options={"mu": 3.0, "watch": "brier"}),
        )
    )
    assert task.mu == 3.0
    assert task.watch == ("brier", "min")


def test_the_loss_reaches_the_task():
    assert make_task(config("simple"), loss=min).loss is min
    assert make_task(config("simple", TaskChoice(name="classification")), loss=min).loss is min


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'regression'"):
        make_task(config("custom", TaskChoice(name="regresion")))
    with pytest.raises(ConfigError, match=r"unknown key 'muu'.*'mu'"):
        make_task(config("per_object", TaskChoice(name="object_efficiency", options={"muu": 1})))
    with pytest.raises(ConfigError, match="nothing to learn"):
        make_task(dataclasses.replace(config("custom"), labels=None))


def test_options_are_those_of_the_constructor():
    assert {name: task_options(task) for name, task in TASKS.items()} == {
        "classification": ["watch"],
        "object_efficiency": ["watch", "mu", "reduction", "object"],
        "regression": ["watch", "loss_function", "targets"],
        "hybrid": ["watch", "loss_function", "balance", "targets"],
        "density_ratio": ["watch", "object"],
    }


def test_a_metric_to_watch_must_exist():
    with pytest.raises(
        ConfigError, match=r"c\.yaml: task\.watch: there is no metric 'brie'; did you mean 'brier'"
    ):
        make_task(
            config("per_object", TaskChoice(name="object_efficiency", options={"watch": "brie"}))
        )


TWO_CLASSES = {
    "loss": "min",
    "accuracy": "max",
    "auc": "max",
    "rejection@0.3": "max",
    "rejection@0.5": "max",
    "rejection@0.7": "max",
    "calibration_error": "min",
}
THREE_CLASSES = {
    "loss": "min",
    "accuracy": "max",
    "auc": "max",
    "auc_ovo": "max",
    "calibration_error": "min",
    "auc_a": "max",
    "auc_b": "max",
    "auc_c": "max",
    **{f"rejection@{point}_{name}": "max" for point in (0.3, 0.5, 0.7) for name in "abc"},
}
ONE_EFFICIENCY = {
    "loss": "min",
    "efficiency": None,
    "tag_rate": None,
    "brier": "min",
    "log_loss": "min",
    "calibration_error": "min",
}
TWO_EFFICIENCIES = {
    "loss": "min",
    **{f"{name}_a": direction for name, direction in ONE_EFFICIENCY.items() if name != "loss"},
    **{f"{name}_b": direction for name, direction in ONE_EFFICIENCY.items() if name != "loss"},
}
ONE_VALUE = {
    "loss": "min",
    "mae": "min",
    "rmse": "min",
    "bias": "zero",
    "resolution": "min",
    "without_target": None,
}
TWO_VALUES = {
    "loss": "min",
    "without_target_a": None,
    "without_target_b": None,
    "loss_a": "min",
    "loss_b": "min",
    "resolution_a": "min",
    "resolution_b": "min",
    "mae_a": "min",
    "mae_b": "min",
    "rmse_a": "min",
    "rmse_b": "min",
    "bias_a": "zero",
    "bias_b": "zero",
}


@pytest.mark.parametrize(
    ("kind", "names", "directions"),
    [
        ("simple", "ab", TWO_CLASSES),
        ("simple", "abc", THREE_CLASSES),
        ("per_object", "a", ONE_EFFICIENCY),
        ("per_object", "ab", TWO_EFFICIENCIES),
        ("custom", "a", ONE_VALUE),
        ("custom", "ab", TWO_VALUES),
    ],
)
def test_every_metric_of_every_task_can_be_watched_where_it_is_best(kind, names, directions):
    task = make_task(config(kind, names=names))
    measured = {name for meter in task.meters() for name in meter.values(meter.totals() + 1)}
    assert measured == directions.keys()
    for metric, direction in directions.items():
        assert metric.startswith(tuple(DIRECTIONS))
        task.choose(metric)
        if direction is None:
            with pytest.raises(ConfigError, match=f"--watch: '{metric}' has no best value"):
                task.check_watch("--watch")
            continue
        task.check_watch("--watch")
        assert task.watch == (metric, direction)


def test_labels_of_several_kinds_need_a_task_of_their_own():
    labels = Labels(
        classes={name: parse_expression(name, "test") for name in "ab"},
        object_targets={"jets": {"tag": parse_expression("tag", "test")}},
    )
    mixed = dataclasses.replace(config("simple"), labels=labels)
    with pytest.raises(ConfigError, match="labels: simple and per_object of jets together need"):
        make_task(mixed)
