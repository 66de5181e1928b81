"""``train.py`` as a user runs it: tasks x formats x torch and ONNX, and its words on bad input."""

import json
import re
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pytest
import torch
import uproot
import yaml

from weaver_tt import cli
from weaver_tt.applications.truth_tagging import toy

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
EDGES = str(ROOT / "network_configs" / "truth_tagging_edges.py")
TRUTH_TAGGING = str(ROOT / "data_configs" / "truth_tagging.yaml")
SMALL = [
    "-o",
    "hidden",
    "8",
    "--batch-size",
    "100",
    "--optimizer",
    "adam",
    "--gpus",
    "",
    "--no-progress",
    "--tensorboard",
    "off",
]

POOLING = """
import torch


class Pool(torch.nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.each = torch.nn.Linear(features, 8)
        self.all = torch.nn.Linear(8, outputs)

    def forward(self, particles, mask, event):
        hidden = torch.relu(self.each(particles.transpose(1, 2))) * mask.transpose(1, 2)
        return self.all(hidden.sum(1) + event)


def get_model(data_config, **options):
    labels = data_config.label_value
    return Pool(len(data_config.input_dicts["particles"]), len(labels)), {
        "input_names": data_config.input_names, "output_names": ["output"]
    }
"""

PARTICLES = {
    "selection": "jet_mass > 5",
    "new_variables": {"particles_mask": "ak.ones_like(part_pt)", "log_pt": "np.log(part_pt)"},
    "preprocess": {"method": "auto"},
    "inputs": {
        "particles": {"length": 6, "vars": ["log_pt", ["part_eta", None]]},
        "particles_mask": {"length": 6, "vars": [["particles_mask", None]]},
        "event": {"length": None, "vars": ["jet_mass"]},
    },
    "observers": ["jet_mass", "part_pt", "number"],
}
CLASSES = PARTICLES | {"labels": {"type": "simple", "value": ["is_top", "is_qcd"]}}
TARGET = PARTICLES | {"labels": {"type": "custom", "value": {"ratio": "jet_mass / 50"}}}


def run(*arguments: object) -> int:
    figures = (
        [] if "--figures" in arguments or "-h" in arguments else ["--no-figures"]
    )  # they take a second to draw
    return cli.train([*(str(argument) for argument in arguments), *figures])


def trained(folder: Path, data: Path, *more: object) -> Path:
    prefix = folder / "model" / "net"
    assert (
        run(
            "-i",
            data,
            "-c",
            TRUTH_TAGGING,
            "-n",
            EDGES,
            "-m",
            prefix,
            *SMALL,
            "--num-epochs",
            1,
            "--seed",
            3,
            *more,
        )
        == 0
    )
    return prefix


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "toy.root"
    toy.write_toy(path, 1_501, seed=5)
    return path


