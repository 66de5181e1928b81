"""Real targets from the data YAML to the exported network: quantiles, windows, beside classes."""

import json
import re

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
            flags += ["--predict", "--predict-output", tmp_path / "onnx.parquet", "--no-figures"]
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


CHAIN = [{"ratio": "scale"}, "log", "standardised"]


def test_transforms_are_undone_in_predictions_metrics_and_the_exported_graph(story):
    table = ak.from_parquet(story.folder / "events.parquet")
    table["scale"] = np.exp(3 * table["x"])
    table["energy"] = table["scale"] * np.exp(0.1 * np.random.default_rng(2).normal(size=ROWS))
    ak.to_parquet(table, story.folder / "events.parquet")
    story.write(
        {"type": "custom", "value": {"e": "energy", "m": "mass"}},
        {
            "name": "regression",
            "loss_function": "mae",
            "targets": {
                "e": {"transform": CHAIN, "loss": QUANTILES},
                "m": {"transform": "standardised"},
            },
        },
        observers=["scale"],
    )
    assert story.train() == 0
    predicted = story.predicted()
    # in units: a mass is of order 80 after one epoch, and an energy follows its scale
    assert np.max(np.abs(predicted["output_m"] - 80)) < 60
    assert np.all(predicted["output_e_q16"] > 0)
    ratio = np.asarray(predicted["output_e_q50"] / predicted["scale"])
    scale = np.asarray(predicted["scale"])
    assert ratio.max() / ratio.min() < 10 < scale.max() / scale.min()
    found = story.metrics()["metrics"]
    assert found["mae_m"] == pytest.approx(
        np.mean(np.abs(predicted["output_m"] - predicted["m"])), rel=1e-5
    )
    # what was computed of the training rows stands beside the network
    saved = yaml.safe_load((story.folder / "net.auto.yaml").read_text())["task"]["targets"]
    [of_mass] = saved["m"]["transform"]
    training = np.asarray(table["mass"][: ROWS * 8 // 10])
    assert of_mass["standardised"]["mean"] == pytest.approx(training.mean(), rel=1e-5)
    assert of_mass["standardised"]["deviation"] == pytest.approx(training.std(), rel=1e-5)
    assert saved["e"]["transform"][:2] == [{"ratio": "scale"}, "log"]
    outputs = ["output_e_q16", "output_e_q50", "output_e_q84", "output_m"]
    # the graph has the scale as an input of its own
    np.testing.assert_allclose(
        [story.predict_onnx()[name] for name in outputs],
        [predicted[name] for name in outputs],
        rtol=1e-5,
    )
    sidecar = json.loads((story.folder / "preprocess.json").read_text())
    assert sidecar["derived_inputs"]["var_names"] == ["scale"]
    assert (story.folder / "model.auto.yaml").is_file()


@pytest.mark.parametrize(
    ("value", "task", "message"),
    [
        ({"y": "0 * x + 3.5"}, None, r"labels\.y: it is 3.5 in all 48 training rows"),
        ({"y": "x", "y_mask": "x > 99"}, None, r"labels\.y: none of 48 training rows has a value"),
        ({"y": "x / 0"}, None, r"labels\.y: none of 48 training rows has a value.*infinite"),
        (
            {"y": "x", "z_mask": "x"},
            None,
            r"'z_mask' is the mask of a target 'z', which is not.*known: y",
        ),
        (
            {"y": "x"},
            {"y": {"transform": "log"}},
            r"events\.parquet: label 'y': transform log needs numbers above 0: \d+ of \d+ selected",
        ),
        (
            {"y": "mass"},
            {"y": {"transform": {"ratio": "x"}}},
            r"transform ratio needs 'x' above 0: .*x = -",
        ),
        ({"y": "np.log(x)"}, None, r"label 'y': the logarithm in 'np.log\(x\)' .*x = -"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(story, capsys, value, task, message):
    targets = {} if task is None else task
    story.write({"type": "custom", "value": value}, {"name": "regression", "targets": targets})
    assert story.train() == 1
    assert re.search(message, capsys.readouterr().err)
    assert not list(story.folder.glob("net*.pt"))


def test_an_ensemble_of_standardised_targets_goes_on_with_its_numbers(story):
    story.write(
        {"type": "custom", "value": {"m": "mass"}},
        {"name": "regression", "targets": {"m": {"transform": "standardised"}}},
    )
    assert story.train("--ensemble", 2) == 0
    before = (story.folder / "net.auto.yaml").read_text()
    # other rows, of another mean
    table = ak.from_parquet(story.folder / "events.parquet")
    table["mass"] = table["mass"] + 40
    ak.to_parquet(table, story.folder / "events.parquet")
    assert story.train("--ensemble", 2, "--num-epochs", 2, "--resume") == 0
    numbers = [
        yaml.safe_load(text)["task"]["targets"]["m"]["transform"][0]["standardised"]["mean"]
        for text in (before, (story.folder / "net.auto.yaml").read_text())
    ]
    assert numbers[0] == numbers[1]
    assert "output_m_std" in story.predicted().fields


def test_an_ensemble_with_widths_leaves_with_a_class_in_one_graph(story):
    story.write(
        [CLASSES, REAL],
        {
            "name": "hybrid",
            "targets": {
                "m": {"loss": "gaussian", "transform": [{"ratio": "x2"}, "standardised"]},
                "y": {"loss": ["gaussian", {"pinball": {"quantiles": [0.84]}}]},
            },
        },
        new_variables={"x2": "1 + x * x"},
        observers=["x2"],
        derived_outputs={"pull_of_two": "(y - 2) / y_sigma"},
    )
    assert story.train("--ensemble", 2) == 0
    predicted = story.predicted()
    values = ["ispos", "isneg", "y", "y_sigma", "y_q84", "m", "m_sigma"]
    outputs = [f"{'score' if 'is' in name else 'output'}_{name}" for name in values]
    found = [name for name in predicted.fields if name.startswith(("score", "output"))]
    assert found == [*outputs, *(f"{name}_std" for name in outputs)]
    for name in ("output_y_sigma", "output_m_sigma"):
        assert np.all(predicted[name] > 0)
    assert np.all(predicted["output_m_sigma_std"] > 0)
    metrics = story.metrics()["metrics"]
    # of a target whose transform has no logarithm the pulls are the same in the units of the data
    for name in ("y", "m"):
        residual = np.asarray(predicted[f"output_{name}"] - predicted[name])
        pulls = residual / np.asarray(predicted[f"output_{name}_sigma"])
        assert metrics[f"pull_mean_{name}"] == pytest.approx(pulls.mean(), rel=1e-4)
        assert metrics[f"pull_width_{name}"] == pytest.approx(pulls.std(), rel=1e-4)
    np.testing.assert_allclose(
        predicted["pull_of_two"],
        (predicted["output_y"] - 2) / predicted["output_y_sigma"],
        rtol=1e-5,
    )
    assert_equal_outputs(story.predict_onnx(), predicted, [*outputs, "pull_of_two"])
    sidecar = json.loads((story.folder / "preprocess.json").read_text())
    assert sidecar["output_names"] == [*values, "pull_of_two"]
