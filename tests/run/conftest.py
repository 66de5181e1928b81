"""A training of 20 rows that takes a moment, and its files."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from weaver_tt import cli
from weaver_tt.log import log

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
        """Train with the flags, of which some may be those below; returns the exit code."""
        usual = {
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
        arguments = []
        for name, value in usual.items():
            if name not in flags:
                arguments += [name, str(value)]
        return cli.train([*arguments, "--no-progress", "--no-figures", *map(str, flags)])

    def files(self) -> set[str]:
        """The names of all files below the folder of the model."""
        return {
            str(path.relative_to(self.prefix.parent))
            for path in self.prefix.parent.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def small_run(tmp_path):
    handlers = list(log.handlers)
    propagate = log.propagate
    yield SmallRun(tmp_path)
    # the next test finds the logger as this one did
    for handler in [handler for handler in log.handlers if handler not in handlers]:
        log.removeHandler(handler)
        handler.close()
    log.propagate = propagate