@pytest.fixture(scope="module")
def model(events, tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"), events)


@pytest.fixture(scope="module")
def particles():
    """1,203 jets of 0 to 9 particles, one column of each kind."""
    rng = np.random.default_rng(1)
    rows = 1_203
    counts = rng.integers(0, 10, rows)
    top = rng.integers(0, 2, rows)
    return {
        "part_pt": ak.unflatten(rng.exponential(1, counts.sum()).astype(np.float32) + 0.1, counts),
        "part_eta": ak.unflatten(rng.normal(0, 1, counts.sum()).astype(np.float32), counts),
        "jet_mass": (rng.normal(40, 20, rows) + 30 * top).astype(np.float32),
        "is_top": top.astype(np.uint8),
        "is_qcd": (1 - top).astype(np.uint8),
        "number": np.arange(rows, dtype=np.int64),
    }


def write_root(path, columns):
    kinds = {name: ak.type(ak.Array(values)).content for name, values in columns.items()}
    with uproot.recreate(path) as file:
        file.mktree("tree", kinds, counter_name=lambda name: "n" + name).extend(columns)


def write_parquet(path, columns):
    ak.to_parquet(ak.zip(columns, depth_limit=1), path, extensionarray=False, row_group_size=500)


def write_hdf5(path, columns):
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            if isinstance(values, ak.Array):
                continue
            file[name] = values
        table = np.zeros(
            (len(columns["number"]), 10), dtype=[("pt", "f4"), ("eta", "f4"), ("valid", "?")]
        )
        for field in ("pt", "eta"):
            table[field] = ak.to_numpy(ak.fill_none(ak.pad_none(columns[f"part_{field}"], 10), 0))
        table["valid"] = np.arange(10) < ak.to_numpy(ak.num(columns["part_pt"]))[:, None]
        file["part"] = table


WRITERS = {".root": write_root, ".parquet": write_parquet, ".h5": write_hdf5}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("config", [CLASSES, TARGET], ids=["classification", "regression"])
def test_every_task_runs_on_every_format_and_onnx_writes_the_same_file(
    tmp_path, particles, config, suffix
):
    data, yaml_path, network = (
        tmp_path / f"jets{suffix}",
        tmp_path / "data.yaml",
        tmp_path / "pool.py",
    )
    WRITERS[suffix](data, particles)
    yaml_path.write_text(yaml.safe_dump(config, sort_keys=False))
    network.write_text(POOLING)
    common = ["-c", yaml_path, "-n", network, "-m", tmp_path / "net", "--gpus", ""]
    assert (
        run(
            "-i",
            data,
            *common,
            "--num-epochs",
            2,
            "--batch-size",
            100,
            "--optimizer",
            "adam",
            "--no-progress",
            "--seed",
            1,
        )
        == 0
    )
    assert run("--predict", "-t", data, *common, "--predict-output", tmp_path / "pred.root") == 0
    assert run("--export-onnx", tmp_path / "model.onnx", *common) == 0
    onnx = ["-c", yaml_path, "-m", tmp_path / "model.onnx"]
    assert run("--predict", "-t", data, *onnx, "--predict-output", tmp_path / "onnx.root") == 0
    with uproot.open(tmp_path / "pred.root") as one, uproot.open(tmp_path / "onnx.root") as two:
        torch_columns, onnx_columns = one["tree"].arrays(), two["tree"].arrays()
    passed = particles["jet_mass"] > 5
    assert torch_columns["number"].tolist() == particles["number"][passed].tolist()
    assert torch_columns["part_pt"].tolist() == particles["part_pt"][passed].tolist()
    scores = [
        name
        for name in torch_columns.fields
        if name.startswith(("score_", "ratio", "pred_", "output"))
    ]
    assert scores
    for name in torch_columns.fields:
        one, two = (
            ak.flatten(columns[name], axis=None).to_numpy()
            for columns in (torch_columns, onnx_columns)
        )
        assert one == pytest.approx(two, abs=1e-5)


def test_truth_tagging_from_toy_to_weights(tmp_path, events, model):
    common = ["-c", TRUTH_TAGGING, "-n", EDGES, "-m", model, "-o", "hidden", 8, "--gpus", ""]
    assert (
        run("--predict", "-t", events, *common, "--predict-output", tmp_path / "pred.parquet") == 0
    )
    assert run("--export-onnx", tmp_path / "onnx" / "model.onnx", *common) == 0
    onnx = ["-c", TRUTH_TAGGING, "-m", tmp_path / "onnx" / "model.onnx"]
    assert run("--predict", "-t", events, *onnx, "--predict-output", tmp_path / "onnx.parquet") == 0
    one, two = (
        ak.from_parquet(tmp_path / "pred.parquet"),
        ak.from_parquet(tmp_path / "onnx.parquet"),
    )
    with uproot.open(events) as file:
        truth = file["tree"].arrays()
    assert one["event_number"].tolist() == truth["event_number"].tolist()
    assert ak.num(one["jet_eff"]).tolist() == ak.num(truth["jet_pt"]).tolist()
    assert ak.all((one["jet_eff"] > 0) & (one["jet_eff"] < 1))
    assert ak.max(abs(one["jet_eff"] - two["jet_eff"])) < 1e-5
    assert (
        cli.main(
            [
                "closure",
                str(tmp_path / "pred.parquet"),
                "--map-from",
                str(events),
                "-o",
                str(tmp_path / "closure"),
            ]
        )
        == 0
    )
    assert {"map", "network"} <= json.loads((tmp_path / "closure" / "closure.json").read_text())[
        "residuals"
    ].keys()
    assert (
        cli.main(
            [
                "weights",
                str(tmp_path / "pred.parquet"),
                "--exactly",
                "2",
                "--leading",
                "2",
                "-o",
                str(tmp_path / "weights.root"),
            ]
        )
        == 0
    )
    with uproot.open(tmp_path / "weights.root") as file:
        weights = file["tree"].arrays()
    name = next(field for field in weights.fields if "exactly2" in field)
    assert weights[name].to_numpy() == pytest.approx(
        (one["jet_eff"][:, 0] * one["jet_eff"][:, 1]).to_numpy(), rel=1e-5
    )


def test_files_of_a_run_are_those_of_the_documentation(model):
    names = {path.name for path in model.parent.iterdir()}
    assert {
        "net_epoch-0_state.pt",
        "net_best_epoch_state.pt",
        "net_resume.pt",
        "net_run.json",
        "net_sample.npz",
        "net_sample.parquet",
        "net_metrics.json",
        "net.log",
    } <= names
    assert not [name for name in names if name.endswith(".part")]
    card = json.loads((model.parent / "net_run.json").read_text())
    assert card["seed"] == 3
    assert card["best"][0]["loss"] > 0
    assert "jet_istag" in card["configs"]["data"]


def test_the_same_seed_gives_the_same_weights_bit_for_bit(tmp_path, events, model):
    again = trained(tmp_path, events)
    one, two = (
        torch.load(f"{prefix}_best_epoch_state.pt", weights_only=True) for prefix in (model, again)
    )
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_an_ensemble_gives_mean_and_spread_in_torch_and_in_one_onnx(tmp_path, events):
    prefix = trained(tmp_path, events, "--ensemble", 2)
    common = ["-c", TRUTH_TAGGING, "-n", EDGES, "-m", prefix, "-o", "hidden", 8, "--gpus", ""]
    assert {path.name for path in prefix.parent.glob("*best*")} == {
        "net_member-0_best_epoch_state.pt",
        "net_member-1_best_epoch_state.pt",
    }
    assert (
        run("--predict", "-t", events, *common, "--predict-output", tmp_path / "both.parquet") == 0
    )
    for member in (0, 1):
        single = [
            "-m",
            f"{prefix}_member-{member}",
            "--predict-output",
            tmp_path / f"{member}.parquet",
        ]
        assert run("--predict", "-t", events, *common, *single) == 0
    assert run("--export-onnx", tmp_path / "model.onnx", *common) == 0
    assert (
        run(
            "--predict",
            "-t",
            events,
            "-c",
            TRUTH_TAGGING,
            "-m",
            tmp_path / "model.onnx",
            "--predict-output",
            tmp_path / "onnx.parquet",
        )
        == 0
    )
    both, onnx, *members = (
        ak.from_parquet(tmp_path / f"{name}.parquet") for name in ("both", "onnx", "0", "1")
    )
    first, second = (ak.flatten(member["jet_eff"]).to_numpy() for member in members)
    for columns in (both, onnx):
        assert ak.flatten(columns["jet_eff"]).to_numpy() == pytest.approx(
            (first + second) / 2, abs=1e-6
        )
        assert ak.flatten(columns["jet_eff_std"]).to_numpy() == pytest.approx(
            abs(first - second) / 2, abs=1e-5
        )


LEARNT_LOSS = """
from torch import nn

def get_loss(data_config):
    return nn.Bilinear(1, 1, 1)
"""


def test_what_the_tasks_of_an_ensemble_train_starts_from_each_members_own_seed(tmp_path, events):
    file = tmp_path / "learnt.py"
    file.write_text(Path(EDGES).read_text() + LEARNT_LOSS)
    # the learning rate leaves the first weights as they are, within rounding
    flags = ["--ensemble", 2, "-n", file, "--start-lr", 1e-12]
    prefix = trained(tmp_path, events, *flags)
    first, second = (
        torch.load(f"{prefix}_member-{number}_epoch-0_task.pt", weights_only=True)["weight"]
        for number in (0, 1)
    )
    assert not torch.allclose(first, second, atol=1e-3)


def test_an_ensemble_of_classifiers_is_reported_beside_its_members(tmp_path, particles):
    write_parquet(tmp_path / "jets.parquet", particles)
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(CLASSES, sort_keys=False))
    (tmp_path / "pool.py").write_text(POOLING)
    data, common = (
        tmp_path / "jets.parquet",
        ["-c", tmp_path / "data.yaml", "-n", tmp_path / "pool.py", "--gpus", ""],
    )
    small = [
        "--num-epochs",
        1,
        "--batch-size",
        100,
        "--optimizer",
        "adam",
        "--no-progress",
        "--seed",
        1,
        "--tensorboard",
        "off",
    ]
    assert (
        run(
            "-i",
            data,
            *common,
            "-m",
            tmp_path / "net",
            *small,
            "--ensemble",
            2,
            "--watch",
            "accuracy",
        )
        == 0
    )
    for prefix in ("net", "net_member-0", "net_member-1"):
        assert (
            run(
                "--predict",
                "-t",
                data,
                *common,
                "-m",
                tmp_path / prefix,
                "--predict-output",
                tmp_path / f"{prefix}.parquet",
            )
            == 0
        )
    assert run("--export-onnx", tmp_path / "net.onnx", *common, "-m", tmp_path / "net") == 0
    onnx = [
        "-c",
        tmp_path / "data.yaml",
        "-m",
        tmp_path / "net.onnx",
        "--predict-output",
        tmp_path / "onnx.parquet",
    ]
    assert run("--predict", "-t", data, *onnx) == 0
    tables = {
        name: ak.from_parquet(tmp_path / f"{name}.parquet")
        for name in ("net", "net_member-0", "net_member-1", "onnx")
    }
    score = next(
        name
        for name in tables["net"].fields
        if name.startswith("score_") and not name.endswith("_std")
    )
    mean = (tables["net_member-0"][score] + tables["net_member-1"][score]) / 2
    for whole in ("net", "onnx"):
        assert tables[whole][score].to_numpy() == pytest.approx(mean.to_numpy(), abs=1e-5)
    assert (
        cli.main(
            [
                "report",
                *(str(tmp_path / f"{name}.parquet") for name in tables),
                "-o",
                str(tmp_path / "report"),
            ]
        )
        == 0
    )
    models = json.loads((tmp_path / "report" / "metrics.json").read_text())["models"]
    assert models.keys() == tables.keys()
    measured = json.loads((tmp_path / "net_metrics.json").read_text())
    assert models["net"]["accuracy"]["value"] == pytest.approx(measured["metrics"]["accuracy"])


