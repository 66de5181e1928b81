"""The YAML chooses the task."""

import dataclasses

import pytest

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, TaskChoice, Variable
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.tasks.registry import TASKS, make_task, task_options


def config(kind, task=None):
    """One label of a kind."""
    group = InputGroup(name="jets", variables=(Variable(name="pt"),), length=4)
    labels = Labels(
        kind=kind,
        value={"tag": parse_expression("tag", "test")},
        group="jets" if kind == "per_object" else None,
    )
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
        "regression": ["watch", "loss_function"],
    }


def test_a_metric_to_watch_must_exist():
    with pytest.raises(
        ConfigError, match=r"c\.yaml: task\.watch: there is no metric 'brie'; did you mean 'brier'"
    ):
        make_task(
            config("per_object", TaskChoice(name="object_efficiency", options={"watch": "brie"}))
        )
