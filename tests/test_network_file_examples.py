"""The tasks of docs/network-file.md: two heads, a loss with a parameter, a term over the batch."""

import json
import re
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import yaml

from weaver_tt import cli
from weaver_tt.config.schema import DataConfig, Labels
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.metrics.base import Scored
from weaver_tt.tasks.classification import Classification

DOCUMENTATION = Path(__file__).parents[1] / "docs" / "network-file.md"

DATA = {
    "new_variables": {"log_mass": "np.log(jet_mass)"},
    "inputs": {"jet": {"length": None, "vars": [["jet_width", None], ["jet_pt", 50, 0.02]]}},
    "labels": {"type": "simple", "value": ["is_top", "is_qcd"]},
    "monitor_variables": ["log_mass"],
    "observers": ["jet_mass"],
}


MODEL = """
import torch
from torch import nn
from weaver_tt.tasks.classification import Classification

def get_model(data_config):
    module = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
    return module, {"input_names": ["jet"]}
"""


def example(part):
    """The block of code with ``part`` in it."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    return next(block for block in blocks if part in block)


def run(*arguments):
    common = ["--gpus", "", "--no-figures", "--tensorboard", "off"]
    assert cli.train([*map(str, arguments), *common]) == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Jets of two classes, whose mass grows with pt and width; the network file of the docs."""
    folder = tmp_path_factory.mktemp("two_heads")
    random = np.random.default_rng(1)
    top = random.integers(0, 2, 2000)
    width = random.normal(0.3 + 0.4 * top, 0.1)
    pt = random.uniform(20, 80, len(top))
    jets = {
        "jet_width": width.astype(np.float32),
        "jet_pt": pt.astype(np.float32),
        "jet_mass": (pt * np.exp(width)).astype(np.float32),
        "is_top": top.astype(np.uint8),
        "is_qcd": (1 - top).astype(np.uint8),
    }
    ak.to_parquet(ak.Array(jets), folder / "jets.parquet")
    (folder / "data.yaml").write_text(yaml.safe_dump(DATA, sort_keys=False))
    (folder / "two_heads.py").write_text(example("class ClassAndMass"))
    return folder


@pytest.fixture(scope="module")
def common(folder):
    """Two members, trained."""
    train(folder, "two_heads.py", "net", "--num-epochs", 12, "--ensemble", 2)
    return ["-c", folder / "data.yaml", "-n", folder / "two_heads.py"]


def train(folder, network, prefix, *more):
    files = ["-i", folder / "jets.parquet", "-c", folder / "data.yaml", "-n", folder / network]
    optimizer = ["--optimizer", "adam", "--start-lr", "2e-2", "--batch-size", 50, "--seed", 1]
    run(*files, "-m", folder / prefix, *optimizer, "--no-progress", *more)


def predict(folder, common, model):
    path = folder / f"{Path(model).name}.parquet"
    run("--predict", "-t", folder / "jets.parquet", "-m", model, *common, "--predict-output", path)
    return ak.from_parquet(path)


def test_both_heads_are_learnt_averaged_and_the_same_in_onnx(folder, common):
    members = [predict(folder, common, folder / f"net_member-{number}") for number in (0, 1)]
    both = predict(folder, common, folder / "net")
    run("--export-onnx", folder / "model.onnx", "-m", folder / "net", *common)
    exported = predict(folder, common, folder / "model.onnx")

    log_mass = np.log(ak.to_numpy(both["jet_mass"]))
    residual = ak.to_numpy(both["predicted_log_mass"]) - log_mass
    assert residual.std() < 0.5 * log_mass.std()
    is_top = ak.to_numpy(both["is_top"]) == 1
    assert ((ak.to_numpy(both["score_is_top"]) > 0.5) == is_top).mean() > 0.9

    for name in ("score_is_top", "score_is_qcd", "predicted_log_mass"):
        one, two = (ak.to_numpy(member[name]) for member in members)
        assert ak.to_numpy(both[name]) == pytest.approx((one + two) / 2, abs=1e-5)
        assert ak.to_numpy(both[f"{name}_std"]) == pytest.approx(abs(one - two) / 2, abs=1e-5)
        assert ak.to_numpy(exported[name]) == pytest.approx(ak.to_numpy(both[name]), abs=1e-5)
        spread = ak.to_numpy(exported[f"{name}_std"])
        assert spread == pytest.approx(ak.to_numpy(both[f"{name}_std"]), abs=1e-5)


