"""Real targets of the jets of an event, from the data YAML to the exported network."""

import json

import awkward as ak
import numpy as np
import pytest
import yaml

from weaver_tt import cli

EVENTS = 60
LENGTH = 4

NETWORK = """
from torch import nn

from weaver_tt.api import num_outputs


class PerJet(nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(channels, 8, 1), nn.ReLU(), nn.Conv1d(8, outputs, 1))

    def forward(self, jets):
        return self.layers(jets)


def get_model(data_config, **options):
    module = PerJet(len(data_config.input_dicts["jets"]), num_outputs(data_config))
    info = {"input_names": ["jets"], "dynamic_axes": {"jets": {0: "N", 2: "P"}}}
    return module, info
"""


@pytest.fixture
def story(tmp_path):
    """Events with jets, some of them without a generated jet; runs commands on them."""
    generator = np.random.default_rng(1)
    counts = generator.integers(0, 7, EVENTS)
    pt = np.exp(generator.normal(4, 0.5, counts.sum())).astype(np.float32)
    matched = generator.random(len(pt)) < 0.8
    response = np.exp(generator.normal(0.1, 0.2, len(pt)))
    place = ak.local_index(ak.unflatten(pt, counts))
    columns = {
        "Jet_pt": ak.unflatten(pt, counts),
        "Jet_genJetIdx": ak.where(ak.unflatten(matched, counts), place, -1),
        "GenJet_pt": ak.unflatten((pt * response).astype(np.float32), counts),
    }
    ak.to_parquet(ak.Array(columns), tmp_path / "events.parquet")
    config = {
        "new_variables": {
            "Jet_gen_pt": "ak.pad_none(GenJet_pt, 1)[Jet_genJetIdx]",
            "Jet_log_pt": "np.log(Jet_pt)",
        },
        "inputs": {"jets": {"length": LENGTH, "vars": [["Jet_log_pt", 4, 1]]}},
        "labels": {
            "type": "per_object",
            "group": "jets",
            "value": {
                "y": "np.log(Jet_gen_pt / Jet_pt)",
                "y_mask": "Jet_genJetIdx >= 0",
            },
        },
        "task": {
            "name": "regression",
            "targets": {
                "y": {"loss": "gaussian", "valid": "abs(y) < 0.5", "transform": "standardised"}
            },
        },
        "observers": ["Jet_pt"],
    }
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (tmp_path / "network.py").write_text(NETWORK)

    class Story:
        folder = tmp_path

        def run(self, *flags):
            common = ["-c", tmp_path / "data.yaml", "-m", tmp_path / "net"]
            common += ["-n", tmp_path / "network.py"]
            return cli.train([str(flag) for flag in [*common, *flags]])

        def train(self, *flags):
            events = ["-i", tmp_path / "events.parquet", "-t", tmp_path / "events.parquet"]
            events += ["--no-figures", "--tensorboard", "off", "--num-epochs", 1]
            return self.run(*events, "--predict-output", tmp_path / "pred.parquet", *flags)

    return Story()


def test_jets_of_an_event_are_regressed_from_the_yaml_to_the_graph(story):
    assert story.train("--ensemble", 2, "--watch", "mae") == 0
    predicted = ak.from_parquet(story.folder / "pred.parquet")
    columns = ["output_y", "output_y_sigma"]
    assert {*columns, *(f"{name}_std" for name in columns), "y"} <= set(predicted.fields)
    # one for each jet of the event, NaN beyond the length of the input
    for name in [*columns, "y"]:
        assert ak.all(ak.num(predicted[name]) == ak.num(predicted["Jet_pt"]))
        assert ak.all(np.isnan(predicted[name][:, LENGTH:]))
    assert ak.all(np.isfinite(predicted["output_y"][:, :LENGTH]))
    assert ak.all(predicted["output_y_sigma"][:, :LENGTH] > 0)
    true = ak.flatten(predicted["y"][:, :LENGTH])
    found = ak.flatten(predicted["output_y"][:, :LENGTH])
    width = ak.flatten(predicted["output_y_sigma"][:, :LENGTH])
    assert 0.1 < np.mean(np.isnan(true)) < 0.3
    # metrics are over the jets that are matched and inside of the window
    counts = np.abs(true) < 0.5
    residual = np.asarray((found - true)[counts])
    metrics = json.loads((story.folder / "pred_metrics.json").read_text())["metrics"]
    assert metrics["mae"] == pytest.approx(np.abs(residual).mean(), rel=1e-4)
    pulls = residual / np.asarray(width[counts])
    assert metrics["pull_width"] == pytest.approx(pulls.std(), rel=1e-4)
    saved = yaml.safe_load((story.folder / "net.auto.yaml").read_text())["task"]["targets"]["y"]
    training = np.asarray(ak.flatten(predicted["y"][: EVENTS * 8 // 10, :LENGTH]))
    training = training[np.abs(training) < 0.5]
    [step] = saved["transform"]
    assert step["standardised"]["mean"] == pytest.approx(training.mean(), rel=1e-4)
    # the graph has an output (N, P) for value and width, and for the spread of each
    onnx = story.folder / "model.onnx"
    assert story.run("--export-onnx", onnx) == 0
    sidecar = json.loads((story.folder / "preprocess.json").read_text())
    assert sidecar["output_names"][:2] == ["y", "y_sigma"]
    flags = ["-c", story.folder / "data.yaml", "-m", onnx, "-t", story.folder / "events.parquet"]
    flags += ["--predict", "--predict-output", story.folder / "onnx.parquet"]
    assert cli.train([str(flag) for flag in flags]) == 0
    again = ak.from_parquet(story.folder / "onnx.parquet")
    for name in [*columns, "output_y_std"]:
        assert ak.almost_equal(
            ak.nan_to_num(again[name], nan=-9.0),
            ak.nan_to_num(predicted[name], nan=-9.0),
            rtol=1e-5,
            atol=1e-5,
        )


def test_what_jets_cannot_learn_is_refused_before_the_training(story, capsys):
    path = story.folder / "data.yaml"
    config = yaml.safe_load(path.read_text())
    config["labels"]["value"]["y_mask"] = "Jet_pt > 1e9"
    path.write_text(yaml.safe_dump(config))
    assert story.train() == 1
    assert "labels.y: none of" in capsys.readouterr().err
    del config["labels"]["value"]["y_mask"]
    # a logarithm of jets that are not matched
    config["labels"]["value"]["y"] = "np.log(Jet_genJetIdx)"
    path.write_text(yaml.safe_dump(config))
    assert story.train() == 1
    assert "the logarithm in 'np.log(Jet_genJetIdx)' needs numbers above 0" in (
        capsys.readouterr().err
    )
    assert not list(story.folder.glob("net*.pt"))
