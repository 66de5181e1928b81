"""``train.py`` and the labels of a data YAML: what a task wants of them, and several kinds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import yaml

from weaver_tt import cli
from weaver_tt.report.scores import parse_models, stream_scores

ROOT = Path(__file__).parents[1]
EDGES = ROOT / "network_configs" / "truth_tagging_edges.py"
EVENTS = 400


def run(folder: Path, network: Path, *arguments: object) -> int:
    common = ["-c", folder / "data.yaml", "-n", network, "-m", folder / "net", "--gpus", ""]
    common += ["--no-progress", "--tensorboard", "off", "--no-figures", "--seed", 1]
    return cli.train([str(argument) for argument in [*common, *arguments]])


def train(folder: Path, network: Path, *arguments: object) -> int:
    return run(folder, network, "-i", folder / "events.parquet", "--batch-size", 50, *arguments)


def write_events(folder: Path, **columns: object) -> dict[str, object]:
    """Events of up to three jets, with ``columns`` beside them."""
    rng = np.random.default_rng(7)
    counts = rng.integers(0, 4, EVENTS)
    pt = rng.uniform(20, 200, counts.sum())
    events = {
        "jet_pt": ak.unflatten(pt, counts),
        "jet_eta": ak.unflatten(rng.normal(size=len(pt)), counts),
        "jet_phi": ak.unflatten(rng.uniform(-3, 3, len(pt)), counts),
        "jet_flavour": ak.unflatten(rng.choice([0, 4, 5], len(pt)), counts),
        "jet_istag": ak.unflatten(pt > 100, counts),
        **columns,
    }
    ak.to_parquet(ak.Array(events), folder / "events.parquet", row_group_size=100)
    return events


def write_yaml(folder: Path, **content: object) -> None:
    (folder / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


JETS = {
    "jets": {
        "length": 4,
        "vars": [[f"jet_{name}", None] for name in ("pt", "eta", "phi", "flavour")],
    }
}


# --- what a task wants


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("jet_istag * 2", r"label 'tag': \d+ of \d+ objects are neither 0 nor 1 \(such as 2\)"),
        ("jet_pt < 0", r"labels: all \d+ training entries are 'tag = 0', none is 'tag = 1'"),
    ],
)
def test_tags_that_no_efficiency_can_be_learnt_from_are_refused(tmp_path, capsys, label, message):
    write_events(tmp_path)
    labels = {"type": "per_object", "group": "jets", "value": {"tag": label}}
    for task in ({}, {"task": "object_efficiency"}):
        write_yaml(tmp_path, inputs=JETS, labels=labels, **task)
        assert train(tmp_path, EDGES, "--num-epochs", 1, "-o", "hidden", 8) == 1
        assert re.search(message, capsys.readouterr().err)


# --- several kinds at once

# the class is whether x is positive; the target is 2 x, known for part of the rows
TWO_HEADED = """
from dataclasses import replace

import torch
from torch.nn import functional as F

from weaver_tt.metrics.base import LossMeter, Scored
from weaver_tt.metrics.classification import ClassificationMeter
from weaver_tt.metrics.regression import RegressionMeter
from weaver_tt.tasks.base import Task, row_weight, split


class ClassMeter(ClassificationMeter):
    def update(self, scored, losses):
        super().update(replace(scored, output=scored.output[:, :2]), losses)


class TargetMeter(RegressionMeter):
    def update(self, scored, losses):
        target = scored.monitors["target"].unsqueeze(1)
        super().update(replace(scored, output=scored.output[:, 2:], target=target), losses)


class TwoHeads(Task):
    name = "two_heads"

    def __init__(self, config):
        super().__init__(config)
        self.classes = list(config.labels.classes)
        self.targets = config.labels.target_names
        assert config.labels.masks == {"y": "y_mask"}

    @property
    def output_names(self):
        scores = [f"score_{name}" for name in self.classes]
        return scores + [f"output_{name}" for name in self.targets]

    def score(self, output, batch):
        value, spread = split(output)
        target, monitors = None, {}
        if {"_label_", "y"} <= batch.labels.keys():
            target = batch.labels["_label_"]
            known = batch.labels["y_mask"] != 0
            monitors["target"] = torch.where(known, batch.labels["y"], torch.nan)
        weight = row_weight(batch, value)
        ones = torch.ones_like(target) if target is not None else weight.long()
        return Scored(value, target, weight, ones, spread, monitors)

    def losses(self, scored):
        classes = F.cross_entropy(scored.output[:, :2], scored.target, reduction="none")
        known = ~scored.monitors["target"].isnan()
        residual = scored.output[:, 2] - scored.monitors["target"].nan_to_num()
        return classes + torch.where(known, residual.abs(), 0)

    def activate(self, output):
        return torch.cat([output[:, :2].softmax(1), output[:, 2:]], 1)

    def meters(self):
        return [LossMeter(), ClassMeter(self.classes), TargetMeter(self.targets)]

    def columns(self, scored):
        columns = self.row_columns(scored)
        if scored.target is not None:
            columns["true_class"] = scored.target.cpu().numpy()
        return columns


