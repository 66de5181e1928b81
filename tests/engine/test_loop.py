"""One loop for all uses."""

import math

import pytest
import torch
from torch import nn, tensor

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.loop import TimedBatches, run_epoch
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.network.outputs import Activated
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
    assert TASK.figures(outcome.meters, outcome.totals) == {}


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
    assert outcome == {"mae": 5.0, "rmse": pytest.approx(math.sqrt(30.0)), "bias": 5.0}
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
