"""The ratio of two samples, by hand."""

import math
from dataclasses import replace

import pytest
import torch
from torch import tensor

from weaver_tt.config.load import from_mapping
from weaver_tt.data.rows.batch import Batch
from weaver_tt.metrics.density_ratio import RatioMeter
from weaver_tt.network.normalisation import attach_normalisation
from weaver_tt.network.outputs import Activated
from weaver_tt.tasks.density_ratio import LOSSES, DensityRatio

SUMS = {"data": 30.0, "mc": 120.0}


def task(objects=False, **more):
    """The ratio of data over mc, whose classes are numbered the other way round."""
    labels = {"type": "simple", "value": ["mc", "data"]}
    if objects:
        labels = {"type": "per_object", "value": {"mc": "is_mc", "data": "is_data"}}
    values = {
        "inputs": {"jets": {"length": 2, "vars": [["pt", None]]}},
        "labels": labels,
        "task": {"name": "density_ratio", "numerator": "data", "sums": SUMS, **more},
    }
    return DensityRatio(from_mapping(values, "r.yaml"))


def rows(classes, weight=None):
    """Rows of these classes: 0 is mc, 1 is data."""
    numbers = tensor(classes)
    weight = None if weight is None else tensor(weight)
    return Batch({}, {}, {}, {"_label_": numbers}, weight=weight, size=len(numbers))


def score(of_task, ratios, classes, weight=None):
    return of_task.score(tensor(ratios).log()[:, None], rows(classes, weight))


@pytest.mark.parametrize(
    ("loss", "of_data", "of_mc"),
    [
        # the odds are the ratio 3: p = 3/4
        ("bce", -math.log(0.75), -math.log(0.25)),
        ("kl", -math.log(3), 3.0),
        ("lsif", -3.0, 4.5),
    ],
)
def test_each_sample_has_half_of_the_weight_of_the_training_data(loss, of_data, of_mc):
    # half of 150 is 2.5 times the sum of data, and 0.625 times that of mc
    of_task = task(loss=loss)
    losses = of_task.losses(score(of_task, [3.0, 3.0], [1, 0]))
    assert losses.tolist() == pytest.approx([2.5 * of_data, 0.625 * of_mc])


def test_a_ratio_is_judged_by_a_closure_in_the_inputs_that_predictions_have():
    files = ["p_data.root", "p_mc.root"]
    assert task().judge_command("net", files) == [
        *("closure", "p_data.root", "p_mc.root", "--variables", "VARIABLES", "-o", "closure")
    ]
    of_task = task()
    of_task.config = replace(of_task.config, observers=("event", "pt"))
    command = of_task.judge_command("net", files)
    assert command[3:5] == ["--variables", "pt"]


@pytest.mark.parametrize(
    ("loss", "of_data", "of_mc"),
    [("bce", -math.log(0.75), -math.log(0.25)), ("kl", -math.log(3), 3.0), ("lsif", -3.0, 4.5)],
)
def test_in_training_each_sample_has_half_of_the_weight_of_the_batch(loss, of_data, of_mc):
    of_task = task(loss=loss)
    logs = tensor([3.0, 3.0, 3.0]).log()[:, None].requires_grad_()
    losses = of_task.losses(of_task.score(logs, rows([1, 0, 0], [2.0, 9.0, -3.0])))
    # half of 8 is 2 times the sum of data, and 2/3 times that of mc
    expected = [2 * of_data, 2 / 3 * of_mc, 2 / 3 * of_mc]
    assert losses.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [[1, 0], [1, 1, 1, 0], [1, 0, 0, 0, 0]])
def test_how_many_rows_of_each_sample_a_batch_has_moves_no_ratio(loss, classes):
    of_task = task(loss=loss)
    shift = torch.zeros(1, requires_grad=True)
    scored = of_task.score(shift.expand(len(classes), 1), rows(classes))
    (of_task.losses(scored) * scored.weight).sum().backward()
    assert shift.grad.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_smallest_at_the_ratio_of_the_shapes(loss):
    """Two bins: 12 and 18 of data, 90 and 30 of mc, some with negative weights, for all losses.

    The densities are 0.4, 0.6 and 0.75, 0.25; their ratios 8/15 and 12/5.
    """
    weight = [15.0, -3.0, 18.0, 100.0, -10.0, 30.0]
    classes = [1, 1, 1, 0, 0, 0]
    bins = tensor([0, 0, 1, 0, 0, 1])
    logs = tensor([8 / 15, 12 / 5]).log().requires_grad_()
    of_task = task(loss=loss)
    scored = of_task.score(logs[bins][:, None], rows(classes, weight))
    (of_task.losses(scored) * scored.weight).sum().backward()
    torch.testing.assert_close(logs.grad, torch.zeros(2), atol=1e-4, rtol=0)


def test_what_leaves_is_the_ratio_in_its_normalisation():
    logs = tensor([[0.0], [math.log(2)]])
    assert task().activate(logs).flatten().tolist() == pytest.approx([1, 2])
    # yields: 30 / 120
    assert task(normalise="yield").activate(logs).flatten().tolist() == pytest.approx([0.25, 0.5])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("second", [-2.0, -3.0])
def test_a_batch_whose_weights_of_a_sample_add_up_to_0_or_less_is_left_out(loss, second):
    of_task = task(loss=loss)
    logs = torch.zeros(3, 1, requires_grad=True)
    scored = of_task.score(logs, rows([1, 0, 0], [1.0, 2.0, second]))
    losses = of_task.losses(scored)
    losses.sum().backward()
    assert not losses.any()
    assert not logs.grad.any()
    # of a validation, where all batches are added up, it counts
    assert of_task.losses(scored.detach()).any()
    fine = of_task.score(logs, rows([1, 0, 0], [1.0, 2.0, -1.0]))
    assert of_task.losses(fine).any()


