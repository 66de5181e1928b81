"""One loop for all uses."""

import math

import pytest
import torch
from torch import nn, tensor

from weaver_tt.config.schema import NO_CLASS, DataConfig, InputGroup, Labels, Variable
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.loop import EpochMetrics, Pass, TimedBatches, run_epoch, run_together
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.density_ratio import RatioMeter
from weaver_tt.metrics.regression import RegressionMeter
from weaver_tt.network.outputs import Activated
from weaver_tt.tasks.classification import Classification
from weaver_tt.tasks.regression import Regression

CONFIG = DataConfig(
    source="c.yaml",
    text="",
    inputs={"x": InputGroup(name="x", variables=(Variable(name="x"),))},
    labels=Labels(targets={"y": parse_expression("y", "test")}),
)
TASK = Regression(CONFIG, loss_function="mse")


class Doubles:
    """A network that doubles its input."""

    activated = False

    def __init__(self):
        self.layer = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.layer.weight, 2.0)

    def __call__(self, inputs):
        return self.layer(inputs["x"])


class AlreadyActivated:
    """An ensemble, or ONNX Runtime."""

    activated = True

    def __call__(self, inputs):
        return Activated(2 * inputs["x"], torch.full_like(inputs["x"], 0.5))


def batches(labels=True):
    """Three rows, then one."""
    for values in ([1.0, 2.0, 3.0], [4.0]):
        y = {"y": torch.zeros(len(values))} if labels else {}
        yield Batch(
            {"x": tensor(values)[:, None]}, {}, {}, y, size=len(values), observers={"run": values}
        )


def test_metrics_are_over_rows_not_over_batches():
    outcome = run_epoch(Doubles(), TASK, batches())
    assert outcome["loss"] == pytest.approx((4 + 16 + 36 + 64) / 4)
    assert outcome["mae"] == 5.0
    assert "residuals" in TASK.figures(outcome.meters, outcome.totals)


def test_several_networks_walk_over_the_same_batches_once():
    """One doubles its input, the other halves it: mean squares of 2x and x / 2, x = 1 ... 4."""
    halves = Doubles()
    nn.init.constant_(halves.layer.weight, 0.5)
    passes = [Pass(network, TASK) for network in (Doubles(), halves)]
    read = []

    def reading():
        for batch in batches():
            read.append(batch.size)
            yield batch

    run_together(passes, reading())
    assert read == [3, 1]
    losses = [each.metrics()["loss"] for each in passes]
    assert losses == pytest.approx([30.0, 30 / 16])


def test_a_network_that_changes_what_others_see_is_refused():
    class Changes(Doubles):
        def __call__(self, inputs):
            inputs["x"] *= 2
            return super().__call__(inputs)

    for networks in ([Doubles(), Changes()], [Changes()]):
        run_together([Pass(network, TASK) for network in networks], batches())
    with pytest.raises(ConfigError, match="changes its input 'x' in place"):
        run_together([Pass(network, TASK) for network in (Changes(), Doubles())], batches())


def test_update_gets_losses_with_a_graph_and_nothing_else_does():
    seen = []
    run_epoch(
        Doubles(),
        TASK,
        batches(),
        update=lambda losses, scored, batch: seen.append((losses.requires_grad, batch.size)),
    )
    assert seen == [(True, 3), (True, 1)]
    run_epoch(
        Doubles(), TASK, batches(), write=lambda columns: seen.append(torch.is_grad_enabled())
    )
    assert seen[2:] == [True, True]  # outside of the step gradients are as the caller had them


def test_columns_and_observers_are_written():
    written = []
    run_epoch(Doubles(), TASK, batches(), write=written.append)
    assert written[1]["output_y"].tolist() == [8.0]
    assert written[0]["run"] == [1.0, 2.0, 3.0]


def test_activated_networks_have_metrics_but_no_loss():
    written = []
    outcome = run_epoch(AlreadyActivated(), TASK, batches(), write=written.append)
    assert "loss" not in outcome
    assert (outcome["mae"], outcome["bias"]) == (5.0, 5.0)
    assert outcome["rmse"] == pytest.approx(math.sqrt(30.0))
    assert written[1]["output_y_std"].tolist() == [0.5]


def test_data_without_labels_are_predicted_without_metrics():
    written = []
    assert run_epoch(Doubles(), TASK, batches(labels=False), write=written.append) == {}
    assert len(written) == 2


def test_training_without_labels_is_refused():
    with pytest.raises(ConfigError, match="labels y"):
        run_epoch(Doubles(), TASK, batches(labels=False), update=lambda *_: None)