class Heads(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 3)

    def forward(self, event):
        return self.layer(event)


def get_model(data_config, **options):
    assert data_config.label_type == "mixed"
    assert list(data_config.label_value) == ["ispos", "isneg", "y", "y_mask"]
    return Heads(), {"input_names": ["event"], "output_names": ["output"]}
"""
OWN_TASK = """

def get_task(data_config, **options):
    return TwoHeads(data_config)
"""
EVENT = {"event": {"length": None, "vars": [["x", None], ["noise", None]]}}
MIXED = [
    {"type": "simple", "value": ["ispos", "isneg"]},
    {"type": "custom", "value": {"y": "2 * x", "y_mask": "known"}},
]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(3)
    x = rng.normal(size=EVENTS).astype(np.float32)
    write_events(
        tmp_path,
        x=x,
        noise=rng.normal(size=EVENTS).astype(np.float32),
        known=rng.integers(0, 2, EVENTS).astype(bool),
        ispos=x > 0,
        isneg=x <= 0,
    )
    # classes are reweighted, here to equal numbers
    weights = {
        "reweight_vars": {"noise": [-9, 9]},
        "reweight_classes": ["ispos", "isneg"],
        "reweight_method": "flat",
    }
    write_yaml(tmp_path, inputs=EVENT, labels=MIXED, weights=weights, observers=["x"])
    (tmp_path / "heads.py").write_text(TWO_HEADED + OWN_TASK)
    return tmp_path


def test_a_task_of_ones_own_learns_classes_and_a_target_together(folder, capsys):
    options = ["--num-epochs", 2, "--start-lr", 0.1, "--optimizer", "adam", "--batch-size", 8]
    test = ["-t", folder / "events.parquet", "--predict-output", folder / "pred.parquet"]
    assert train(folder, folder / "heads.py", *options, *test) == 0
    metrics = json.loads((folder / "net_metrics.json").read_text())["metrics"]
    assert metrics["accuracy"] > 0.9
    # |2 x| has a mean of 1.6: what a network that has learnt nothing would miss
    assert metrics["mae_y"] < 0.8

    found = ak.from_parquet(folder / "pred.parquet")
    x = found["x"].to_numpy()
    scores = found["score_ispos"].to_numpy()
    assert scores + found["score_isneg"].to_numpy() == pytest.approx(1, abs=1e-6)
    assert found["true_class"].to_list() == (x <= 0).astype(int).tolist()
    assert np.mean((scores > 0.5) == (x > 0)) > 0.9
    assert np.corrcoef(found["output_y"].to_numpy(), x)[0, 1] > 0.95

    # the same rows without any label
    rows = ak.from_parquet(folder / "events.parquet")[["x", "noise"]]
    ak.to_parquet(rows, folder / "unlabelled.parquet")
    test = ["-t", folder / "unlabelled.parquet", "--predict-output", folder / "bare.parquet"]
    assert run(folder, folder / "heads.py", "--predict", *test) == 0
    bare = ak.from_parquet(folder / "bare.parquet")
    assert set(bare.fields) == {"x", "score_ispos", "score_isneg", "output_y"}
    assert bare["output_y"].to_list() == found["output_y"].to_list()


# --- labels with gaps

SUM_NETWORK = """
import torch
from torch import nn


