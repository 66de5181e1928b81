"""What all tasks share."""

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import nn, tensor

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.data.rows.batch import Batch
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.metrics.base import LossMeter
from weaver_tt.network.outputs import Activated
from weaver_tt.tasks.base import check_shape, first_outputs, row_weight, split
from weaver_tt.tasks.classification import Classification


def classification(**options):
    """Two classes."""
    labels = Labels(classes={name: parse_expression(name, "test") for name in ("a", "b")})
    return Classification(
        DataConfig(
            source="c.yaml",
            text="",
            inputs={"x": InputGroup(name="x", variables=(Variable(name="x"),))},
            labels=labels,
        ),
        **options,
    )


BATCH = Batch({}, {}, {}, {"_label_": tensor([0, 1])}, size=2)
LOGITS = tensor([[2.0, 0.0], [1.0, 1.0]], requires_grad=True)


@pytest.mark.parametrize(
    ("reduction", "expected"), [("none", [0.1269, 0.6931]), ("mean", [0.4100, 0.4100])]
)
def test_the_network_files_loss_may_be_a_mean_or_one_value_an_entry(reduction, expected):
    task = classification(loss=nn.CrossEntropyLoss(reduction=reduction))
    assert task.losses(task.score(LOGITS, BATCH)).tolist() == pytest.approx(expected, abs=1e-4)


def test_a_loss_per_output_is_averaged_over_outputs():
    task = classification(loss=lambda output, target: output**2)
    assert task.losses(task.score(LOGITS, BATCH)).tolist() == [2.0, 1.0]


def test_a_loss_of_another_length_is_explained():
    task = classification(loss=lambda output, target: torch.zeros(7))
    with pytest.raises(ConfigError, match=r"get_loss: the loss has shape \(7,\).*2 entries"):
        task.losses(task.score(LOGITS, BATCH))


def test_a_users_own_error_passes_through():
    task = classification(loss=lambda output, target: output.no_such_thing)
    with pytest.raises(AttributeError, match="no_such_thing"):
        task.losses(task.score(LOGITS, BATCH))


def test_a_mean_over_an_empty_batch_has_zero_loss_and_gradient():
    task, logits = classification(loss=nn.CrossEntropyLoss()), torch.zeros(0, 2, requires_grad=True)
    losses = task.losses(
        task.score(
            logits, Batch({}, {}, {}, {"_label_": torch.zeros(0, dtype=torch.int64)}, size=0)
        )
    )
    losses.sum().backward()
    assert losses.shape == (0,)
    assert logits.grad.shape == (0, 2)


@pytest.mark.parametrize(
    ("metric", "direction"),
    [("loss", "min"), ("accuracy", "max"), ("auc_b", "max"), ("brier", "min")],
)
def test_the_watched_metric_knows_its_direction(metric, direction):
    assert classification(watch=metric).watch == (metric, direction)


class Gain(LossMeter):
    """A metric that only its own meter knows."""

    directions: ClassVar = {"gain": "max"}

    def values(self, totals):
        return {"gain": 1.0}


class Gaining(Classification):
    """Two classes, and a gain."""

    def meters(self):
        return [*super().meters(), Gain()]


def test_a_meter_of_ones_own_says_where_its_metric_is_best():
    task = Gaining(classification().config, watch="gain")
    task.check_watch("here")
    assert task.watch == ("gain", "max")
    task.choose("calibration_error")
    assert task.watch == ("calibration_error", "min")


def test_a_task_may_say_itself_where_its_metric_is_best():
    task = classification()
    task.watch = ("surprise", "zero")
    assert task.watch == ("surprise", "zero")
    assert task.watch[1].best([-2.0, 0.5, 1.0]) == 0.5


def test_small_helpers():
    assert split(LOGITS) == (LOGITS, None)
    assert split((LOGITS, None))[0] is LOGITS
    assert split({"a": LOGITS, "b": BATCH}, lambda output: output["a"] + 1)[0][0, 0] == 3.0
    assert row_weight(BATCH, LOGITS).tolist() == [1.0, 1.0]
    with pytest.raises(ConfigError, match=r"shape \(2, 2\); expected \(2, 3\).*a, b, c"):
        check_shape(LOGITS, (2, 3), ["a", "b", "c"])


def test_a_metric_that_nothing_measures_is_answered_with_the_nearest():
    task = classification()
    task.choose("accuracy")
    task.check_watch("--watch")
    assert task.watch == ("accuracy", "max")
    task.choose("acuracy")
    with pytest.raises(
        ConfigError, match="--watch: there is no metric 'acuracy'; did you mean 'accuracy'"
    ):
        task.check_watch("--watch")


