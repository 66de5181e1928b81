"""What is wrong is said before the first pass over the data, and before anything is written."""

from __future__ import annotations

import re
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import yaml

from weaver_tt.config.load import load_config
from weaver_tt.data import scan
from weaver_tt.data.statistics import fit
from weaver_tt.errors import WeaverError
from weaver_tt.options.train import RunOptions, parse_options
from weaver_tt.run import preflight
from weaver_tt.run import run as story

NETWORK = """
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

YAML = {
    "inputs": {"event": {"length": None, "vars": ["x", ["n", None]]}},
    "labels": {"type": "simple", "value": ["is_a", "is_b"]},
    "preprocess": {"method": "auto"},
    "observers": ["n"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with 40 rows of two classes, a network file and a data YAML."""
    random = np.random.default_rng(1)
    for name, is_a in (("a", 1), ("b", 0)):
        content = {
            "x": random.normal(is_a, 1, 40).astype("f4"),
            "n": np.arange(40),
            "is_a": np.full(40, is_a),
            "is_b": np.full(40, 1 - is_a),
        }
        ak.to_parquet(ak.Array(content), tmp_path / f"{name}.parquet")
    (tmp_path / "net.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options(*flags: str, config: dict | None = None) -> RunOptions:
    """A training of two epochs in the working folder, with ``flags`` after the usual ones."""
    Path("d.yaml").write_text(yaml.safe_dump(YAML | (config or {})))
    usual = "-i a.parquet b.parquet -c d.yaml -n net.py -m out/net --batch-size 8 --num-epochs 2"
    quiet = "--gpus= --no-figures --no-progress --tensorboard off --seed 3"
    return parse_options([*usual.split(), *quiet.split(), *flags])


def replace_in_network(before: str, after: str) -> None:
    assert before in NETWORK
    Path("net.py").write_text(NETWORK.replace(before, after))


def refuse_any_pass(*args, **more):
    raise AssertionError("a pass over the data")


def message_before_the_first_pass(chosen: RunOptions, monkeypatch) -> str:
    """The error of a training that has neither passed over the data nor written anything."""
    monkeypatch.setattr(fit, "accumulate", refuse_any_pass)
    before = sorted(Path().iterdir())
    with pytest.raises(WeaverError) as caught:
        story.run(chosen)
    assert sorted(Path().iterdir()) == before
    return str(caught.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"labels": {"type": "simple", "value": ["is_a", "is_bb"]}}, "no column 'is_bb'"),
        ({"event_weight": "weight"}, "no column 'weight'"),
        ({"selection": "m > 0"}, "no column 'm'"),
        ({"monitor_variables": ["xx"]}, "no column 'xx'; did you mean 'x'"),
        ({"observers": ["nn"]}, "no column 'nn'; did you mean 'n'"),
        (
            {
                "weights": {
                    "reweight_method": "flat",
                    "reweight_vars": {"mass": [0, 1], "n": [0, 40]},
                    "reweight_classes": ["is_a", "is_b"],
                }
            },
            "weights.reweight_vars: .*no column 'mass'",
        ),
        ({"bucketing": {"var": "size", "bins": 2}}, "no column 'size'"),
        ({"labels": {"type": "simple", "value": ["is_a", "is_a"]}}, "is_a"),
        ({"observers": ["score_is_a"], "new_variables": {"score_is_a": "n"}}, "'score_is_a'"),
    ],
)
def test_a_column_that_is_missing_anywhere(folder, config, message, monkeypatch):
    chosen = options("-t", "a.parquet", config=config)
    assert re.search(message, message_before_the_first_pass(chosen, monkeypatch))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-o", "widht", "3"], "did you mean 'width'"),
        (["-p", "lr_mult", "(3, 4)"], "lr_mult"),
        (["--watch", "acuracy"], "did you mean 'accuracy'"),
        (["--load-model-weights", "none.pt"], r"none\.pt"),
        (["--freeze-model-weights", "lines.*"], "lines"),
        (["-l", "c.parquet"], r"c\.parquet"),
        (["-t", "a.parquet", "--predict-output", "pred.txt"], r"no writer for '\.txt'"),
        (["--tensorboard-custom-fn", "fn.py"], r"fn\.py"),
        (["--lr-finder", "1,2"], "expected lowest rate, highest rate"),
        (["--cross-validation", "event%2"], "no column 'event'"),
        (["--extra-selection-val", "y > 2"], "no column 'y'"),
    ],
)
def test_a_flag_that_does_not_fit_the_data_or_the_network(folder, flags, message, monkeypatch):
    found = message_before_the_first_pass(options(*flags), monkeypatch)
    assert re.search(message, found)


LOSS = """
def get_loss(data_config):
    return lambda output, label: LOSS


def get_model"""


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("import random\n", "import no_such_module\n", "no_such_module"),
        ("nn.Linear(width, 2)", "nn.Linear(width, 3)", r"shape \(16, 3\); expected \(16, 2\)"),
        ("nn.Linear(2, width)", "nn.Linear(5, width)", "mat1 and mat2"),
        ("def get_model", LOSS.replace("LOSS", "(output.mean() - 99).log()"), "NaN or infinite"),
        ("def get_model", LOSS.replace("LOSS", "output[:3, 0]"), "get_loss: the loss has shape"),
    ],
)
def test_a_network_file_that_fails_when_it_is_used(folder, before, after, message, monkeypatch):
    replace_in_network(before, after)
    monkeypatch.setattr(fit, "accumulate", refuse_any_pass)
    with pytest.raises(Exception, match=message):
        story.run(options())
    assert not Path("out").exists()


def test_a_training_is_bit_for_bit_the_same_without_the_pre_flight(folder, monkeypatch):
    story.run(options())
    with_it = torch.load("out/net_best_epoch_state.pt")
    monkeypatch.setattr(story, "check_training", preflight.check_reading)
    story.run(options("-m", "out/without"))
    without = torch.load("out/without_best_epoch_state.pt")
    assert with_it.keys() == without.keys()
    # running statistics of the batch norm are among them
    for name, tensor in with_it.items():
        assert torch.equal(tensor, without[name]), name


def test_random_states_are_as_they_were(folder):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    chosen = options()
    preflight.check_training(load_config("d.yaml"), chosen)
    assert torch.equal(torch.rand(1), expected)


def test_files_are_looked_at_once(folder, monkeypatch):
    looked_at = []
    original = scan._scan_group

    def scan_group(group, *rest):
        looked_at.append(group.paths)
        return original(group, *rest)

    monkeypatch.setattr(scan, "_scan_group", scan_group)
    Path("c.parquet").write_bytes(Path("a.parquet").read_bytes())
    story.run(options("-l", "c.parquet"))
    assert sorted(looked_at) == [("a.parquet", "b.parquet"), ("c.parquet",)]


def test_one_row_alone_is_not_judged(folder):
    # batch norm takes no batch of one; the training itself has its say
    chosen = options(config={"selection": "(n == 39) & (is_a == 1)"})
    scans = preflight.check_training(load_config("d.yaml"), chosen)
    assert scans.validation is not None
