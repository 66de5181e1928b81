"""What is wrong is said before the first pass over the data, and before anything is written."""

from __future__ import annotations

import re
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch

from weaver_tt.config.load import load_config
from weaver_tt.data import scan
from weaver_tt.data.statistics import fit
from weaver_tt.errors import DataError, WeaverError
from weaver_tt.options.train import RunOptions
from weaver_tt.run import preflight
from weaver_tt.run import run as story


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
        ({"monitor_variables": ["xx"]}, "no column 'xx' .*; did you mean 'x'"),
        ({"observers": ["nn"]}, "no column 'nn' .*; did you mean 'n'"),
        (
            {
                "weights": {
                    "reweight_method": "flat",
                    "reweight_vars": {"mass": [0, 1], "n": [0, 40]},
                    "reweight_classes": ["is_a", "is_b"],
                }
            },
            r"no column 'mass' \(needed by weights.reweight_vars\)",
        ),
        ({"bucketing": {"var": "size", "bins": 2}}, "no column 'size'"),
        ({"labels": {"type": "simple", "value": ["is_a", "is_a"]}}, "is_a"),
        ({"observers": ["score_is_a"], "new_variables": {"score_is_a": "n"}}, "'score_is_a'"),
    ],
)
def test_a_column_that_is_missing_anywhere(training, config, message, monkeypatch):
    chosen = training.options("-t", "a.parquet", config=config)
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
        (
            ["--cross-validation", "event%2"],
            r"no column 'event' \(needed by --extra.* or --cross-val",
        ),
        (["--extra-selection-val", "y > 2"], r"no column 'y' \(needed by --extra-selection"),
    ],
)
def test_a_flag_that_does_not_fit_the_data_or_the_network(training, flags, message, monkeypatch):
    found = message_before_the_first_pass(training.options(*flags), monkeypatch)
    assert re.search(message, found)


OBJECT_NETWORK = """
import torch


def get_model(data_config):
    return torch.nn.Conv1d(1, 1, 1), {}
"""


def test_labels_of_the_validation_are_what_the_network_and_the_task_want(training, monkeypatch):
    original = ak.from_parquet(training.path / "a.parquet")
    numbers = np.arange(40) % 2

    def write(name, kind, tag):
        more = {"kind": kind, "pt": ak.Array([[1.0, 2.0]] * 40), "tag": ak.Array(tag)}
        columns = {field: original[field] for field in original.fields}
        ak.to_parquet(ak.Array(columns | more), training.path / f"{name}.parquet")

    write("a", numbers, [[0, 1]] * 40)
    # a third class, where the network has two outputs, and a tag that is neither yes nor no
    write("b", np.where(numbers == 0, 0, 2), [[0, 2]] * 40)
    flags = ("-i", "a.parquet", "-l", "b.parquet")
    chosen = training.options(
        *flags, config={"labels": {"type": "custom", "value": {"kind": "kind"}}}
    )
    found = message_before_the_first_pass(chosen, monkeypatch)
    assert "b.parquet: label 'kind' is the number of a class, 0 to 1: 20 selected rows" in found
    efficiency = {
        "inputs": {"jets": {"length": 2, "vars": [["pt", None]]}},
        "labels": {"type": "per_object", "value": {"tag": "tag"}},
    }
    Path("net.py").write_text(OBJECT_NETWORK)
    chosen = training.options(*flags, config=efficiency)
    found = message_before_the_first_pass(chosen, monkeypatch)
    assert "b.parquet: label 'tag': 40 of 80 objects are neither 0 nor 1" in found


OWN_FUNCTIONS = """
def above_mean(x):
    return x > sum(x) / len(x)
"""


@pytest.mark.parametrize(
    ("changes", "flags", "place"),
    [
        ({"selection": "above_mean(x)"}, [], "d.yaml: selection 'above_mean"),
        ({"event_weight": "1 + above_mean(x)"}, [], "d.yaml: event_weight"),
        ({"test_time_selection": "above_mean(x)"}, ["-t", "a.parquet"], "d.yaml: selection"),
        ({}, ["--extra-selection-val", "above_mean(x)"], "d.yaml: selection"),
    ],
)
def test_an_own_function_that_looks_across_rows(training, changes, flags, place, monkeypatch):
    Path("own.py").write_text(OWN_FUNCTIONS)
    chosen = training.options("--custom-functions", "own.py", *flags, config=changes)
    found = message_before_the_first_pass(chosen, monkeypatch)
    assert place in found
    assert "depends on the other rows" in found
    assert "Functions of own.py must" in found