def test_the_weights_are_a_bare_state_dict_of_the_network(folder, common):
    state = torch.load(folder / "net_member-0_best_epoch_state.pt", weights_only=True)
    assert {name.split(".")[0] for name in state} == {"body", "classes", "log_mass"}


def test_the_summary_shows_both_shapes(folder, common, capsys):
    run("--print", *common)
    assert "output        classes (N, 2), log_mass (N, 1)" in capsys.readouterr().out


def metrics(folder, prefix):
    return json.loads((folder / f"{prefix}_metrics.json").read_text())["metrics"]


def test_a_loss_with_a_parameter_learns_it_and_exports_without_it(folder):
    (folder / "scale.py").write_text(MODEL + example("class LearntScale"))
    train(folder, "scale.py", "scale", "--num-epochs", 2)
    learnt = torch.load(folder / "scale_epoch-1_task.pt", weights_only=True)
    assert list(learnt) == ["log_temperature"]
    assert learnt["log_temperature"].item() != 0
    state = torch.load(folder / "scale_epoch-1_state.pt", weights_only=True)
    assert {name.split(".")[0] for name in state} == {"0", "2"}
    common = ["-c", folder / "data.yaml", "-n", folder / "scale.py"]
    run("--export-onnx", folder / "scale.onnx", "-m", folder / "scale", *common)
    found = predict(folder, common, folder / "scale")["score_is_top"]
    exported = predict(folder, common, folder / "scale.onnx")["score_is_top"]
    assert ak.to_numpy(exported) == pytest.approx(ak.to_numpy(found), abs=1e-5)


def test_a_term_over_the_batch_lowers_what_the_meter_measures(folder, caplog):
    (folder / "decorrelated.py").write_text(example("class Decorrelated"))
    # the same network and meter, without the term
    plain = example("class Decorrelated").replace('return {"correlation_loss": 10 *', "return {} #")
    (folder / "plain.py").write_text(plain)
    for name in ("plain", "decorrelated"):
        train(folder, f"{name}.py", name, "--num-epochs", 6, "--log", folder / f"{name}.log")
    before, after = (metrics(folder, name)["correlation"] for name in ("plain", "decorrelated"))
    assert before < -0.2 or before > 0.2
    assert abs(after) < 0.4 * abs(before)
    assert metrics(folder, "decorrelated")["auc"] > 0.8
    log = (folder / "decorrelated.log").read_text()
    assert "train/correlation_loss" in log
    # a metric of one's own is in the line of each epoch
    assert "val/correlation " in log
    columns = (folder / "decorrelated_history.csv").read_text().splitlines()[0].split(",")
    assert {"train/correlation_loss", "train/correlation", "val/correlation"} <= set(columns)
    assert "val/correlation_loss" not in columns
    common = ["-c", folder / "data.yaml", "-n", folder / "decorrelated.py"]
    predict(folder, common, folder / "decorrelated")
    assert abs(metrics(folder, "decorrelated")["correlation"]) < 0.4 * abs(before)


def test_a_task_adds_a_figure_to_those_of_its_base():
    names = {"Classification": Classification}
    exec(example("def figures"), names)
    labels = Labels(classes={name: parse_expression(name, "test") for name in "ab"})
    task = names["Smooth"](DataConfig(source="c.yaml", text="", inputs={}, labels=labels))
    meters = task.meters()
    output = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    for meter in meters:
        meter.update(Scored(output, torch.tensor([0, 1, 1]), torch.ones(3), torch.ones(3)), None)
    figures = task.figures(meters, [meter.totals() for meter in meters])
    assert {"roc", "classes"} <= figures.keys()
    assert [bar.get_height() for bar in figures["classes"].axes[0].patches] == [1, 2]