def test_of_several_outputs_the_default_tasks_take_the_first():
    network, whole = Doubles(), run_epoch(Doubles(), TASK, batches())
    layer = network.layer
    for several in (
        lambda x: (layer(x), "attention"),
        lambda x: [layer(x), x, x],
        lambda x: {"value": layer(x), "hidden": x},
    ):
        network.layer = several
        assert run_epoch(network, TASK, batches()) == whole


def test_a_network_must_give_a_tensor():
    network = Doubles()
    network.layer = lambda x: {"logits": "none", "hidden": x}
    with pytest.raises(ConfigError, match="returns a dict that begins with a str; expected a ten"):
        run_epoch(network, TASK, batches())


def test_a_task_gets_all_that_the_module_returned():
    class Both(Regression):
        def score(self, output, batch):
            assert sorted(output) == ["pair", "value"]
            assert output["pair"][0].dtype == torch.float32
            return super().score(output["value"] + output["pair"][1], batch)

    network = Doubles()
    layer = network.layer
    network.layer = lambda x: {"value": layer(x), "pair": (layer(x), -x)}
    with torch.no_grad():
        outcome = run_epoch(network, Both(CONFIG), batches(), amp=torch.bfloat16)
    assert outcome["mae"] == 2.5  # 2 x - x


def test_losses_are_float32_under_bf16():
    kinds = []
    run_epoch(
        Doubles(),
        TASK,
        batches(),
        update=lambda losses, scored, batch: kinds.append((losses.dtype, scored.output.dtype)),
        amp=torch.bfloat16,
    )
    assert set(kinds) == {(torch.float32, torch.float32)}


def test_meters_go_on_from_an_interrupted_epoch():
    meters, fresh = TASK.meters(), TASK.meters()
    first, second = batches()
    run_epoch(Doubles(), TASK, [first], meters=meters)
    for old, new in zip(meters, fresh, strict=True):
        new.restore(old.totals())
    assert run_epoch(Doubles(), TASK, [second], meters=fresh) == run_epoch(
        Doubles(), TASK, batches()
    )


def test_waiting_is_measured():
    import time

    def slow():
        for number in range(3):
            time.sleep(0.02)
            yield number

    timed = TimedBatches(slow())
    assert list(timed) == [0, 1, 2]
    assert 0.05 < timed.waited < 1


CLASSES = Classification(
    DataConfig(
        source="c.yaml",
        text="",
        inputs={"x": InputGroup(name="x", variables=(Variable(name="x"),))},
        labels=Labels(classes={name: parse_expression(name, "test") for name in ("a", "b")}),
    )
)


class Logits:
    """Logits of two classes, of which the first is likelier where x is above 0."""

    activated = False

    def __call__(self, inputs):
        return torch.cat([inputs["x"], -inputs["x"]], 1)


@pytest.mark.parametrize("known", [True, False])
def test_rows_without_a_class_are_written_counted_and_measured_by_nothing(known):
    labels = tensor([0, NO_CLASS, 1, NO_CLASS])
    x = tensor([[1.0], [-5.0], [-2.0], [3.0]])
    some = Batch({"x": x}, {}, {}, {"_label_": labels}, size=4)
    all_of = Batch({"x": x[:1]}, {}, {}, {"_label_": labels[:1]}, size=1)
    none = Batch({"x": x[1:2]}, {}, {}, {"_label_": labels[1:2]}, size=1)
    if known:
        some.undefined = {"_label_": 2}
        all_of.undefined = {}
        none.undefined = {"_label_": 1}
    written = []
    metrics = run_epoch(Logits(), CLASSES, [some, all_of, none], write=written.append)
    assert metrics["without_target"] == 3
    assert metrics["accuracy"] == 1.0
    each = [math.log1p(math.exp(-2)), math.log1p(math.exp(-4)), math.log1p(math.exp(-2))]
    assert metrics["loss"] == pytest.approx(sum(each) / 3)
    assert [len(columns["score_a"]) for columns in written] == [4, 1, 1]
    # no class is made up for them
    assert written[0]["a"].tolist() == [1, 0, 0, 0]
    assert written[0]["b"].tolist() == [0, 0, 1, 0]


def test_where_no_row_has_a_class_their_number_is_all_that_is_known():
    batch = Batch({"x": torch.ones(3, 1)}, {}, {}, {"_label_": torch.full((3,), NO_CLASS)}, size=3)
    assert run_epoch(Logits(), CLASSES, [batch]) == {"without_target": 3}


def test_an_update_is_given_the_entries_with_a_target():
    seen = []

    def update(losses, scored, batch):
        seen.append((losses.tolist(), scored.weight.tolist(), scored.target.flatten().tolist()))

    y = tensor([math.nan, 5.0, 7.0])
    batch = Batch({"x": tensor([[1.0], [2.0], [3.0]])}, {}, {}, {"y": y}, size=3)
    batch.weight = tensor([1.0, 2.0, -3.0])
    metrics = run_epoch(Doubles(), TASK, [batch], update=update)
    assert seen == [([1.0, 1.0], [2.0, -3.0], [5.0, 7.0])]
    # in training the log tells what was read, also in a part of an epoch that was interrupted
    assert "without_target" not in metrics