def test_an_own_function_that_looks_across_rows_is_found_before_a_prediction(training):
    Path("own.py").write_text(OWN_FUNCTIONS)
    story.run(training.options())
    own = ["--custom-functions", "own.py", "--predict", "-t", "a.parquet"]
    chosen = training.options(
        *own, "--predict-output", "p.root", config={"test_time_selection": "above_mean(x)"}
    )
    with pytest.raises(WeaverError, match="depends on the other rows"):
        story.run(chosen)
    assert not Path("p.root").exists()


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
def test_a_network_file_that_fails_when_it_is_used(training, before, after, message, monkeypatch):
    training.change_network(before, after)
    monkeypatch.setattr(fit, "accumulate", refuse_any_pass)
    with pytest.raises(Exception, match=message):
        story.run(training.options())
    assert not Path("out").exists()


def test_a_training_is_bit_for_bit_the_same_without_the_pre_flight(training, monkeypatch):
    story.run(training.options())
    with_it = torch.load("out/net_best_epoch_state.pt", weights_only=True)
    monkeypatch.setattr("weaver_tt.run.training.check_training", preflight.check_reading)
    story.run(training.options("-m", "out/without"))
    without = torch.load("out/without_best_epoch_state.pt", weights_only=True)
    assert with_it.keys() == without.keys()
    # running statistics of the batch norm are among them
    for name, tensor in with_it.items():
        assert torch.equal(tensor, without[name]), name


def test_random_states_are_as_they_were(training):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    chosen = training.options()
    preflight.check_training(load_config("d.yaml"), chosen)
    assert torch.equal(torch.rand(1), expected)


def test_files_are_looked_at_once(training, monkeypatch):
    looked_at = []
    original = scan._scan_file

    def scan_file(path, *rest):
        looked_at.append(path)
        return original(path, *rest)

    monkeypatch.setattr(scan, "_scan_file", scan_file)
    Path("c.parquet").write_bytes(Path("a.parquet").read_bytes())
    story.run(training.options("-l", "c.parquet"))
    assert sorted(looked_at) == ["a.parquet", "b.parquet", "c.parquet"]


def test_one_row_alone_is_not_judged(training):
    # batch norm takes no batch of one; the training itself has its say
    chosen = training.options(config={"selection": "(n == 39) & (is_a == 1)"})
    scans = preflight.check_training(load_config("d.yaml"), chosen)
    assert scans.validation is not None


def test_a_second_test_group_is_tried_before_the_first_one_is_predicted(training):
    story.run(training.options())
    # an event weight that only one group lacks
    rows = ak.from_parquet("a.parquet")
    ak.to_parquet(ak.with_field(rows, np.full(40, np.nan), "x"), "c.parquet")
    flags = ["--predict", "-t", "a:a.parquet", "c:c.parquet"]
    with pytest.raises(DataError, match=r"c\.parquet: event_weight 'x' is not finite in 40 of 40"):
        story.run(training.options(*flags, config={"event_weight": "x"}))
    assert list(Path().glob("pred*")) == []


def test_validation_rows_are_tried_too(training, monkeypatch):
    Path("c.parquet").write_bytes(Path("b.parquet").read_bytes())
    rows = ak.from_parquet("c.parquet")
    ak.to_parquet(ak.with_field(rows, np.ones(40), "is_a"), "c.parquet")
    found = message_before_the_first_pass(training.options("-l", "c.parquet"), monkeypatch)
    assert "c.parquet" in found
    assert "40 belong to several" in found


def test_an_unknown_ending_of_a_prediction_is_refused_before_anything_is_read(training):
    flags = ["--predict", "-t", "a.parquet", "--predict-output", "pred.txt"]
    with pytest.raises(WeaverError, match=r"no writer for '\.txt'"):
        story.run(training.options(*flags))


def test_the_batch_that_is_tried_is_as_large_as_in_the_training(training):
    chosen = training.options("--batch-size", "20")
    (training.path / "net.py").write_text(
        (training.path / "net.py").read_text()
        + """

def get_loss(data_config):
    def loss(output, label):
        with open("shapes.txt", "a") as file:
            file.write(f"{len(output)} ")
        return torch.nn.functional.cross_entropy(output, label)

    return loss
"""
    )
    preflight.check_training(load_config("d.yaml"), chosen)
    # a step, and a prediction with labels
    assert Path("shapes.txt").read_text().split() == ["20", "20"]
