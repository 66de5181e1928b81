"""``train.py`` and the labels of a data YAML: what a task wants of them, and several kinds at once."""

from __future__ import annotations

import re
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import yaml

from weaver_tt import cli

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
