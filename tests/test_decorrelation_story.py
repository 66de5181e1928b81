"""A decorrelated tagger from the data YAML to its predictions, as a user makes one."""

import json

import awkward as ak
import numpy as np
import pytest
import torch
import yaml

from weaver_tt import cli
from weaver_tt.config.load import load_config
from weaver_tt.options.train import RunOptions
from weaver_tt.run.task import make_run_task

ROWS = 200
DISCO = {"variable": "mass", "method": "disco", "strength": 2, "classes": ["qcd"], "edges": 4}

TASK_OF_ITS_OWN = """
from weaver_tt.api import Task


class Own(Task):
    name = "own"
    score = losses = activate = meters = columns = output_names = None


def get_model(data_config, **options):
    raise AssertionError("the task is looked at first")


def get_task(data_config, **options):
    return Own(data_config)
"""


@pytest.fixture
def story(tmp_path):
    """Writes a YAML and jets, and runs commands on them."""
    random = np.random.default_rng(1)
    kind = random.integers(0, 3, ROWS)
    columns = {
        "x": random.normal(kind, 1).astype(np.float32),
        "mass": random.uniform(20, 200, ROWS),
        "genweight": random.choice([-0.5, 1.0, 2.0], ROWS),
        "top": (kind == 0) * 1,
        "w": (kind == 1) * 1,
        "qcd": (kind == 2) * 1,
    }

    class Story:
        folder = tmp_path

        def write(self, change=None, drop=(), columns=columns, **more):
            table = {name: values for name, values in columns.items() if name not in drop}
            ak.to_parquet(ak.Array(table), tmp_path / "jets.parquet")
            inputs = {"jet": {"length": None, "vars": [["x", None], ["mass", 100, 0.02]]}}
            values = {
                "inputs": inputs,
                "labels": {"type": "simple", "value": ["top", "w", "qcd"]},
                "task": {"name": "classification", "decorrelate": {**DISCO, **(change or {})}},
                **more,
            }
            (tmp_path / "data.yaml").write_text(yaml.safe_dump(values, sort_keys=False))

        def run(self, *flags):
            common = ["-c", tmp_path / "data.yaml", "-m", tmp_path / "net", "--no-figures"]
            common += ["-n", "weaver_tt:mlp", "-o", "layers", "8"]
            return cli.train([str(flag) for flag in [*common, *flags]])

        def train(self, *flags):
            return self.run(
                *("-i", tmp_path / "jets.parquet", "--num-epochs", 1, "--batch-size", 50),
                *("--tensorboard", "off", *flags),
            )

        def predict(self, model):
            flags = ["-c", tmp_path / "data.yaml", "-m", model, "-t", tmp_path / "jets.parquet"]
            if model.suffix != ".onnx":
                flags += ["-n", "weaver_tt:mlp", "-o", "layers", "8"]
            flags += ["--predict", "--predict-output", tmp_path / "pred.parquet", "--no-figures"]
            assert cli.train([str(flag) for flag in flags]) == 0
            metrics = json.loads((tmp_path / "pred_metrics.json").read_text())
            return ak.from_parquet(tmp_path / "pred.parquet"), metrics

        columns_of = columns

    return Story()


@pytest.mark.parametrize("method", ["disco", "adversary"])
def test_a_tagger_is_decorrelated_with_all_that_a_training_has(story, method, capsys):
    story.write(
        {"method": method, "warmup": 1, "distance_correlation": True},
        event_weight="genweight",
        weights={
            "reweight_method": "flat",
            "reweight_vars": {"mass": [20, 80, 140, 200]},
            "reweight_classes": ["top", "w", "qcd"],
        },
    )
    watch = "auc - 0.1*sculpting@0.5_top - 0.1*sculpting@0.5_w"
    assert story.train("--ensemble", 2, "--watch", watch) == 0
    said = capsys.readouterr().err
    assert f"train/{method}" in said
    assert "the network is given 'mass' by its input 'mass'" in said
    fitted = load_config(str(story.folder / "net.auto.yaml")).decorrelation
    assert len(fitted.edges["mass"]) == 5
    has_modules = (story.folder / "net_member-0_epoch-0_task.pt").is_file()
    assert has_modules == (method == "adversary")
    measured = (story.folder / "net_member-0_history.csv").read_text().splitlines()[0].split(",")
    assert "val/distance_correlation" in measured
    assert "train/distance_correlation" not in measured
    best = json.loads((story.folder / "net_member-0_metrics.json").read_text())
    expected = best["metrics"]["auc"]
    expected -= 0.1 * best["metrics"]["sculpting@0.5_top"]
    expected -= 0.1 * best["metrics"]["sculpting@0.5_w"]
    assert best["metrics"]["watched"] == pytest.approx(expected)
    assert best["sculpting"]["mass"]["top"]["edges"] == list(fitted.edges["mass"])


