"""Classes and real targets together, by hand."""

import dataclasses
import math

import pytest
import torch
from torch import tensor

from weaver_tt.config.load import from_mapping
from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Target, TargetLoss, Variable
from weaver_tt.data.rows.batch import Batch
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.metrics.base import innermost
from weaver_tt.metrics.classification import ClassificationMeter
from weaver_tt.network.inputs import num_outputs
from weaver_tt.network.outputs import Activated
from weaver_tt.tasks.decorrelation_terms import squared_distance_correlation
from weaver_tt.tasks.hybrid import Hybrid
from weaver_tt.tasks.registry import make_task


def config(*targets, **of_target):
    """Classes a and b, and the ``targets``."""
    columns = {name: parse_expression(name, "test") for name in ("a", "b", *targets)}
    labels = Labels(
        classes={name: columns[name] for name in "ab"},
        targets={name: columns[name] for name in targets},
    )
    inputs = {"x": InputGroup(name="x", variables=(Variable(name="x"),))}
    return DataConfig(source="c.yaml", text="", inputs=inputs, labels=labels, targets=of_target)


def batch(size, **labels):
    return Batch({}, {}, {}, labels, size=size)


LABELS = {"_label_": tensor([0, 1]), "y": tensor([1.0, math.nan])}
# the first class is certain by a factor of 3 in the first row, and the second one in the second
OUTPUT = tensor([[math.log(3), 0.0, 3.0], [0.0, math.log(3), 9.0]])


def values_of(task, scored, losses=None):
    activated = dataclasses.replace(scored, output=task.activate(scored.output))
    values = {}
    for meter in task.meters():
        meter.update(activated, losses)
        values |= meter.values(meter.totals())
    return values


def test_classes_come_first_then_targets():
    quantiles = Target(losses=(TargetLoss(name="pinball", quantiles=(0.16, 0.84)),))
    task = Hybrid(config("y", "m", y=quantiles))
    assert task.value_names == ["a", "b", "y_q16", "y_q84", "m"]
    assert task.output_names == ["score_a", "score_b", "output_y_q16", "output_y_q84", "output_m"]
    assert num_outputs(task.config) == 5
    assert num_outputs(config("y", "y_mask")) == 3


def test_the_loss_is_the_cross_entropy_and_the_balance_times_that_of_the_targets():
    task = Hybrid(config("y"), loss_function="mae", balance=0.5)
    scored = task.score(OUTPUT, batch(2, **LABELS))
    # a probability of 3/4 each; the second row has no target
    entropy = -math.log(0.75)
    assert task.losses(scored).tolist() == pytest.approx([entropy + 0.5 * 2, entropy])
    assert scored.weight.tolist() == [1.0, 1.0]


def test_all_metrics_of_both_are_there_by_name():
    task = Hybrid(config("y"), loss_function="mae")
    scored = task.score(OUTPUT, batch(2, **LABELS))
    values = values_of(task, scored, task.losses(scored))
    assert values["accuracy"] == values["auc"] == 1.0
    assert values["mae_y"] == values["loss_y"] == values["bias_y"] == 2.0
    assert values["loss_classes"] == pytest.approx(-math.log(0.75))
    assert values["loss"] == pytest.approx(-math.log(0.75) + 1.0)
    for metric in ("auc", "mae_y", "loss_classes"):
        task.choose(metric)
        task.check_watch("--watch")


def test_a_row_without_a_class_counts_for_its_targets_alone():
    task = Hybrid(config("y"), loss_function="mae")
    labels = {"_label_": tensor([-100, 1]), "y": tensor([1.0, math.nan])}
    scored = task.score(OUTPUT, batch(2, **labels))
    assert task.losses(scored).tolist() == pytest.approx([2.0, -math.log(0.75)])
    values = values_of(task, scored)
    assert (values["accuracy"], values["mae_y"]) == (1.0, 2.0)
    nothing = task.score(OUTPUT[:1], batch(1, _label_=tensor([-100]), y=tensor([math.nan])))
    assert nothing.weight.tolist() == [0.0]
    assert len(nothing.with_target().output) == 0


def test_data_with_one_kind_of_labels_can_be_predicted():
    task = Hybrid(config("y"))
    spread = torch.zeros(2, 3)
    without_class = task.score(Activated(task.activate(OUTPUT), spread), batch(2, y=LABELS["y"]))
    names = ["score_a", "score_b", "output_y"]
    names += [f"{name}_std" for name in names]
    assert list(task.columns(without_class)) == [*names, "y"]
    without_target = task.score(OUTPUT, batch(2, _label_=LABELS["_label_"]))
    columns = task.columns(without_target)
    assert list(columns) == [*names[:3], "a", "b"]
    assert columns["a"].tolist() == [1, 0]
    assert values_of(task, without_target)["accuracy"] == 1.0
    assert list(task.columns(task.score(OUTPUT, batch(2)))) == names[:3]
    assert list(task.empty_columns()) == names[:3]