def test_resume_without_anything_to_resume_starts_afresh(tmp_path, events, capsys):
    trained(tmp_path, events, "--resume")
    assert "afresh" in capsys.readouterr().err


def test_print_needs_no_data(capsys):
    assert (
        run("--print", "-c", TRUTH_TAGGING, "-n", ROOT / "network_configs" / "truth_tagging_gnn.py")
        == 0
    )
    assert "1,435,245" in capsys.readouterr().out


def test_nanoaod_goes_all_the_way(tmp_path):
    data = SHARED / "cms_nanov12_ttbar_200ev.root"
    if not data.exists():
        pytest.skip("no shared data here")
    config = ROOT / "data_configs" / "nanoaod_btag_efficiency.yaml"
    common = ["-c", config, "-n", EDGES, "-m", tmp_path / "net", "-o", "hidden", 8, "--gpus", ""]
    assert (
        run(
            "-i",
            data,
            *common,
            "--num-epochs",
            1,
            "--batch-size",
            32,
            "--no-progress",
            "--optimizer",
            "adam",
        )
        == 0
    )
    assert run("--predict", "-t", data, *common, "--predict-output", tmp_path / "pred.root") == 0
    assert run("--export-onnx", tmp_path / "model.onnx", *common) == 0
    assert cli.main(["closure", str(tmp_path / "pred.root"), "-o", str(tmp_path / "closure")]) == 0
    with uproot.open(tmp_path / "pred.root") as file:
        predicted = file["Events"].arrays(["jet_eff", "event"])
    with uproot.open(data) as file:
        jets = file["Events"].arrays(["Jet_pt", "Jet_eta", "Jet_btagDeepFlavB", "event"])
    counted = (
        (jets["Jet_pt"] > 20) & (abs(jets["Jet_eta"]) < 2.5) & (jets["Jet_btagDeepFlavB"] >= 0)
    )
    assert ak.num(predicted["jet_eff"]).tolist() == ak.sum(counted, axis=1).tolist()
    assert predicted["event"].tolist() == jets["event"].tolist()


