"""The two-headed network of docs/network-file.md: train, predict, an ensemble, ONNX."""

import re
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import yaml

from weaver_tt import cli

DOCUMENTATION = Path(__file__).parents[1] / "docs" / "network-file.md"

DATA = {
    "new_variables": {"log_mass": "np.log(jet_mass)"},
    "inputs": {"jet": {"length": None, "vars": [["jet_width", None], ["jet_pt", 50, 0.02]]}},
    "labels": {"type": "simple", "value": ["is_top", "is_qcd"]},
    "monitor_variables": ["log_mass"],
    "observers": ["jet_mass"],
}


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
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    example = next(block for block in blocks if "class ClassAndMass" in block)
    (folder / "two_heads.py").write_text(example)
    return folder


@pytest.fixture(scope="module")
def common(folder):
    """Two members, trained."""
    common = ["-c", folder / "data.yaml", "-n", folder / "two_heads.py"]
    optimizer = ["--optimizer", "adam", "--start-lr", "2e-2", "--batch-size", "50"]
    length = ["--num-epochs", "12", "--seed", "1", "--ensemble", "2", "--no-progress"]
    run("-i", folder / "jets.parquet", "-m", folder / "net", *common, *optimizer, *length)
    return common


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
