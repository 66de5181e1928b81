"""The commands of Weaver's tutorial, as written, on converted files.

Old paths, old import names and old spellings in the YAML work.
"""

import json
import re
import shlex
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from weaver_tt import cli
from weaver_tt.formats import file_groups

# as written, but for the device and for the last line, which keeps the test short
COMMAND = """
  --data-train top-dataset/converted/train_file_0.awkd \\
  --data-val top-dataset/converted/val_file_0.awkd \\
  --data-test top-dataset/converted/test_file_0.awkd \\
  --data-config weaver-benchmark/data/top/{data}.yaml \\
  --network-config weaver-benchmark/networks/top/{network}.py \\
  --model-prefix outputs/{{auto}}/net \\
  --predict-output pred.root \\
  --num-workers 1 --fetch-step 1 --data-fraction 1 \\
  --gpus '' --batch-size 128 --num-epochs 20 \\
  --start-lr 5e-3 --optimizer ranger \\
  --log logs/{{auto}}.log --tensorboard {comment} \\
  --num-epochs 2 --batch-size 32 --no-progress
"""

YAML = """
selection:
   ### jets of the benchmark's window
   (jet_pt > 550) & (jet_pt < 650)
new_variables:
   pf_mask: awkward.JaggedArray.ones_like(part_energy)
   part_pt: np.hypot(part_px, part_py)
   part_pt_log: np.log(part_pt)
   part_e_log: np.log(part_energy)
   part_logptrel: np.log(part_pt/jet_pt)
   is_qcd: 1-is_top
preprocess:
   method: manual
   data_fraction:
inputs:{points}
   pf_features:
      length: 16
      vars:
         - [part_pt_log, 1.7, 0.7]
         - [part_e_log, 2.0, 0.7]
         - [part_logptrel, -4.7, 0.7]
         - [part_deta, null]
         - [part_dphi, null]
   pf_mask:
      length: 16
      vars:
         - [pf_mask, null]
labels:
   type: simple
   value: [is_top, is_qcd]
observers:
   - jet_pt
weights:
"""
POINTS = """
   pf_points:
      length: 16
      vars:
         - [part_deta, null]
         - [part_dphi, null]"""

PARTICLE_NET = """
from utils.nn.model.ParticleNet import ParticleNet
from utils.logger import _logger


def get_model(data_config, **kwargs):
    features = len(data_config.input_dicts['pf_features'])
    classes = len(data_config.label_value)
    _logger.info('%d features, %d classes' % (features, classes))
    model = ParticleNet(features, classes, [(4, (8, 8)), (4, (12, 12))], [(16, 0.1)],
                        use_fusion=False, use_fts_bn=kwargs.get('use_fts_bn', False),
                        use_counts=kwargs.get('use_counts', True),
                        for_inference=kwargs.get('for_inference', False))
    axes = {k: {0: 'N', 2: 'n_' + k.split('_')[0]} for k in data_config.input_names}
    info = {
        'input_names': list(data_config.input_names),
        'input_shapes': {k: ((1,) + s[1:]) for k, s in data_config.input_shapes.items()},
        'output_names': ['softmax'],
        'dynamic_axes': {**axes, **{'softmax': {0: 'N'}}},
    }
    return model, info


def get_loss(data_config, **kwargs):
    import torch
    return torch.nn.CrossEntropyLoss()
"""
PFN = """
import torch


class DeepSets(torch.nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        first, second = torch.nn.Conv1d(features, 16, 1), torch.nn.Conv1d(16, 16, 1)
        self.phi = torch.nn.Sequential(first, torch.nn.ReLU(), second, torch.nn.ReLU())
        self.fc = torch.nn.Linear(16, classes)

    def forward(self, features, mask):
        return self.fc((self.phi(features) * mask.bool().float()).sum(-1))


def get_model(data_config, **kwargs):
    model = DeepSets(len(data_config.input_dicts['pf_features']), len(data_config.label_value))
    return model, {'input_names': list(data_config.input_names), 'output_names': ['softmax']}
"""


def arguments(data, network, comment):
    """The command as a shell would hand it over."""
    return shlex.split(
        COMMAND.format(data=data, network=network, comment=comment).replace("\\\n", "")
    )