# --- bad input: one message, exit code 1


def refused(capsys, *arguments: object) -> str:
    capsys.readouterr()
    assert run(*arguments) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return err


def test_missing_flags_are_named(capsys):
    assert "--data-train" in refused(capsys, "-c", TRUTH_TAGGING, "-n", EDGES)
    assert "--data-config" in refused(capsys, "-i", "x.root", "-n", EDGES)
    assert "--data-test" in refused(
        capsys, "--predict", "-c", TRUTH_TAGGING, "-n", EDGES, "-m", "model"
    )


def test_a_missing_network_file_is_met_with_the_nearest(tmp_path, capsys, events):
    message = refused(
        capsys,
        "-i",
        events,
        "-c",
        TRUTH_TAGGING,
        "-n",
        EDGES.replace("edges", "edge"),
        "-m",
        tmp_path / "net",
        *SMALL,
    )
    assert "truth_tagging_edges.py" in message


def test_no_file_matches(tmp_path, capsys):
    assert "nothing_*.root" in refused(
        capsys,
        "-i",
        tmp_path / "nothing_*.root",
        "-c",
        TRUTH_TAGGING,
        "-n",
        EDGES,
        "-m",
        tmp_path / "net",
        *SMALL,
    )


def test_a_misspelt_yaml_key_is_met_with_the_nearest(tmp_path, capsys, events):
    path = tmp_path / "bad.yaml"
    path.write_text(Path(TRUTH_TAGGING).read_text().replace("length:", "lenght:"))
    message = refused(capsys, "-i", events, "-c", path, "-n", EDGES, "-m", tmp_path / "net", *SMALL)
    assert "lenght" in message
    assert "did you mean 'length'" in message


