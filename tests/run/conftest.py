"""Trainings of a few rows that take a moment, and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import yaml

from weaver_tt import cli
from weaver_tt.options.train import RunOptions, parse_options
from weaver_tt.run.continuation import as_saved
from weaver_tt.run.run_card import make_card

DATA = """
inputs:
  jet: {length: null, vars: [x, y]}
preprocess: {method: auto}
labels: {type: simple, value: [is_a, is_b]}
observers: [number]
"""

NETWORK = """
import torch


class Net(torch.nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(2, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 2)
        )

    def forward(self, jet):
        return self.layers(jet)


def get_model(data_config, hidden=3, **options):
    return Net(hidden), {}
"""


def write_jets(path: Path, rows: int = 20) -> None:
    """Rows of two classes."""
    random = np.random.default_rng(1)
    is_a = np.arange(rows) // 2 % 2
    columns = {
        "x": random.normal(size=rows) + is_a,
        "y": random.normal(size=rows),
        "is_a": is_a,
        "is_b": 1 - is_a,
        "number": np.arange(rows),
    }
    ak.to_parquet(ak.zip(columns), path)


class SmallRun:
    """``train.py`` on a few rows, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = folder / "m" / "net"
        write_jets(folder / "jets.parquet")
        (folder / "data.yaml").write_text(DATA)
        (folder / "net.py").write_text(NETWORK)

    def __call__(self, *flags: object) -> int:
        """Train with the flags; returns the exit code."""
        return cli.train(self.flags(*flags))

    def flags(self, *more: object, **own: object) -> list[str]:
        """The usual flags of a training, ``own`` ones of a command, and ``more``.

        ``more`` may have some of the others, which are then left out.
        """
        usual: dict[str, object] = {
            "-i": self.folder / "jets.parquet",
            "-c": self.folder / "data.yaml",
            "-n": self.folder / "net.py",
            "-m": self.prefix,
            "--num-epochs": 1,
            "--batch-size": 4,
            "--optimizer": "adam",
            "--gpus": "",
            "--tensorboard": "off",
        }
        usual |= {f"--{name}": value for name, value in own.items()}
        flags = []
        for name, value in usual.items():
            if name not in more:
                flags += [name, str(value)]
        return [*flags, "--no-progress", "--no-figures", *map(str, more)]

    def files(self) -> set[str]:
        """The names of all files below the folder of the model."""
        return {
            str(path.relative_to(self.prefix.parent))
            for path in self.prefix.parent.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def small_run(tmp_path) -> SmallRun:
    """``train.py`` on a few rows."""
    return SmallRun(tmp_path)


# --- one that draws random numbers in many ways

NOISY_NETWORK = """
import random
import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.layers = nn.Sequential(nn.Linear(2, width), nn.Dropout(0.5), nn.Linear(width, 2))

    def forward(self, event):
        noise = random.random() + np.random.rand()
        return self.layers(self.norm(event)) * (1 + 0.1 * noise)


def get_model(data_config, width=4):
    return Net(width), {"input_names": ["event"]}
"""

TWO_CLASSES = {
    "inputs": {"event": {"length": None, "vars": ["x", ["n", None]]}},
    "labels": {"type": "simple", "value": ["is_a", "is_b"]},
    "preprocess": {"method": "auto"},
    "observers": ["n"],
}


class SmallTraining:
    """A working folder ``path`` with 40 rows of two classes, a network file and a data YAML."""

    def __init__(self, path: Path) -> None:
        self.path = path
        random = np.random.default_rng(1)
        for name, is_a in (("a", 1), ("b", 0)):
            content = {
                "x": random.normal(is_a, 1, 40).astype("f4"),
                "n": np.arange(40),
                "is_a": np.full(40, is_a),
                "is_b": np.full(40, 1 - is_a),
            }
            ak.to_parquet(ak.Array(content), path / f"{name}.parquet")
        (path / "net.py").write_text(NOISY_NETWORK)

    def flags(self, *more: str, config: dict[str, Any] | None = None) -> list[str]:
        """Those of two epochs, and ``more``; ``config`` replaces keys of the YAML."""
        (self.path / "d.yaml").write_text(yaml.safe_dump(TWO_CLASSES | (config or {})))
        usual = "-i a.parquet b.parquet -c d.yaml -n net.py -m out/net --batch-size 8"
        quiet = "--num-epochs 2 --gpus= --no-figures --no-progress --tensorboard off --seed 3"
        return [*usual.split(), *quiet.split(), *more]

    def options(self, *more: str, config: dict[str, Any] | None = None) -> RunOptions:
        """The options that :meth:`flags` are."""
        return parse_options(self.flags(*more, config=config))

    def change_network(self, before: str, after: str) -> None:
        """Replace a part of the network file."""
        assert before in NOISY_NETWORK
        (self.path / "net.py").write_text(NOISY_NETWORK.replace(before, after))


@pytest.fixture
def training(tmp_path, monkeypatch) -> SmallTraining:
    """A small training in the working folder."""
    monkeypatch.chdir(tmp_path)
    return SmallTraining(tmp_path)


@pytest.fixture
def card() -> dict[str, Any]:
    """The card of a run with usual options, as it comes back from its file."""
    files = {"training": {"_": {"a.root": 3}}, "validation": {}}
    return as_saved(make_card(RunOptions(), seed=7, data_files=files, texts={"data": "inputs: {}"}))
