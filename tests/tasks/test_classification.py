"""Classification, by hand."""

import math
from dataclasses import replace

import pytest
import torch
from torch import tensor

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.data.rows.batch import Batch
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.metrics.base import LossMeter, Scored
from weaver_tt.metrics.classification import ClassificationMeter
from weaver_tt.network.outputs import Activated
from weaver_tt.tasks.classification import Classification


def config(kind="classes"):
    """A YAML with labels light, c, b, which are classes or targets."""
    labels = Labels(
        **{kind: {name: parse_expression(name, "test") for name in ("light", "c", "b")}}
    )
    return DataConfig(
        source="c.yaml",
        text="",
        inputs={"x": InputGroup(name="x", variables=(Variable(name="x"),))},
        labels=labels,
    )


TASK = Classification(config())
EVEN = torch.zeros(2, 3)


def batch(**more):
    """Two rows: a light and a b jet."""
    return Batch({}, {}, {}, {"_label_": tensor([0, 2])}, size=2, **more)


def test_even_logits_lose_log_of_the_number_of_classes():
    assert TASK.losses(TASK.score(EVEN, batch())).tolist() == pytest.approx([math.log(3)] * 2)


def test_event_weights_count():
    assert TASK.score(EVEN, batch(weight=tensor([2.0, -1.0]))).weight.tolist() == [2.0, -1.0]


def test_columns_are_scores_and_true_classes():
    scored = TASK.score(Activated(EVEN.softmax(1), torch.full((2, 3), 0.1)), batch())
    columns = TASK.columns(scored)
    assert columns["score_b"].tolist() == pytest.approx([1 / 3] * 2)
    assert columns["score_light_std"].tolist() == pytest.approx([0.1] * 2)
    assert (columns["light"].tolist(), columns["b"].tolist()) == ([1, 0], [0, 1])
    assert TASK.output_names == ["score_light", "score_c", "score_b"]


def figures_of(task, *batches):
    """Names of the figures that ``task`` draws of these batches of even logits."""
    meters = task.meters()
    for entries in batches:
        scored = replace(task.score(EVEN, entries), output=task.activate(EVEN))
        for meter in meters:
            meter.update(scored, None)
    return set(task.figures(meters, [meter.totals() for meter in meters]))


def test_figures_of_two_and_of_more_classes():
    drawn = {"roc", "scores", "calibration", "confusion"}
    assert figures_of(TASK) == set()
    assert figures_of(TASK, batch()) == drawn | {"auc_one_vs_one"}
    meter = ClassificationMeter(["a", "b"])
    assert TASK.figures([meter], [meter.totals()]) == {}
    meter.update(Scored(tensor([[0.9, 0.1]]), tensor([0]), torch.ones(1), torch.ones(1)), None)
    assert set(TASK.figures([meter], [meter.totals()])) == drawn


def test_a_task_of_ones_own_keeps_the_figures_of_its_base():
    class Counted(Classification):
        """Classes, and the mean weight of the rows."""

        def meters(self):
            return [LossMeter(), *super().meters()]

        def figures(self, meters, totals):
            return super().figures(meters, totals) | {"counts": None}

    assert figures_of(Counted(config()), batch()) >= {"roc", "counts"}


def test_data_without_labels_can_be_predicted():
    scored = TASK.score(EVEN, Batch({}, {}, {}, {}, size=2))
    assert scored.target is None
    assert list(TASK.columns(scored)) == TASK.output_names


def test_activation_is_softmax_over_classes():
    assert TASK.activate(tensor([[0.0, math.log(3.0), 0.0]])).tolist() == [
        pytest.approx([0.2, 0.6, 0.2])
    ]


def test_a_network_with_too_few_outputs_is_refused():
    with pytest.raises(ConfigError, match="light, c, b"):
        TASK.score(torch.zeros(2, 2), batch())


def test_other_labels_are_refused():
    with pytest.raises(ConfigError, match="simple"):
        Classification(config("targets"))


def test_meters_say_loss_accuracy_areas():
    names = [name for meter in TASK.meters() for name in meter.values(meter.totals() + 1)]
    assert names[:8] == [
        "loss",
        "accuracy",
        "auc",
        "auc_ovo",
        "calibration_error",
        "auc_light",
        "auc_c",
        "auc_b",
    ]
    assert {name.split("_")[0] for name in names[8:]} == {
        "rejection@0.3",
        "rejection@0.5",
        "rejection@0.7",
    }


def test_a_rejection_to_watch_names_its_signal():
    task = Classification(config(), watch="rejection@0.5_b")
    task.check_watch("here")
    assert task.watch == ("rejection@0.5_b", "max")
    task.choose("rejection@0.5")
    with pytest.raises(
        ConfigError, match=r"here: there is no metric 'rejection@0.5'; did you mean 'rejection@0.5_"
    ):
        task.check_watch("here")


def test_each_row_of_a_batch_is_one_object():
    assert TASK.score(EVEN, batch()).counts.tolist() == [1, 1]