def test_a_missing_branch_is_met_with_the_nearest(tmp_path, capsys, events):
    path = tmp_path / "bad.yaml"
    path.write_text(Path(TRUTH_TAGGING).read_text().replace("[jet_istag]", "[jet_istagg]"))
    message = refused(capsys, "-i", events, "-c", path, "-n", EDGES, "-m", tmp_path / "net", *SMALL)
    assert "jet_istagg" in message
    assert "'jet_istag'" in message


def test_what_test_files_lack_is_told_before_training(tmp_path, capsys, events):
    path = tmp_path / "bad.yaml"
    path.write_text(
        Path(TRUTH_TAGGING).read_text().replace("observers:", "observers:\n  - evnt_number")
    )
    message = refused(
        capsys, "-i", events, "-t", events, "-c", path, "-n", EDGES, "-m", tmp_path / "net", *SMALL
    )
    assert "no column 'evnt_number'" in message
    assert not list(tmp_path.glob("net*.pt"))


def test_a_missing_tree_is_met_with_the_nearest(tmp_path, capsys, events):
    path = tmp_path / "bad.yaml"
    path.write_text(Path(TRUTH_TAGGING).read_text().replace("treename: tree", "treename: trees"))
    assert "'tree'" in refused(
        capsys, "-i", events, "-c", path, "-n", EDGES, "-m", tmp_path / "net", *SMALL
    )


@pytest.fixture
def broken(tmp_path, events):
    path = tmp_path / "broken.root"
    content = Path(events).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def test_a_file_cut_short_stops_the_run(tmp_path, capsys, events, broken):
    assert "broken.root" in refused(
        capsys,
        "-i",
        events,
        broken,
        "-c",
        TRUTH_TAGGING,
        "-n",
        EDGES,
        "-m",
        tmp_path / "net",
        *SMALL,
    )