def jets(rows, seed):
    """Jets of 1 to 20 constituents; those of top jets lie further from the axis."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, 20, rows)
    top = random.integers(0, 2, rows)
    wide = np.repeat(0.1 + 0.2 * top, counts)
    pt, phi, eta = (
        random.exponential(20, counts.sum()) + 1,
        random.uniform(-3, 3, counts.sum()),
        random.normal(0, 1, counts.sum()),
    )
    parts = {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "energy": pt * np.cosh(eta)}
    parts |= {"deta": random.normal(0, wide), "dphi": random.normal(0, wide)}
    columns = {
        f"part_{name}": ak.unflatten(values.astype(np.float32), counts)
        for name, values in parts.items()
    }
    return ak.zip(
        columns | {"jet_pt": random.uniform(540, 660, rows).astype(np.float32), "is_top": top},
        depth_limit=1,
    )


@pytest.fixture
def weaver(tmp_path, monkeypatch):
    """The tutorial's folder, where it says to be."""
    monkeypatch.chdir(tmp_path)
    file_groups._log_successor.cache_clear()
    for folder in (
        "top-dataset/converted",
        "weaver-benchmark/data/top",
        "weaver-benchmark/networks/top",
    ):
        Path(folder).mkdir(parents=True)
    for seed, (kind, rows) in enumerate({"train": 700, "val": 300, "test": 200}.items()):
        ak.to_parquet(
            jets(rows, seed), f"top-dataset/converted/{kind}_file_0.parquet", row_group_size=100
        )
    Path("weaver-benchmark/data/top/pf_points_features.yaml").write_text(YAML.format(points=POINTS))
    Path("weaver-benchmark/data/top/pf_features_mask.yaml").write_text(YAML.format(points=""))
    Path("weaver-benchmark/networks/top/particlenet_pf.py").write_text(PARTICLE_NET)
    Path("weaver-benchmark/networks/top/pfn_pf.py").write_text(PFN)
    return tmp_path