def test_a_tasks_own_choice_of_outputs_reaches_score_ensembles_and_exports():
    class Joined(Classification):
        @property
        def output_names(self):
            return [*super().output_names, "mass"]

        def output_tensor(self, output):
            return torch.cat([output["classes"], output["mass"]], 1)

        def activate(self, output):
            return torch.cat([super().activate(output[:, :2]), 2 * output[:, 2:]], 1)

    plain = classification()
    task = Joined(plain.config)
    assert task.output_names == ["score_a", "score_b", "mass"]
    assert task.value_names == ["a", "b", "mass"]
    output = {"mass": torch.ones(2, 1), "classes": LOGITS}
    scored = task.score(output, BATCH)
    assert scored.output.tolist() == [[2.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    # the loss of the classes sees the classes alone
    assert torch.equal(task.losses(scored), plain.losses(plain.score(LOGITS, BATCH)))
    activated = task.activated_output(output)
    assert activated[1].tolist() == [0.5, 0.5, 2.0]
    assert task.score(Activated(activated), BATCH).output is activated


def test_a_loss_with_parameters_is_trained_and_one_without_is_not():
    class Learnt(nn.CrossEntropyLoss):
        def __init__(self):
            super().__init__()
            self.temperature = nn.Parameter(torch.ones(1))

    loss = Learnt()
    assert classification(loss=loss).modules is loss
    assert classification(loss=nn.CrossEntropyLoss()).modules is None
    assert classification().modules is None


def test_what_a_task_computes_with_moves_to_the_device():
    task = classification(loss=nn.CrossEntropyLoss(weight=torch.ones(2)))
    task.modules = nn.Linear(2, 1)
    task.to(torch.device("meta"))
    assert task.loss.weight.is_meta
    assert task.modules.weight.is_meta
    task.train(False)
    assert not task.modules.training


def test_the_first_outputs_are_all_of_them_where_nothing_is_appended():
    assert first_outputs(LOGITS, 2) is LOGITS
    assert first_outputs(LOGITS, 1).tolist() == [[2.0], [1.0]]


def test_a_direction_that_the_task_chose_is_kept_when_its_metric_is_looked_for():
    task = classification()
    task.watch = ("loss", "max")
    task.check_watch("here")
    assert task.watch == ("loss", "max")


def test_what_a_meter_says_of_its_metric_counts_before_what_the_name_says():
    class Bias(LossMeter):
        directions: ClassVar = {"bias": "min"}

        def values(self, totals):
            return {"bias": 1.0}

    class Biased(Classification):
        def meters(self):
            return [Bias()]

    assert Biased(classification().config, watch="bias").watch == ("bias", "min")


def test_a_loss_of_one_entry_for_several_is_explained_too():
    task = classification(loss=lambda output, target: torch.zeros(1))
    with pytest.raises(ConfigError, match=r"get_loss: the loss has shape \(1,\).*2 entries"):
        task.losses(task.score(LOGITS, BATCH))


def test_a_negative_event_weight_stays_negative():
    batch = Batch({}, {}, {}, {}, weight=tensor([2.0, -1.0]), size=2)
    assert row_weight(batch, LOGITS).tolist() == [2.0, -1.0]


def test_a_loss_that_has_no_value_without_entries_is_not_asked_for_one():
    task = classification(loss=lambda output, target: output.max())
    labels = {"_label_": torch.zeros(0, dtype=torch.int64)}
    scored = task.score(torch.zeros(0, 2), Batch({}, {}, {}, labels, size=0))
    assert task.losses(scored).shape == (0,)


@pytest.mark.parametrize(
    ("weight", "observers", "optional", "expected"),
    [
        ("genWeight", ("genWeight",), (), ["--weight-column", "genWeight"]),
        ("genWeight", (), ("genWeight",), ["--weight-column", "genWeight"]),
        # predictions do not have it, or only its parts
        ("genWeight", ("run",), (), []),
        ("genWeight * pileup", ("genWeight", "pileup"), (), []),
        (None, ("genWeight",), (), []),
    ],
)
def test_predictions_are_judged_with_the_event_weight_that_they_have(
    weight, observers, optional, expected
):
    task = classification()
    task.config = replace(
        task.config,
        event_weight=None if weight is None else parse_expression(weight, "test"),
        observers=observers,
        optional_observers=optional,
    )
    judged = task.judge_command("net", ["pred.root"])
    assert judged == ["report", "net:pred.root", *expected, "-o", "report"]