def test_a_file_cut_short_can_be_skipped_and_is_reported(tmp_path, capsys, events, broken):
    common = ["-c", TRUTH_TAGGING, "-n", EDGES, "-m", tmp_path / "net", *SMALL, "--num-epochs", 1]
    assert run("-i", events, broken, *common, "--on-bad-file", "skip") == 3
    assert "broken.root" in capsys.readouterr().err


def test_nothing_passes_the_selection(tmp_path, capsys, events):
    path = tmp_path / "none.yaml"
    path.write_text(Path(TRUTH_TAGGING).read_text() + "\nselection: event_number < 0\n")
    message = refused(capsys, "-i", events, "-c", path, "-n", EDGES, "-m", tmp_path / "net", *SMALL)
    assert "event_number < 0" in message


def test_a_forbidden_expression_is_shown(tmp_path, capsys, events):
    path = tmp_path / "evil.yaml"
    path.write_text(
        Path(TRUTH_TAGGING).read_text() + "\nselection: \"__import__('os').system('true')\"\n"
    )
    assert "__import__" in refused(
        capsys, "-i", events, "-c", path, "-n", EDGES, "-m", tmp_path / "net", *SMALL
    )


def test_a_checkpoint_of_another_network_names_the_keys(tmp_path, capsys, events, model):
    common = ["-c", TRUTH_TAGGING, "-n", EDGES, "-m", model, "-o", "hidden", 16, "--gpus", ""]
    message = refused(
        capsys, "--predict", "-t", events, *common, "--predict-output", tmp_path / "pred.root"
    )
    assert "(16, 16) in the network, (8, 8) in the file" in message
    assert not (tmp_path / "pred.root").exists()


def test_a_model_that_is_not_there_is_met_with_those_that_are(tmp_path, capsys, events, model):
    common = ["-c", TRUTH_TAGGING, "-n", EDGES, "-m", f"{model}x", "--gpus", ""]
    assert f"did you mean '{model}'?" in refused(capsys, "--predict", "-t", events, *common)


def test_auto_without_statistics_is_an_error(tmp_path, capsys, particles):
    write_root(tmp_path / "jets.root", particles)
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(CLASSES, sort_keys=False))
    (tmp_path / "pool.py").write_text(POOLING)
    (tmp_path / "net_best_epoch_state.pt").touch()
    common = [
        "-c",
        tmp_path / "data.yaml",
        "-n",
        tmp_path / "pool.py",
        "-m",
        tmp_path / "net",
        "--gpus",
        "",
    ]
    assert "auto" in refused(capsys, "--predict", "-t", tmp_path / "jets.root", *common)


def test_an_output_folder_that_cannot_be_written_to(tmp_path, capsys, events):
    (tmp_path / "file").touch()
    assert "file" in refused(
        capsys,
        "-i",
        events,
        "-c",
        TRUTH_TAGGING,
        "-n",
        EDGES,
        "-m",
        tmp_path / "file" / "net",
        *SMALL,
    )


def test_an_error_in_the_users_network_file_is_shown_by_its_lines(tmp_path, events, capfd):
    (tmp_path / "bad.py").write_text(
        "def get_model(data_config, **options):\n    return undefined_name\n"
    )
    code = run(
        "-i",
        events,
        "-c",
        TRUTH_TAGGING,
        "-n",
        tmp_path / "bad.py",
        "-m",
        tmp_path / "net",
        *SMALL[3:],
    )
    assert code == 1
    shown = capfd.readouterr().err
    assert 'bad.py", line 2, in get_model\n    return undefined_name\nNameError: name' in shown
    assert "Traceback" not in shown


# --- more than one training, and less


@pytest.fixture
def folder(tmp_path, particles):
    """Data, YAML and network file."""
    write_root(tmp_path / "jets.root", particles)
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(CLASSES, sort_keys=False))
    (tmp_path / "pool.py").write_text(POOLING)
    return tmp_path


def quick(folder: Path, *more: object) -> list[object]:
    data = [
        "-i",
        folder / "jets.root",
        "-c",
        folder / "data.yaml",
        "-n",
        folder / "pool.py",
        "-m",
        folder / "run" / "net",
    ]
    return [
        *data,
        "--gpus",
        "",
        "--num-epochs",
        1,
        "--batch-size",
        100,
        "--optimizer",
        "adam",
        "--no-progress",
        "--tensorboard",
        "off",
        *more,
    ]


