"""Real targets from the data YAML to the exported network: quantiles, windows, beside classes."""

import json

import awkward as ak
import numpy as np
import pytest
import yaml

from weaver_tt import cli

ROWS = 60
QUANTILES = {"pinball": {"quantiles": [0.16, 0.5, 0.84]}}
REAL = {"type": "custom", "value": {"y": "2 * x", "m": "mass"}}
CLASSES = {"type": "simple", "value": ["ispos", "isneg"]}


@pytest.fixture
def story(tmp_path):
    """Writes a YAML with labels and a task, and runs commands on its files."""
    x = np.random.default_rng(1).normal(size=ROWS).astype(np.float32)
    columns = {"x": x, "ispos": (x > 0) * 1, "isneg": (x <= 0) * 1, "mass": 80 + 10 * x}
    ak.to_parquet(ak.Array(columns), tmp_path / "events.parquet")

    class Story:
        folder = tmp_path

        def write(self, labels, task=None, **more):
            inputs = {"event": {"length": None, "vars": [["x", None]]}}
            config = {"inputs": inputs, "labels": labels, **more}
            if task is not None:
                config["task"] = task
            (tmp_path / "data.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

        def run(self, *flags):
            common = ["-c", tmp_path / "data.yaml", "-m", tmp_path / "net"]
            common += ["-n", "weaver_tt:mlp", "-o", "layers", "8"]
            return cli.train([str(flag) for flag in [*common, *flags]])

        def train(self, *flags):
            events = ["-i", tmp_path / "events.parquet", "-t", tmp_path / "events.parquet"]
            events += ["--no-figures", "--tensorboard", "off"]
            return self.run(
                *events, "--predict-output", tmp_path / "pred.parquet", "--num-epochs", 1, *flags
            )

        def predict_onnx(self):
            onnx = tmp_path / "model.onnx"
            assert self.run("--export-onnx", onnx) == 0
            flags = ["-c", tmp_path / "data.yaml", "-m", onnx, "-t", tmp_path / "events.parquet"]
            flags += ["--predict", "--predict-output", tmp_path / "onnx.parquet"]
            assert cli.train([str(flag) for flag in flags]) == 0
            return ak.from_parquet(tmp_path / "onnx.parquet")

        def predicted(self):
            return ak.from_parquet(tmp_path / "pred.parquet")

        def metrics(self):
            return json.loads((tmp_path / "pred_metrics.json").read_text())

    return Story()


def assert_equal_outputs(one, other, names):
    for name in names:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-5, atol=1e-5)


def test_classes_and_targets_are_learnt_by_one_network_and_leave_in_one_graph(story):
    story.write(
        [CLASSES, REAL],
        {
            "name": "hybrid",
            "loss_function": "mae",
            "balance": 0.5,
            "targets": {"y": {"loss": QUANTILES, "valid": "abs(y) < 2"}},
        },
    )
    assert story.train("--watch", "mae_m") == 0
    predicted = story.predicted()
    outputs = ["score_ispos", "score_isneg", "output_y_q16", "output_y_q50", "output_y_q84"]
    outputs += ["output_m"]
    assert [name for name in predicted.fields if name.startswith(("score", "output"))] == outputs
    assert {"ispos", "isneg", "y", "m"} <= set(predicted.fields)
    assert np.all(predicted["output_y_q16"] <= predicted["output_y_q50"])
    assert np.all(predicted["output_y_q50"] <= predicted["output_y_q84"])
    np.testing.assert_allclose(predicted["score_ispos"] + predicted["score_isneg"], 1, rtol=1e-5)
    found = story.metrics()
    expected = {"accuracy", "auc", "loss_classes", "loss_y", "loss_m", "mae_y", "mae_m"}
    expected |= {"resolution_y", "bias_m", "coverage@0.16-0.84_y", "coverage_error_y"}
    assert expected <= found["metrics"].keys()
    assert found["targets"].keys() == {"y", "m"}
    # the parts with their balance, the targets as their mean; rows outside have no y
    is_inside = np.abs(predicted["y"]) < 2
    metrics = found["metrics"]
    assert metrics["mae_y"] == pytest.approx(
        np.mean(np.abs(predicted["output_y_q50"] - predicted["y"])[is_inside]), rel=1e-5
    )
    residual = np.asarray(predicted["output_m"] - predicted["m"])
    assert metrics["loss_m"] == pytest.approx(np.abs(residual).mean(), rel=1e-5)
    assert_equal_outputs(story.predict_onnx(), predicted, outputs)
    sidecar = json.loads((story.folder / "preprocess.json").read_text())
    assert sidecar["output_names"] == ["ispos", "isneg", "y_q16", "y_q50", "y_q84", "m"]


def test_classes_and_targets_have_a_task_without_its_name(story):
    story.write([CLASSES, REAL])
    assert story.train() == 0
    assert {"auc", "rmse_m"} <= story.metrics()["metrics"].keys()


def test_a_task_for_a_part_of_the_labels_is_refused(story, capsys):
    story.write([CLASSES, REAL], "classification")
    assert story.train() == 1
    assert "classes and real targets, which hybrid learns together" in capsys.readouterr().err