def test_the_network_leaves_alone_and_predicts_without_the_variable(story):
    story.write(inputs={"jet": {"length": None, "vars": [["x", None]]}}, observers=["mass?"])
    assert story.train() == 0
    predicted, metrics = story.predict(story.folder / "net")
    assert "sculpting@0.5_top" in metrics["metrics"]
    onnx = story.folder / "model.onnx"
    assert story.run("--export-onnx", onnx) == 0
    sidecar = json.loads((story.folder / "preprocess.json").read_text())
    assert sidecar["input_names"] == ["jet"]
    assert sidecar["output_names"] == ["top", "w", "qcd"]
    story.write(
        drop=["mass"],
        inputs={"jet": {"length": None, "vars": [["x", None]]}},
        observers=["mass?"],
    )
    alone, metrics = story.predict(onnx)
    np.testing.assert_allclose(alone["score_top"], predicted["score_top"], rtol=1e-5)
    assert "sculpting@0.5_top" not in metrics["metrics"]


@pytest.mark.parametrize(
    ("change", "drop", "message"),
    [
        ({}, ["mass"], "no column 'mass' (needed by inputs.jet, task.decorrelate.variable)"),
        ({"variable": "flat"}, [], "task.decorrelate.variable: 'flat' is 5 in all"),
        ({"variable": "gaps"}, [], "task.decorrelate.variable: 'gaps' is NaN or infinite in"),
        ({"classes": ["none"]}, [], "task.decorrelate.classes: no row of the training data is of"),
        ({"classes": ["qdc"]}, [], "there is no class 'qdc'; did you mean 'qcd'?"),
        ({"method": "disoc"}, [], "task.decorrelate.method: expected disco"),
    ],
)
def test_bad_input_has_one_message_and_leaves_nothing(story, capsys, change, drop, message):
    columns = {
        **story.columns_of,
        "flat": np.full(ROWS, 5.0),
        "gaps": np.where(np.arange(ROWS) % 7 == 3, np.nan, 1.0),
        "none": np.zeros(ROWS),
    }
    labels = {"type": "simple", "value": ["top", "w", "qcd", "none"]}
    story.write(change, drop, columns, labels=labels)
    assert story.train() == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not list(story.folder.glob("net*state.pt"))


def test_classes_that_are_learnt_beside_targets_are_decorrelated(story, capsys):
    labels = [
        {"type": "simple", "value": ["top", "w", "qcd"]},
        {"type": "custom", "value": {"y": "2 * x"}},
    ]
    story.write(labels=labels, task={"name": "hybrid", "decorrelate": DISCO})
    assert story.train("--watch", "auc - 0.1*sculpting@0.5_top") == 0
    assert "train/disco" in capsys.readouterr().err
    best = json.loads((story.folder / "net_metrics.json").read_text())["metrics"]
    assert {"correlation_top", "sculpting_excess@0.3_w", "mae_y"} <= best.keys()


def test_a_task_that_cannot_decorrelate_says_so(story, capsys):
    (story.folder / "own.py").write_text(TASK_OF_ITS_OWN)
    story.write()
    assert story.train("-n", story.folder / "own.py") == 1
    expected = "task.decorrelate: the task own cannot; classification and hybrid can"
    assert expected in capsys.readouterr().err


def test_the_worked_example_trains_on_jets_like_those_of_the_simulation(tmp_path):
    random = np.random.default_rng(2)
    top = np.arange(ROWS) % 2
    pt = random.uniform(550, 650, ROWS)
    eta = random.uniform(-2, 2, ROWS)
    mass = np.where(top, random.normal(173, 20, ROWS), random.uniform(30, 260, ROWS))
    columns = {
        "jet_pt": pt,
        "jet_eta": eta,
        "jet_energy": np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2),
        "jet_sdmass": mass,
        "jet_nparticles": random.integers(20, 120, ROWS),
        **{f"jet_tau{number}": random.uniform(0.01, 0.4, ROWS) for number in (1, 2, 3, 4)},
        "label_Tbqq": top,
        "label_QCD": 1 - top,
    }
    ak.to_parquet(ak.Array(columns), tmp_path / "jets.parquet")
    flags = ["-c", "weaver_tt:decorrelation", "-n", "weaver_tt:mlp", "-o", "layers", "8"]
    flags += ["-i", tmp_path / "jets.parquet", "-m", tmp_path / "net", "--num-epochs", 1]
    flags += ["--batch-size", 50, "--no-figures", "--tensorboard", "off"]
    assert cli.train([str(flag) for flag in flags]) == 0
    metrics = json.loads((tmp_path / "net_metrics.json").read_text())
    assert len(metrics["sculpting"]["jet_sdmass"]["label_Tbqq"]["profile"]) == 20


def test_the_first_weights_of_an_adversary_follow_from_the_seed(story):
    story.write({"method": "adversary"})
    config = load_config(str(story.folder / "data.yaml"))
    options = RunOptions()
    before = torch.random.get_rng_state()
    first, again, other = [make_run_task(config, options, seed) for seed in (1, 1, 2)]
    assert torch.equal(before, torch.random.get_rng_state())
    name = "adversary.layers.0.weight"
    weights = [task.modules.state_dict()[name] for task in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