class Sum(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.linear = nn.Linear(4, outputs)

    def forward(self, jets):
        return self.linear(0.01 * jets.sum(2))


class Strict(nn.Module):
    def forward(self, output, target):
        assert target.isfinite().all() and output.shape == target.shape
        return ((output - target) ** 2).mean()


def get_model(data_config, outputs=1):
    return Sum(outputs), {"input_names": ["jets"]}
"""
OWN_LOSS = "\n\ndef get_loss(data_config):\n    return Strict()\n"


@pytest.mark.parametrize("value", [["x"], ["x", "y"]])
def test_targets_with_gaps_are_trained_on_where_they_are_known(tmp_path, capsys, value):
    x = np.random.default_rng(1).normal(size=EVENTS)
    x[[3, 30, 303]] = [np.nan, np.inf, -np.inf]
    y = np.arange(EVENTS) % 2 + 1.0
    y[:4] = np.nan
    write_events(tmp_path, x=x, y=y, x_mask=np.arange(EVENTS) != 30)
    labels = {name: name for name in [*value, "x_mask"]}
    write_yaml(tmp_path, inputs=JETS, labels={"type": "custom", "value": labels})
    network = tmp_path / "net.py"
    network.write_text(SUM_NETWORK + OWN_LOSS)
    flags = ["--num-epochs", 1, "-o", "outputs", len(value), "--train-val-split", 0.5]
    assert train(tmp_path, network, *flags) == 0
    log = capsys.readouterr().err
    path = tmp_path / "events.parquet"
    # one of the three is masked, and one belongs to validation
    assert re.search(rf"left out of loss and metrics: x 1 \(first: {path}, row 3\)", log)
    assert re.search(rf"left out of loss and metrics: x 1 \(first: {path}, row 303\)", log)
    metrics = json.loads((tmp_path / "net_metrics.json").read_text())["metrics"]
    assert metrics.get("without_target") == (1.0 if value == ["x"] else None)
    assert metrics["loss"] > 0


def test_a_process_that_was_not_trained_on_is_no_class(tmp_path, capsys):
    flag = np.arange(EVENTS) % 2
    write_events(tmp_path, is_bb=flag, is_gg=1 - flag)
    write_yaml(
        tmp_path,
        inputs=JETS,
        labels={"type": "simple", "value": ["is_bb", "is_gg"]},
        observers=["number"],
    )
    network = tmp_path / "net.py"
    network.write_text(SUM_NETWORK)
    assert train(tmp_path, network, "--num-epochs", 1, "-o", "outputs", 2) == 0
    # two WW events among bb ones, and one that is said to be both
    flags = {"is_bb": np.r_[0, 0, np.ones(EVENTS - 2)], "is_gg": np.r_[0, 0, 1, np.zeros(397)]}
    write_events(tmp_path, number=np.arange(EVENTS), **flags)
    capsys.readouterr()
    test = ["-t", tmp_path / "events.parquet", "--predict-output", tmp_path / "pred.parquet"]
    assert run(tmp_path, network, "--predict", "-o", "outputs", 2, *test) == 0
    log = capsys.readouterr().err
    assert "class (none or several) 3 (first: " in log
    assert "these rows are written, and no metric counts them" in log
    written = ak.from_parquet(tmp_path / "pred.parquet")
    assert written.number.tolist() == list(range(EVENTS))
    for name, values in flags.items():
        assert written[name].tolist() == values.tolist()
    saved = json.loads((tmp_path / "pred_metrics.json").read_text())
    assert saved["metrics"]["without_target"] == 3
    assert saved["entries"]["is_bb"]["effective"] == EVENTS - 3
    # a report of the file leaves out the same rows
    chunks = list(stream_scores(parse_models([str(tmp_path / "pred.parquet")])[0], list(flags)))
    assert sum(chunk.rows_without_class for chunk in chunks) == 3


# --- the number of a class


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({}, ["truth_0", "truth_1", "truth_2"]),
        ({"classes": ["b", "c", "light"]}, ["b", "c", "light"]),
    ],
)
def test_a_class_number_is_a_classification_all_the_way(tmp_path, more, names):
    jet_label = np.arange(EVENTS) % 3
    write_events(tmp_path, jet_label=jet_label.astype(np.uint8))
    labels = {"type": "custom", "value": {"truth": "jet_label"}, **more}
    write_yaml(tmp_path, inputs=JETS, labels=labels)
    # another YAML for validation has the same classes
    (tmp_path / "val.yaml").write_text((tmp_path / "data.yaml").read_text())
    network = tmp_path / "net.py"
    network.write_text(SUM_NETWORK)
    flags = ["-o", "outputs", 3]
    val = ["--data-config-val", tmp_path / "val.yaml"]
    assert train(tmp_path, network, "--num-epochs", 1, *flags, *val) == 0
    metrics = json.loads((tmp_path / "net_metrics.json").read_text())
    assert metrics["classes"] == names
    assert metrics["metrics"]["accuracy"] > 0

    # one row of a class that is none of the three
    write_events(tmp_path, jet_label=np.r_[7, jet_label[1:]])
    test = ["-t", tmp_path / "events.parquet", *flags]
    pred = tmp_path / "pred.parquet"
    assert run(tmp_path, network, "--predict", *test, "--predict-output", pred) == 0
    written = ak.from_parquet(pred)
    assert written.truth.tolist() == [7, *jet_label[1:].tolist()]
    for number, name in enumerate(names):
        expected = (jet_label == number).astype(int)
        expected[0] = 0
        assert written[name].tolist() == expected.tolist()
    assert (
        json.loads((tmp_path / "pred_metrics.json").read_text())["metrics"]["without_target"] == 1
    )
    assert cli.main(["report", str(pred), "-o", str(tmp_path / "report")]) == 0

    onnx = tmp_path / "model.onnx"
    assert run(tmp_path, network, "--export-onnx", onnx, *flags) == 0
    again = tmp_path / "onnx.parquet"
    arguments = ["--predict", "-m", onnx, *test[:2], "--predict-output", again]
    assert run(tmp_path, network, *arguments, *flags) == 0
    for name in names:
        assert ak.from_parquet(again)[f"score_{name}"].to_numpy() == pytest.approx(
            written[f"score_{name}"].to_numpy(), abs=1e-5
        )


def test_a_number_that_is_a_target_stays_one(tmp_path, capsys):
    write_events(tmp_path, n=np.arange(EVENTS) % 5)
    network = tmp_path / "net.py"
    network.write_text(SUM_NETWORK)
    labels = {"type": "custom", "value": {"multiplicity": "n"}}
    write_yaml(tmp_path, inputs=JETS, labels=labels)
    assert train(tmp_path, network, "--num-epochs", 1) == 0
    assert "val/mae" in capsys.readouterr().err
    once_more = ["--num-epochs", 1, "--overwrite"]
    # several outputs for one target
    assert train(tmp_path, network, *once_more, "--regression-mode", "-o", "outputs", 3) == 1
    assert "one output for each of: multiplicity" in capsys.readouterr().err
    # fewer outputs than there are numbers
    assert train(tmp_path, network, *once_more, "-o", "outputs", 3) == 1
    assert "label 'multiplicity' is the number of a class, 0 to 2" in capsys.readouterr().err
    write_yaml(tmp_path, inputs=JETS, labels={**labels, "classes": 5})
    assert train(tmp_path, network, *once_more, "--regression-mode") == 1
    assert "are classes (`classes` is there)" in capsys.readouterr().err


def test_an_exported_network_says_that_its_outputs_are_no_classes(tmp_path, capsys):
    write_events(tmp_path, m=np.arange(EVENTS) % 2)
    write_yaml(tmp_path, inputs=JETS, labels={"type": "custom", "value": {"mass": "m"}})
    network = tmp_path / "net.py"
    network.write_text(
        SUM_NETWORK
        + """

def get_task(data_config):
    from weaver_tt.api import Regression

    class WithWidth(Regression):
        output_names = ["output_mass", "output_width"]

    return WithWidth(data_config)
"""
    )
    flags = ["-o", "outputs", 2]
    assert train(tmp_path, network, "--num-epochs", 1, *flags) == 0
    onnx = tmp_path / "model.onnx"
    assert run(tmp_path, network, "--export-onnx", onnx, *flags) == 0
    capsys.readouterr()
    common = ["-c", tmp_path / "data.yaml", "-m", onnx, "-t", tmp_path / "events.parquet"]
    arguments = [*common, "--predict", "--predict-output", tmp_path / "pred.parquet"]
    # without its network file nobody knows what the second output is
    assert cli.train([str(argument) for argument in arguments]) == 1
    assert "one output for each of: mass" in capsys.readouterr().err


def test_validation_rows_of_which_none_has_a_target_are_an_error_that_says_so(tmp_path, capsys):
    x = np.arange(EVENTS) % 2 + 1.0
    x[EVENTS // 2 :] = np.nan
    write_events(tmp_path, x=x)
    write_yaml(tmp_path, inputs=JETS, labels={"type": "custom", "value": {"x": "x"}})
    network = tmp_path / "net.py"
    network.write_text(SUM_NETWORK)
    assert train(tmp_path, network, "--num-epochs", 1, "--train-val-split", 0.5) == 1
    assert re.search(
        rf"nothing to learn from in validation.*x 200 \(first: {tmp_path}/events.parquet, row 200",
        capsys.readouterr().err,
    )