def test_rows_of_no_class_have_a_ratio_and_do_not_count():
    of_task = task()
    scored = score(of_task, [1.0, 2.0, 4.0], [1, -100, 0])
    assert scored.target[[0, 2]].tolist() == [1, 0]
    assert scored.with_target().output.exp().flatten().tolist() == pytest.approx([1, 4])


def jets(**labels):
    """Two rows with two jets and one, beside padding."""
    mask = tensor([[True, True], [True, False]])
    return Batch(
        {"jets": torch.zeros(2, 1, 2)},
        {"jets": mask},
        {"jets": tensor([2, 1])},
        {name: tensor(values) for name, values in labels.items()},
        weight=tensor([2.0, -1.0]),
        size=2,
    )


def test_objects_of_neither_sample_do_not_count():
    of_task = task(objects=True)
    batch = jets(data=[[1.0, 0], [0, 9]], mc=[[0.0, 0], [1, 9]])
    scored = of_task.score(tensor([[[0.0, 1.0]], [[2.0, 9.0]]]), batch)
    assert scored.output.flatten().tolist() == [0, 1, 2]
    assert scored.target.tolist() == [1, 0, 0]
    assert scored.weight.tolist() == [2, 0, -1]
    columns = of_task.columns(replace(scored, output=of_task.activate(scored.output)))
    assert columns["jet_ratio"].tolist() == [
        pytest.approx([1, math.e]),
        pytest.approx([math.exp(2)]),
    ]
    assert columns["data"].tolist() == [[1, 0], [0]]


def test_an_ensemble_has_a_spread():
    of_task = task()
    output = Activated(tensor([[2.0]]), tensor([[0.5]]), None, None)
    columns = of_task.columns(of_task.score(output, rows([1])))
    assert columns["ratio"].tolist() == [2]
    assert columns["ratio_std"].tolist() == [0.5]


def test_folds_together_have_the_yields_of_all_of_them():
    folds = [task(normalise="yield"), task(normalise="yield", sums={"data": 70.0, "mc": 80.0})]
    together = folds[0].of_folds(folds)
    # 100 / 200, where the folds have 1/4 and 7/8
    assert together.remarks({"mean_ratio": 0.51, "mean_ratio_error": 0.01}) == []
    [remark] = folds[0].remarks({"mean_ratio": 0.51, "mean_ratio_error": 0.01})
    assert "from the 0.25 of" in remark


@pytest.mark.parametrize(("normalise", "expected"), [("unit", 1.0), ("yield", 0.25)])
def test_the_ratio_is_divided_by_its_mean_under_the_denominator(normalise, expected):
    of_task = task(normalise=normalise)
    module = torch.nn.Identity()
    attach_normalisation(module)
    logs = tensor([1.0, 3.0, 2.0, 5.0]).log()[:, None]
    batch = rows([0, 0, 0, 1], [3.0, -1.0, 2.0, 7.0])

    def measure():
        meter = RatioMeter()
        scored = of_task.score(module(logs), batch)
        meter.update(replace(scored, output=of_task.activate(scored.output)), None)
        return meter.values(meter.totals())

    # (3 * 1 - 1 * 3 + 2 * 2) / (3 - 1 + 2) = 1, in the normalisation; twice that before
    logs += math.log(2)
    before = measure()
    assert before["mean_ratio"] == pytest.approx(2 * expected)
    best = {"mean_ratio": 3.0, "mean_ratio_error": 0.5, "normalisation_error": 0.4, "auc": 0.7}
    completed = of_task.complete(module, before, best)
    assert module.ratio_normalisation.shift.item() == pytest.approx(-math.log(2))
    assert measure()["mean_ratio"] == pytest.approx(expected)
    assert completed == pytest.approx(
        {"mean_ratio": 1.5, "mean_ratio_error": 0.25, "normalisation_error": 0.2, "auc": 0.7}
    )
    # once more changes nothing
    assert of_task.complete(module, measure(), completed) == pytest.approx(completed)
    assert measure()["mean_ratio"] == pytest.approx(expected)


def test_a_mean_that_is_not_above_0_does_not_normalise(caplog):
    module = torch.nn.Identity()
    attach_normalisation(module)
    best = {"mean_ratio": -0.5}
    assert task().complete(module, best, best) == best
    assert module.ratio_normalisation.shift.item() == 0
    assert "under mc is -0.5: it is not normalised" in caplog.text


def test_what_is_remarked_allows_for_the_error_of_the_normalisation():
    # 0.05 are 5 of the errors of these rows, and 3.9 of both: sqrt(0.01^2 + 0.008^2) = 0.0128
    metrics = {"mean_ratio": 1.05, "mean_ratio_error": 0.01, "normalisation_error": 0.008}
    [remark] = task().remarks(metrics)
    assert "3.9 standard deviations" in remark
    # sqrt(0.01^2 + 0.015^2) = 0.018
    assert task().remarks({**metrics, "normalisation_error": 0.015}) == []


def test_a_mean_beyond_three_standard_deviations_is_remarked():
    metrics = {"mean_ratio": 0.22, "mean_ratio_error": 0.0101}
    assert task(normalise="yield").remarks(metrics) == []
    [remark] = task(normalise="yield").remarks({**metrics, "mean_ratio_error": 0.006})
    assert "0.22 ± 0.006, 5.0 standard deviations from the 0.25 of `normalise: yield`" in remark
    assert task().remarks({}) == []
