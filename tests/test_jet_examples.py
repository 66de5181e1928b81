"""The worked examples for jets as a user runs them on files like those of JetClass."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from weaver_tt import cli
from weaver_tt.config.load import load_config

ROOT = Path(__file__).parents[1]
CLASSES = ["QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl"]
FLAGS = ["isChargedHadron", "isNeutralHadron", "isPhoton", "isElectron", "isMuon"]
ROWS = 20  # of each class

# network file -> options that make it small
NETWORKS = {
    "pfn": ["-o", "phi_sizes", "16,16", "-o", "f_sizes", "16"],
    "efn": ["-o", "phi_sizes", "16,16", "-o", "f_sizes", "16"],
    "p_cnn": ["-o", "conv_params", "((8,), (8,), (8,))", "-o", "fc_params", "((8, 0),)"],
    "mlp": ["-o", "layers", "16", "-o", "batch_norm", "true"],
}


def jets(name, seed):
    """JetClass-like jets of class ``name``, 0 to 9 constituents each; those of QCD are narrower."""
    random = np.random.default_rng(seed)
    counts = random.integers(0, 10, ROWS)
    total = counts.sum()
    pt, deta, dphi = (
        random.exponential(20, total) + 0.5,
        *random.normal(0, 0.1 if name == "QCD" else 0.4, (2, total)),
    )
    part = {
        "px": pt * np.cos(dphi),
        "py": pt * np.sin(dphi),
        "pz": pt * np.sinh(deta),
        "energy": pt * np.cosh(deta),
        "deta": deta,
        "dphi": dphi,
    }
    part |= {column: random.normal(0, 0.3, total) for column in ("d0val", "dzval")}
    part |= {column: random.exponential(0.2, total) for column in ("d0err", "dzerr")}
    kind = random.integers(0, 5, total)
    part |= {"charge": random.integers(-1, 2, total)} | {
        flag: kind == i for i, flag in enumerate(FLAGS)
    }
    objects = ak.unflatten(
        ak.zip({column: values.astype(np.float32) for column, values in part.items()}), counts
    )
    jet = {
        "jet_pt": ak.sum(np.hypot(objects.px, objects.py), axis=1) + 1,
        "jet_energy": ak.sum(objects.energy, axis=1) + 1,
    }
    jet |= {f"label_{label}": np.full(ROWS, label == name, dtype=np.int32) for label in CLASSES}
    return {f"part_{column}": objects[column] for column in part} | {
        column: ak.to_numpy(values) for column, values in jet.items()
    }


def write(path, classes):
    """A file of jets of all ``classes``."""
    made = [jets(name, seed) for seed, name in enumerate(classes)]
    columns = {key: ak.concatenate([part[key] for part in made]) for key in made[0]}
    with uproot.recreate(path) as file:
        file.mktree(
            "tree", {key: ak.type(values).content for key, values in columns.items()}
        ).extend(columns)


def run(*arguments):
    return cli.train([str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("data_config", "network"),
    [("top_tagging", "pfn"), ("top_tagging", "efn"), ("jetclass", "p_cnn"), ("jetclass", "mlp")],
)
def test_an_example_trains_predicts_and_is_exported(tmp_path, data_config, network):
    classes = {"top_tagging": ["Tbqq", "QCD"], "jetclass": CLASSES}[data_config]
    write(tmp_path / "jets.root", classes)
    common = [
        "-c",
        ROOT / "data_configs" / f"{data_config}.yaml",
        "-n",
        ROOT / "network_configs" / f"{network}.py",
        *NETWORKS[network],
    ]
    common += ["-m", tmp_path / "net", "--gpus", "", "--seed", 1]
    common += ["--no-progress", "--no-figures", "--tensorboard", "off"]
    assert (
        run(
            "-i",
            tmp_path / "jets.root",
            *common,
            "--num-epochs",
            1,
            "--batch-size",
            20,
            "--optimizer",
            "adam",
        )
        == 0
    )
    assert (
        run(
            "--predict",
            "-t",
            tmp_path / "jets.root",
            *common,
            "--predict-output",
            tmp_path / "pred.root",
        )
        == 0
    )
    assert run("--export-onnx", tmp_path / "model.onnx", *common) == 0
    with uproot.open(tmp_path / "pred.root") as file:
        scores = file["tree"].arrays([f"score_label_{name}" for name in classes], library="np")
    assert sum(scores.values()) == pytest.approx(np.ones(ROWS * len(classes)), abs=1e-5)


def test_the_examples_scale_the_same_columns_in_the_same_way():
    top, full = (
        load_config(str(ROOT / "data_configs" / f"{name}.yaml"))
        for name in ("top_tagging", "jetclass")
    )
    for name, group in top.inputs.items():
        assert set(group.variables) <= set(full.inputs[name].variables)
    assert [len(group.variables) for group in full.inputs.values()] == [2, 17, 4, 1]