def test_where_the_host_knows_all_targets_nothing_looks_for_them_on_the_device(monkeypatch):
    def refuse(self, chosen):
        raise AssertionError("the device is asked which entries have a target")

    monkeypatch.setattr(Scored, "take", refuse)
    known = []
    for batch in batches():
        batch.undefined = {}
        known.append(batch)
    task = Regression(CONFIG, loss=lambda output, target: (output - target).square())
    assert run_epoch(Doubles(), task, known, update=lambda *_: None)["mae"] == 5.0
    with pytest.raises(AssertionError, match="asked"):
        run_epoch(Doubles(), task, batches())


class Divides:
    """1 / x as a probability of nothing: infinite at 0, NaN where x is."""

    activated = False

    def __call__(self, inputs):
        return 1 / inputs["x"]


def test_entries_without_a_number_are_written_and_counted_and_no_metric_has_them():
    def values(numbers):
        x = tensor(numbers)[:, None]
        return Batch({"x": x}, {}, {}, {"y": torch.zeros(len(numbers))}, size=len(numbers))

    written = []
    batches_of_data = [values([0.0, 2.0, math.nan]), values([4.0])]
    metrics = run_epoch(Divides(), TASK, batches_of_data, write=written.append)
    assert metrics["without_output"] == 2
    assert metrics["mae"] == pytest.approx((0.5 + 0.25) / 2)
    assert metrics["loss"] == pytest.approx((0.25 + 0.0625) / 2)
    assert written[0]["output_y"].tolist()[:2] == [math.inf, 0.5]
    assert math.isnan(written[0]["output_y"][2])
    # where no entry has a number, nothing is measured
    metrics = run_epoch(Divides(), TASK, [values([0.0, 0.0])], write=written.append)
    assert metrics == {"without_output": 2}
    assert not metrics.is_measured


def test_validation_hands_nan_on_to_the_loss_which_stops_the_training():
    batch = Batch({"x": tensor([[math.nan]])}, {}, {}, {"y": torch.zeros(1)}, size=1)
    assert math.isnan(run_epoch(Divides(), TASK, [batch])["loss"])


def test_two_meters_that_measure_the_same_are_refused_and_those_of_two_targets_are_not():
    def filled(name):
        meter = RegressionMeter([name])
        entries = Scored(tensor([[1.0]]), tensor([[0.0]]), tensor([1.0]), tensor([1]))
        meter.update(entries, None)
        return meter

    meters = [filled("mass"), filled("pt")]
    metrics = EpochMetrics(meters, [meter.totals() for meter in meters])
    assert {"mae_mass", "mae_pt"} <= metrics.keys()
    assert metrics.details()["targets"].keys() == {"mass", "pt"}
    meters = [filled("mass"), filled("mass")]
    with pytest.raises(ConfigError, match="two meters of the task measure 'mae_mass'"):
        EpochMetrics(meters, [meter.totals() for meter in meters])


def test_the_error_of_a_mean_that_a_task_has_completed_is_completed_too():
    meter = RatioMeter()
    meter.update(
        Scored(tensor([[1.0], [4.0]]), torch.zeros(2), tensor([2.0, 1.0]), torch.ones(2)), None
    )
    metrics = EpochMetrics([meter], [meter.totals()])
    # sqrt(2^2 (1 - 2)^2 + (4 - 2)^2) / 3
    assert metrics.errors()["mean_ratio"] == pytest.approx(math.sqrt(8) / 3)
    # after the division by the mean
    metrics.update({"mean_ratio": 1.0, "mean_ratio_error": math.sqrt(2) / 3})
    assert metrics.errors()["mean_ratio"] == pytest.approx(math.sqrt(2) / 3)


def kept_batches(closed):
    """Batches that say when they are closed."""
    try:
        yield from batches()
    finally:
        closed.append(True)


class Fails:
    """What cannot take a batch."""

    def take(self, batch):
        raise ValueError("a batch that cannot be taken")


def test_batches_are_closed_after_an_error_whoever_else_knows_them():
    closed = []
    kept = kept_batches(closed)
    with pytest.raises(ValueError, match="cannot be taken"):
        run_together([Fails()], kept)
    assert closed == [True]


def test_timed_batches_close_what_they_are_made_of():
    closed = []
    kept = kept_batches(closed)
    timed = iter(TimedBatches(kept))
    next(timed)
    timed.close()
    assert closed == [True]
