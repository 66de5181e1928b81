"""The example for jet energies as a user runs it, on a small file with the columns it reads."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
import yaml

from weaver_tt import cli
from weaver_tt.applications.jet_energy.judging import report
from weaver_tt.applications.jet_energy.judging.figures import JudgementPictures
from weaver_tt.config.load import from_mapping, load_config
from weaver_tt.expressions.evaluate import evaluate
from weaver_tt.network.file import NetworkFile
from weaver_tt.options.thresholds import Threshold, read_threshold
from weaver_tt.options.train import parse_options
from weaver_tt.output.about import read_about
from weaver_tt.run.checks import check_options
from weaver_tt.run.unused_flags import flags_without_effect

FOLDER = Path(__file__).parents[1] / "network_configs"
ROWS = 40
IDS = {"ch": [-211, -13, -11, 11, 13, 211], "ne": [1, 2, 22, 130]}


def jets(seed, vertices):
    """Jets that lose energy in proportion to their neutral candidates, with up to so many vertices.

    As simulated without a detector, none has any.
    """
    random = np.random.default_rng(seed)
    columns = {
        "jet_pt": random.uniform(30, 300, ROWS),
        "jet_eta": random.uniform(-2, 2, ROWS),
        "jet_phi": random.uniform(-np.pi, np.pi, ROWS),
        "npv": random.integers(1, 40, ROWS),
        "jet_multiplicity": random.integers(1, 30, ROWS),
        "jet_flavour": random.choice([1, 2, 3, 4, 5, 21, 0], ROWS).astype(np.int32),
    }
    columns["gen_eta"] = columns["jet_eta"]
    for name in ("jet_mass", "jet_area", "rho", "jet_ptd", "jet_sigma2"):
        columns[name] = random.uniform(0.1, 1, ROWS)
    for name, most in {"ch": 5, "ne": 4, "sv": vertices}.items():
        counts = random.integers(0, most + 1, ROWS)
        columns |= objects(name, counts, random)
    loss = 0.02 * ak.num(columns["ne_pt"]).to_numpy()
    columns["gen_pt"] = columns["jet_pt"] * (1 + loss)
    # an outlier, which does not count: |y| > 1
    columns["gen_pt"][0] = 10 * columns["jet_pt"][0]
    return columns


def objects(name, counts, random):
    """A collection, ``counts`` of each row."""
    number = counts.sum()
    values = {"pt": random.exponential(5, number) + 0.5, "ptrel": random.uniform(0.01, 1, number)}
    for what in ("eta", "phi", "deta", "dphi"):
        values[what] = random.normal(0, 0.2, number)
    if name == "sv":
        for what in ("mass", "d", "dsig"):
            values[what] = random.uniform(0.1, 5, number)
        values["ntracks"] = random.integers(2, 5, number)
    else:
        values["id"] = random.choice(IDS[name], number)
    if name == "ch":
        for what in ("dxy", "dxysig", "dz"):
            values[what] = random.normal(0, 0.1, number)
        values["nhits"] = random.integers(5, 14, number)
        values["npixelhits"] = random.integers(0, 4, number)
        values["losthits"] = random.integers(0, 3, number)
        values["pvquality"] = random.choice([0, 1, 4, 5, 6, 7], number)
    if name == "ne":
        values["hcalfrac"] = random.uniform(0, 1, number)
    return {f"{name}_{what}": ak.unflatten(value, counts) for what, value in values.items()}


def write(path, seed, vertices):
    columns = jets(seed, vertices)
    with uproot.recreate(path) as file:
        file.mktree(
            "tree", {name: ak.type(ak.Array(values)).content for name, values in columns.items()}
        )
        file["tree"].extend(columns)


@pytest.mark.parametrize(
    ("network", "options", "vertices"),
    [
        ("pfn_r", ["-o", "size", "lite"], 2),
        ("particle_net_r", ["-o", "size", "lite", "-o", "k", "2"], 0),
        ("mlp", ["-o", "objects", "ignore", "-o", "layers", "8"], 2),
    ],
)
def test_jet_energies_are_trained_predicted_and_exported(
    network, options, vertices, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write("train.root", seed=1, vertices=vertices)
    write("test.root", seed=2, vertices=vertices)
    data = ["-c", "weaver_tt:jet_energy", "-m", "run/jets", "--gpus", ""]
    trained = ["-n", f"weaver_tt:{network}", *options]
    cut = ["--num-epochs", "1", "--batch-size", "16", "--no-figures", "--seed", "3"]
    assert cli.train(["-i", "train.root", *data, *trained, *cut]) == 0
    assert cli.train(["-t", "test.root", *data, *trained, "--predict", "--no-figures"]) == 0
    with uproot.open("pred.root") as file:
        tree = file[file.keys()[0]]
        assert tree.num_entries == ROWS
        predicted = tree["output_y"].array(library="np")
        truth = tree["y"].array(library="np")
        assert {"jet_pt", "gen_pt", "rho"} <= set(tree.keys())
        corrected = tree["corrected_pt"].array(library="np")
        expected = tree["jet_pt"].array(library="np") * np.exp(predicted)
    assert np.isfinite(predicted).all()
    np.testing.assert_allclose(corrected, expected, rtol=1e-5)
    # the outlier is written as it is, and unknown to losses and metrics
    assert truth[0] == pytest.approx(np.log(10), rel=1e-5)
    assert np.flatnonzero(np.abs(truth) > 1).tolist() == [0]
    assert json.loads(Path("pred_metrics.json").read_text())["metrics"]["without_target"] == 1
    # a prediction says what it is: a report needs no flag
    monkeypatch.setattr(report, "draw_judgement", lambda *anything: JudgementPictures())
    assert cli.main(["report", "net:pred.root", "--regions", "central"]) == 0
    judged = json.loads(Path("report/metrics.json").read_text())["net"]
    assert judged["central"]["all"]["jets"] > 20
    known = np.abs(truth) < 1
    # the outlier is in N alone (Eq. 6.8)
    absolute = np.abs(truth - predicted)[known].sum() / ROWS
    assert judged["test_loss"] == pytest.approx(absolute, rel=1e-4)
    assert judged["parameters"] > 100
    assert judged["flops_per_row"] > judged["parameters"]
    assert judged["training_step_rows"] <= 16
    assert judged["training_step_ms"] > 0
    assert judged["row_ms"] > 0
    export = ["--export-onnx", "jets.onnx"]
    assert cli.train([*data, *trained, *export]) == 0
    in_cpp = json.loads(Path("preprocess.json").read_text())
    assert in_cpp["output_names"] == ["y", "corrected_pt"]
    assert in_cpp["derived_inputs"]["var_names"] == ["jet_pt"]
    onnx = ["-m", "jets.onnx", "-t", "test.root", "--predict", "--predict-output", "onnx.root"]
    assert cli.train([*data[:2], *onnx, "--no-figures"]) == 0
    # the exported network tells what it is as well
    of_torch = read_about("pred.root")
    exported = read_about("onnx.root")
    assert of_torch.network.single_row_seconds is None
    times = {
        name: getattr(exported.network, name) for name in ("seconds_per_row", "single_row_seconds")
    }
    assert all(seconds > 0 for seconds in times.values())
    expected_cost = replace(of_torch.network, **times)
    assert exported.network == expected_cost
    assert exported.report == of_torch.report
    with uproot.open("onnx.root") as file:
        tree = file[file.keys()[0]]
        np.testing.assert_allclose(tree["output_y"].array(library="np"), predicted, atol=1e-5)
        np.testing.assert_allclose(tree["corrected_pt"].array(library="np"), corrected, rtol=1e-5)


@pytest.mark.parametrize(
    ("network", "size", "parameters"),
    [("pfn_r", "lite", 40_249), ("particle_net_r", "lite", 36_737)],
)
def test_the_example_has_as_many_inputs_as_the_thesis(network, size, parameters):
    config = load_config("weaver_tt:jet_energy")
    module, _ = NetworkFile(FOLDER / f"{network}.py").get_model(config, {"size": size})
    assert sum(parameter.numel() for parameter in module.parameters()) == parameters
    numbers = {name: len(names) for name, names in config.input_dicts.items()}
    assert (numbers["ch_features"], numbers["ne_features"]) == (25, 11)
    assert (numbers["sv_features"], numbers["jet"]) == (10, 11)


def test_the_command_of_the_page_on_stopping_is_the_setting_of_the_thesis():
    page = (Path(__file__).parents[1] / "docs" / "jet-energy.md").read_text()
    section = page.split("## When to stop, as in the thesis")[1]
    command = section.split("```")[1].replace("\\\n", " ")
    options = parse_options(shlex.split(command)[2:])
    check_options(options)
    assert flags_without_effect(options) == []
    train = options.train
    # a fifth after five epochs, the end after seven, that are not better by 1e-4 (section 6.4)
    assert (train.lr_scheduler, train.plateau_factor, train.plateau_patience) == (
        *("reduce-on-plateau", 0.2, 5),
    )
    assert read_threshold(train.plateau_threshold, "") == Threshold(1e-4)
    assert train.early_stopping == 7
    assert read_threshold(train.early_stopping_threshold, "") == Threshold(1e-4)


def test_the_spectrum_of_the_page_is_that_of_the_thesis():
    page = (Path(__file__).parents[1] / "docs" / "jet-energy.md").read_text()
    section = page.split("## The spectrum of the training jets")[1]
    values = yaml.safe_load(section.split("```yaml")[1].split("```")[0])
    values["inputs"] = {"jet": {"length": None, "vars": [["jet_pt", None]]}}
    weights = from_mapping(values).weights
    assert list(weights.classes.values()) == [1, 1, 2, 2]
    pt, eta = np.array([30.0, 400.0]), np.array([0.5, -2.0])
    # Eq. 6.1
    expected = 1 / (np.cosh(pt * np.cosh(eta) / 500) * np.cosh(eta))
    found = evaluate(weights.target, {"gen_pt": pt, "gen_eta": eta})
    assert found == pytest.approx(expected)
