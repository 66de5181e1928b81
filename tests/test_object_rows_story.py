"""Jets of events as rows are the same as a file with a row for each jet, through all of a run."""

import json

import awkward as ak
import numpy as np
import pytest
import torch
import uproot
import yaml

from weaver_tt import api, cli

EVENTS = 30
NETWORK = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Conv1d(2, 4, 1)
        self.outer = torch.nn.Linear(6, 2)

    def forward(self, cands, mask, jet):
        return self.outer(torch.cat([(self.inner(cands) * mask).sum(2), jet], 1))


def get_model(data_config, **options):
    return Net(), {}
"""
CONFIG = {
    "selection": "(Jet_pt > 20) & (met > 5)",
    "new_variables": {
        "ptrel": "Cand_pt / Jet_pt",
        "mask": "ak.ones_like(Cand_pt)",
        "is_b": "Jet_flavour == 5",
        "is_light": "Jet_flavour != 5",
    },
    "preprocess": {"method": "auto"},
    "inputs": {
        "cands": {"length": 3, "vars": ["ptrel", "Cand_eta"]},
        "cand_mask": {"length": 3, "vars": [["mask", None]]},
        "jet": {"vars": ["Jet_pt", "met"]},
    },
    "labels": {"type": "simple", "value": ["is_b", "is_light"]},
    "weights": {
        "reweight_method": "flat",
        "reweight_vars": {"Jet_pt": [20, 50, 1000]},
        "reweight_classes": ["is_b", "is_light"],
        "class_weights": [1, 1],
    },
    "event_weight": "genWeight",
    "observers": ["event", "Jet_pt", "event_entry", "object_place"],
}
ROWS = {
    "objects": "Jet",
    "linked": {
        "Cand": {"owner": "JetCands_jetIdx", "index": "JetCands_candIdx"},
    },
}


def make_events():
    """Up to four jets, up to ten candidates in no order, and a table of pairs."""
    random = np.random.default_rng(3)
    events = []
    for number in range(EVENTS):
        jets = int(random.integers(0, 5))
        candidates = int(random.integers(0, 11))
        pairs = int(random.integers(0, 3 * candidates + 1)) if jets and candidates else 0
        events.append(
            {
                "event": 1000 + number,
                "met": float(random.uniform(0, 50)),
                "genWeight": float(random.choice([-1.0, 1.0, 2.0])),
                "Jet_pt": random.uniform(10, 100, jets).tolist(),
                "Jet_flavour": random.choice([0, 5], jets).tolist(),
                "Cand_pt": random.exponential(5, candidates).tolist(),
                "Cand_eta": random.normal(size=candidates).tolist(),
                "JetCands_jetIdx": random.integers(-1, max(jets, 1), pairs).tolist(),
                "JetCands_candIdx": random.integers(-1, max(candidates, 1), pairs).tolist(),
            }
        )
    return events


def flatten(events):
    """The jets, one by one, as somebody would write them to a file of their own."""
    rows = []
    for entry, event in enumerate(events):
        for place in range(len(event["Jet_pt"])):
            pairs = zip(event["JetCands_jetIdx"], event["JetCands_candIdx"], strict=True)
            own = [cand for jet, cand in pairs if jet == place and cand >= 0]
            row = {name: event[name] for name in ("event", "met", "genWeight")}
            row |= {"event_entry": entry, "object_place": place}
            row |= {name: event[name][place] for name in ("Jet_pt", "Jet_flavour")}
            row |= {name: [event[name][cand] for cand in own] for name in ("Cand_pt", "Cand_eta")}
            rows.append(row)
    return rows


@pytest.fixture
def folder(tmp_path):
    events = make_events()
    flat = flatten(events)
    assert 40 < len(flat) < 100
    ak.to_parquet(ak.Array(events), tmp_path / "events.parquet")
    ak.to_parquet(ak.Array(flat), tmp_path / "jets.parquet")
    (tmp_path / "events.yaml").write_text(yaml.safe_dump(CONFIG | {"rows": ROWS}, sort_keys=False))
    (tmp_path / "jets.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    (tmp_path / "net.py").write_text(NETWORK)
    columns = {name: ak.Array([event[name] for event in events]) for name in events[0]}
    with uproot.recreate(tmp_path / "events.root") as file:
        file.mktree("tree", {name: ak.type(values).content for name, values in columns.items()})
        file["tree"].extend(columns)
    return tmp_path


def flags(folder, kind, suffix=".parquet"):
    data = folder / f"{kind}{suffix}"
    usual = ["-c", folder / f"{kind}.yaml", "-n", folder / "net.py", "-m", folder / kind / "net"]
    usual += ["--gpus=", "--no-progress", "--tensorboard", "off", "--no-figures", "--seed", 1]
    return [str(flag) for flag in usual], str(data)


def test_training_and_prediction_are_those_of_a_file_of_jets(folder):
    """Statistics, weights, shuffling, steps and predictions: bit for bit."""
    predicted = {}
    for kind in ("events", "jets"):
        common, data = flags(folder, kind)
        training = ["-i", data, "--num-epochs", "2", "--batch-size", "7", "--num-workers", "0"]
        assert cli.train([*common, *training]) == 0
        output = folder / f"{kind}.pred.root"
        assert cli.train(["--predict", "-t", data, *common, "--predict-output", str(output)]) == 0
        predicted[kind] = uproot.open(f"{output}:tree").arrays()
    events, jets = predicted["events"], predicted["jets"]
    assert len(events) > 30
    assert events.fields == jets.fields
    assert events.to_list() == jets.to_list()
    metrics = [
        json.loads((folder / f"{kind}.pred_metrics.json").read_text())
        for kind in ("events", "jets")
    ]
    assert metrics[0] == metrics[1]
    # a prediction is found again by its event and the jet's place in it
    source = ak.from_parquet(folder / "events.parquet")
    entry, place = events["event_entry"], events["object_place"]
    assert source["Jet_pt"][entry, place].to_list() == events["Jet_pt"].to_list()
    assert source["event"][entry].to_list() == events["event"].to_list()


def test_root_gives_the_same_as_parquet(folder):
    config = api.load_config(folder / "events.yaml")
    names = ["Jet_pt", "ptrel", "met", "event_entry", "object_place"]
    tables = [
        api.read_table(config, folder / f"events{suffix}", names).to_list()
        for suffix in (".parquet", ".root")
    ]
    assert tables[0] == tables[1]
    assert len(tables[0]) > 30


def test_check_counts_jets(folder, capsys):
    common, data = flags(folder, "events")
    rows = ak.sum(ak.num(ak.from_parquet(data)["Jet_pt"]))
    unused = {"--no-progress", "--no-figures"}
    common = [flag for flag in common if flag not in unused]
    assert cli.main(["check", "-i", data, *common, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert found["groups"][0]["rows"] == rows


def test_an_interrupted_training_goes_on_with_the_same_jets(folder):
    """Three epochs at once, or one and two more."""
    common, data = flags(folder, "events")
    training = ["-i", data, "--batch-size", "7", "--lr-scheduler", "none"]
    assert cli.train([*common, *training, "--num-epochs", "3"]) == 0
    prefix = str(folder / "events" / "net")
    other = [str(folder / "o" / "net") if flag == prefix else flag for flag in common]
    assert cli.train([*other, *training, "--num-epochs", "1"]) == 0
    assert cli.train([*other, *training, "--num-epochs", "3", "--resume"]) == 0
    names = ("events", "o")
    weights = [
        torch.load(folder / name / "net_epoch-2_state.pt", weights_only=True) for name in names
    ]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_events_without_a_jet_have_no_rows_in_a_prediction(folder):
    """And the same columns as others."""
    common, data = flags(folder, "events")
    assert cli.train([*common, "-i", data, "--num-epochs", "1", "--batch-size", "7"]) == 0
    events = ak.from_parquet(data)
    ak.to_parquet(events[ak.num(events["Jet_pt"]) == 0], folder / "none.parquet")
    outputs = []
    for source in (data, str(folder / "none.parquet")):
        output = str(folder / "p.{file}.root")
        assert cli.train(["--predict", "-t", source, *common, "--predict-output", output]) == 0
        outputs.append(uproot.open(f"{output.replace('{file}', source.split('/')[-1][:-8])}:tree"))
    assert outputs[0].num_entries > 30
    assert outputs[1].num_entries == 0
    assert outputs[1].keys() == outputs[0].keys()