def test_rows_outside_of_a_window_keep_their_class():
    window = Target(window=parse_expression("y < 1", "test"), outside_counts=True)
    task = Hybrid(config("y", y=window), loss_function="mae")
    labels = {"_label_": tensor([0, 1]), "y": tensor([1.0, 9.0]), "y_valid": tensor([1.0, 0.0])}
    scored = task.score(OUTPUT, batch(2, **labels)).with_target()
    entropy = -math.log(0.75)
    assert task.losses(scored).tolist() == pytest.approx([entropy + 2, entropy])
    # in the mean loss of y the second row counts with 0
    assert values_of(task, scored)["loss_y"] == 1.0
    assert task.columns(scored)["y"].tolist() == [1.0, 9.0]


def test_an_own_loss_gets_the_class_and_then_each_outputs_target():
    seen = []

    def loss(output, label):
        seen.append((tuple(output.shape), label.tolist()))
        return output.sum(1)

    task = Hybrid(config("y"), loss=loss)
    scored = task.score(OUTPUT, batch(2, **LABELS))
    losses = task.losses(scored)
    # the second row lacks its target
    assert seen == [((1, 3), [[0.0, 1.0]])]
    assert losses.tolist() == pytest.approx([math.log(3) + 3, 0.0])
    assert scored.weight.tolist() == [1.0, 0.0]


def test_figures_are_those_of_both_parts():
    task = Hybrid(config("y"))
    scored = task.score(OUTPUT, batch(2, **LABELS))
    activated = dataclasses.replace(scored, output=task.activate(scored.output))
    meters = task.meters()
    for meter in meters:
        meter.update(activated, None)
    assert isinstance(innermost(meters[1]), ClassificationMeter)
    drawn = task.figures(meters, [meter.totals() for meter in meters])
    assert {"roc", "residuals_y", "response_y", "prediction_vs_target_y"} <= drawn.keys()


def test_labels_of_classes_and_targets_are_learnt_together_by_default():
    task = make_task(config("y"))
    assert isinstance(task, Hybrid)


def test_bad_choices_are_refused():
    with pytest.raises(ConfigError, match=r"task\.balance: 0; expected a number above 0"):
        Hybrid(config("y"), balance=0)
    with pytest.raises(ConfigError, match="hybrid needs labels of classes and of real targets"):
        Hybrid(config())
    with pytest.raises(ConfigError, match=r"expected \(1, 3\).*: a, b, y"):
        Hybrid(config("y")).score(torch.zeros(1, 2), batch(1))


DECORRELATE = {
    "variable": "mass",
    "method": "disco",
    "strength": 2,
    "classes": ["b"],
    "edges": [0, 1, 2, 3],
}


def decorrelated(method="disco", **more):
    values = {
        "inputs": {"jet": {"length": None, "vars": [["x", None]]}},
        "labels": [
            {"type": "simple", "value": ["a", "b"]},
            {"type": "custom", "value": {"y": "truth"}},
        ],
        "task": {"name": "hybrid", "decorrelate": {**DECORRELATE, "method": method, **more}},
    }
    return from_mapping(values, "h.yaml")


def jets_of_b():
    """Six jets, of which five are of class b, one without a target, and one without a class."""
    output = tensor([[2.0, 0, 1], [1, 0, 2], [0, 0, 3], [-1, 0, 4], [0, 3, 5], [9, 0, 6]])
    labels = {
        "_label_": tensor([1, 1, 1, 1, 0, -100]),
        "y": tensor([1.0, math.nan, 1, 1, 1, 1]),
    }
    mass = {"spectator:mass": tensor([2.5, 1.5, 1.0, 0.5, math.nan, math.nan])}
    return output, Batch({}, {}, {}, labels, monitors=mass, size=6)


@pytest.mark.parametrize("loss", [None, lambda output, label: output.sum()])
def test_scores_of_classes_are_decorrelated_whatever_is_known_of_targets(loss):
    output, entries = jets_of_b()
    task = Hybrid(decorrelated(), loss=loss)
    task.check_decorrelation()
    scored = task.score(output, entries).with_target()
    [(name, value)] = task.batch_loss(scored, entries).items()
    scores = output[:4, :2].softmax(1)[:, :1]
    expected = squared_distance_correlation(
        scores, entries.monitors["spectator:mass"][:4, None], torch.ones(4)
    )
    assert name == "disco"
    assert float(value) == pytest.approx(2 * float(expected), rel=1e-5)


def test_sculpting_is_measured_beside_the_metrics_of_classes_and_targets():
    output, entries = jets_of_b()
    task = Hybrid(decorrelated())
    values = values_of(task, task.score(output, entries))
    # the score of the jets of class b rises with their mass; its excess needs no hand work
    assert 0.9 < values["correlation"] < 1
    assert {"sculpting@0.5", "auc", "mae_y"} < values.keys()
    task.choose("auc - 0.5*sculpting@0.5")
    task.check_watch("--watch")


def test_an_adversary_is_trained_beside_a_hybrid():
    output, entries = jets_of_b()
    task = Hybrid(decorrelated("adversary", learning_rate=0.01))
    assert task.learning_rate == 0.01
    own = output.clone().requires_grad_()
    for parameter in task.modules.parameters():
        torch.nn.init.constant_(parameter, 0.1)
    task.follow(1.0, 0)
    task.batch_loss(task.score(own, entries), entries)["adversary"].backward()
    # neither outputs of targets nor jets of other classes have a part in it
    assert not own.grad[:, 2].any()
    assert not own.grad[4:].any()
    assert any(part.grad.any() for part in task.modules.parameters())