@pytest.mark.parametrize(
    ("data", "network", "comment"),
    [
        ("pf_points_features", "particlenet_pf", "_particle_net"),
        ("pf_features_mask", "pfn_pf", "_pfn"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weaver.*")
def test_the_tutorials_training_runs_as_written(weaver, capsys, data, network, comment):
    assert cli.train(arguments(data, network, comment)) == 0
    said = capsys.readouterr().err
    message = "train_file_0.awkd: there is no such file; "
    message += "reading top-dataset/converted/train_file_0.parquet instead"
    assert said.count(message) == 1
    assert "--fetch-step is not needed" in said
    (folder,) = Path("outputs").iterdir()
    assert re.fullmatch(rf"\d{{8}}-\d{{6}}_{network}_ranger_lr0.005_batch32", folder.name)
    assert {
        "net_epoch-0_state.pt",
        "net_epoch-1_state.pt",
        "net_best_epoch_state.pt",
        "net_run.json",
    } <= {path.name for path in folder.iterdir()}
    assert Path(f"logs/{folder.name}.log").read_text().count("epoch 1: ") == 1
    (curves,) = Path("runs").iterdir()  # tensorboard --logdir=runs
    assert curves.name.endswith(comment)
    assert list(curves.glob("events.out.tfevents.*"))
    with uproot.open("pred.root") as file:
        predicted = next(iter(file.values(filter_classname="TTree"))).arrays()
    truth = jets(200, 2)
    selected = truth[(truth["jet_pt"] > 550) & (truth["jet_pt"] < 650)]
    assert predicted["jet_pt"].tolist() == selected["jet_pt"].tolist()
    assert (predicted["score_is_top"] + predicted["score_is_qcd"]).to_numpy() == pytest.approx(
        np.ones(len(selected)), abs=1e-5
    )
    assert 0 < json.loads((folder / "net_run.json").read_text())["best"][0]["accuracy"] < 1


@pytest.mark.parametrize(
    ("network", "small", "comment"),
    [
        (
            "particle_net",
            ["-o", "conv_params", "[(3, (8,)), (3, (8,))]", "-o", "fc_params", "[(8, 0.1)]"],
            "_particle_net",
        ),
        ("pfn", ["-o", "phi_sizes", "8", "-o", "f_sizes", "8"], "_pfn"),
    ],
)
def test_the_lectures_commands_run_on_what_ships(weaver, network, small, comment):
    """Convert, train, evaluate: the same commands with the examples of this package."""
    convert_reference({"train": 40, "val": 20, "test": 20})
    command = COMMAND.replace("weaver-benchmark/data/top/{data}.yaml", "weaver_tt:top_tagging")
    command = command.replace("weaver-benchmark/networks/top/{network}.py", f"weaver_tt:{network}")
    command = command.format(comment=comment).replace("\\\n", "")
    last = ["--num-epochs", "1", "--batch-size", "8", "--no-figures"]
    assert cli.train([*shlex.split(command), *small, *last]) == 0
    pt, columns = reference(20, 2)
    with uproot.open("pred.root") as file:
        predicted = next(iter(file.values(filter_classname="TTree"))).arrays()
    assert predicted["jet_pt"].to_numpy() == pytest.approx(pt, rel=1e-5)
    assert predicted["label_Tbqq"].tolist() == columns["is_signal_new"].tolist()
    assert predicted["label_QCD"].tolist() == (1 - columns["is_signal_new"]).tolist()
    both = predicted["score_label_Tbqq"] + predicted["score_label_QCD"]
    assert both.to_numpy() == pytest.approx(np.ones(20), abs=1e-5)
    (curves,) = Path("runs").iterdir()
    assert curves.name.endswith(comment)


def test_where_nothing_was_converted_the_command_that_does_it_is_named(weaver, capsys):
    Path("top-dataset/converted/val_file_0.parquet").unlink()
    assert cli.train(arguments("pf_features_mask", "pfn_pf", "_pfn")) == 1
    assert "val_file_0.awkd: no such file" in (said := capsys.readouterr().err)
    assert "`weaver-tt convert`" in said


def reference(rows, seed):
    """A table of the top tagging reference: three constituents a jet, and empty places."""
    random = np.random.default_rng(seed)
    pt, eta, phi = (
        random.uniform(540, 660, rows),
        random.uniform(-1, 1, rows),
        random.uniform(-3, 3, rows),
    )
    columns = {}
    for place, share in enumerate((0.5, 0.3, 0.2, 0.0)):
        momentum = {
            "E": pt * np.cosh(eta),
            "PX": pt * np.cos(phi),
            "PY": pt * np.sin(phi),
            "PZ": pt * np.sinh(eta),
        }
        columns |= {
            f"{name}_{place}": (share * values).astype(np.float32)
            for name, values in momentum.items()
        }
    return pt, columns | {"is_signal_new": np.arange(rows) % 2}


def convert_reference(rows_of_file):
    """Files of the reference data set in ``top-dataset``, converted as the lecture does."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    for seed, (kind, rows) in enumerate(rows_of_file.items()):
        Path(f"top-dataset/converted/{kind}_file_0.parquet").unlink()
        pandas.DataFrame(reference(rows, seed)[1]).to_hdf(
            f"top-dataset/{kind}.h5", key="table", format="table"
        )
    folders = ["-i", "top-dataset", "-o", "top-dataset/converted"]
    assert cli.main(["convert", "top", *folders, "--no-progress"]) == 0


@pytest.mark.filterwarnings("ignore:.*weaver.*")
def test_the_tutorial_runs_on_what_the_converter_wrote(weaver):
    convert_reference({"train": 200, "val": 100, "test": 60})
    path = Path("weaver-benchmark/data/top/pf_features_mask.yaml")
    path.write_text(
        path.read_text().replace("is_qcd: 1-is_top", "is_top: label\n   is_qcd: 1-label")
    )
    assert cli.train([*arguments("pf_features_mask", "pfn_pf", "_pfn"), "--no-figures"]) == 0
    pt = reference(60, 2)[0]
    with uproot.open("pred.root") as file:
        predicted = next(iter(file.values(filter_classname="TTree"))).arrays()
    assert predicted["jet_pt"].to_numpy() == pytest.approx(pt[(pt > 550) & (pt < 650)], rel=1e-5)
    assert set(predicted["is_top"].tolist()) == {0, 1}