def test_cross_validation_predicts_each_row_with_the_network_that_has_not_seen_it(
    folder, particles
):
    more = [
        "-t",
        folder / "jets.root",
        "--cross-validation",
        "number%3",
        "--predict-output",
        folder / "pred.parquet",
        "--seed",
        1,
    ]
    assert run(*quick(folder, *more)) == 0
    names = {path.name for path in (folder / "run").iterdir()}
    assert {
        f"net_fold-{fold}_{end}"
        for fold in range(3)
        for end in ("best_epoch_state.pt", "run.json", "sample.npz")
    } <= names
    found = ak.from_parquet(folder / "pred.parquet")
    passed = particles["number"][particles["jet_mass"] > 5]
    assert found["number"].tolist() == [n for fold in range(3) for n in passed if n % 3 == fold]
    for fold in range(3):
        common = [
            "-c",
            folder / "data.yaml",
            "-n",
            folder / "pool.py",
            "-m",
            folder / "run" / f"net_fold-{fold}",
            "--gpus",
            "",
        ]
        assert (
            run(
                "--predict",
                "-t",
                folder / "jets.root",
                *common,
                "--predict-output",
                folder / "one.parquet",
            )
            == 0
        )
        one = ak.from_parquet(folder / "one.parquet")
        held_out = one["number"].to_numpy() % 3 == fold
        mine = found["number"].to_numpy() % 3 == fold
        assert found["score_is_top"][mine].to_numpy() == pytest.approx(
            one["score_is_top"][held_out].to_numpy(), abs=1e-6
        )


def test_inputs_are_copied_read_and_removed(folder, monkeypatch, capsys):
    (folder / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder / "scratch"))
    more = [
        "--copy-inputs",
        "-t",
        f"x:{folder}/jets.root",
        "--predict-output",
        folder / "pred.root",
    ]
    assert run(*quick(folder, *more)) == 0
    assert "1 file (0.00 GB) copied to" in capsys.readouterr().err
    assert list((folder / "scratch").iterdir()) == []
    assert (folder / "pred_x.root").exists()
    card = json.loads((folder / "run" / "net_run.json").read_text())
    # the files that the user named, with their entries
    assert card["data_files"]["training"] == {"_": {str(folder / "jets.root"): 1_203}}


def test_what_only_tries_leaves_no_trained_network(folder, capsys):
    assert run(*quick(folder, "--lr-finder", "1e-4,1,30")) == 0
    assert run(*quick(folder, "--profile")) == 0
    assert run(*quick(folder, "--io-test", "-t", folder / "jets.root")) == 0
    names = {path.name for path in (folder / "run").iterdir()}
    assert {"net_lr_finder.png", "net_lr_finder.json", "net_profile"} <= names
    assert not [name for name in names if name.endswith(".pt")]
    said = capsys.readouterr().err
    read = re.findall(r"INFO +([^:\n]+): \d+ rows in \d+ batches", said)
    # a group without a name has none here
    assert read == ["training", "validation", "test"]


def test_other_yamls_and_selections_are_for_validation_and_prediction(folder, particles):
    (folder / "test.yaml").write_text(
        yaml.safe_dump(
            CLASSES | {"selection": "jet_mass > 50", "observers": ["number"]}, sort_keys=False
        )
    )
    more = [
        "--data-config-val",
        folder / "test.yaml",
        "--data-config-test",
        folder / "test.yaml",
        "--extra-selection-test",
        "number % 2 == 0",
    ]
    more += [
        "--extra-selection-train",
        "number % 5 != 0",
        "--demo",
        "--auto-clean",
        "--predict-gpus",
        "",
    ]
    assert (
        run(
            *quick(
                folder, *more, "-t", folder / "jets.root", "--predict-output", folder / "pred.root"
            )
        )
        == 0
    )
    with uproot.open(folder / "pred.root") as file:
        numbers = file["tree"]["number"].array().tolist()
    wanted = (particles["jet_mass"] > 50) & (particles["number"] % 2 == 0)
    assert numbers == particles["number"][wanted].tolist()
