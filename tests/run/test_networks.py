"""Which weights a prediction and an export take."""

import json

import awkward as ak
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

COMMON = ("--start-lr", 0.1, "--seed", 5)


def scores(run, name, *flags):
    """The scores that are predicted with the flags."""
    output = run.folder / f"{name}.parquet"
    flags = ("--predict", "-t", run.folder / "jets.parquet", "--predict-output", output, *flags)
    assert run(*flags) == 0
    found = ak.from_parquet(output)
    return found.score_is_a[np.argsort(found.number)].to_numpy()


def test_the_average_of_weights_is_predicted_with_or_the_weights_where_that_is_asked_for(small_run):
    assert small_run("--ema", 0.9, *COMMON) == 0
    averaged = scores(small_run, "averaged")
    plain = scores(small_run, "plain", "--plain-weights")
    assert np.abs(averaged - plain).max() > 1e-3
    for name, expected in (("state", averaged), ("plain", plain)):
        file = f"{small_run.prefix}_best_epoch_{name}.pt"
        np.testing.assert_array_equal(scores(small_run, name, "-m", file), expected)
    of_epoch = scores(small_run, "epoch", "--plain-weights", "--load-epoch", 0)
    np.testing.assert_array_equal(of_epoch, plain)


def biases(path):
    """The constants of three numbers in an ONNX file: those of the hidden layer among them."""
    constants = map(numpy_helper.to_array, onnx.load(path).graph.initializer)
    return [values.tolist() for values in constants if values.shape == (3,)]


def test_both_are_exported_on_request(small_run):
    assert small_run("--ema", 0.9, *COMMON) == 0
    for name, flags in (("state", ()), ("plain", ("--plain-weights",))):
        path = small_run.folder / f"{name}.onnx"
        assert small_run("--export-onnx", path, *flags) == 0
        weights = torch.load(f"{small_run.prefix}_best_epoch_{name}.pt", weights_only=True)
        assert weights["layers.0.bias"].tolist() in biases(path)


def test_members_and_folds_have_averages_of_their_own(small_run):
    flags = ("--ema", 0.9, "--ensemble", 2, "--cross-validation", "number%2")
    assert small_run(*flags, "--accumulate-batches", 2, "--clip-gradient", 1, *COMMON) == 0
    folds = flags[-2:]
    averaged = scores(small_run, "averaged", *folds)
    plain = scores(small_run, "plain", *folds, "--plain-weights")
    assert 1e-3 < np.abs(averaged - plain).max() < 0.5
    card = json.loads((small_run.prefix.parent / "net_fold-1_run.json").read_text())
    assert "net_fold-1_member-0_best_epoch_plain.pt" in card["files"]


@pytest.mark.parametrize("name", ["", "_best_epoch_state.pt"])
def test_without_averaging_there_are_no_other_weights(small_run, capsys, name):
    assert small_run(*COMMON) == 0
    flags = ("--predict", "-t", small_run.folder / "jets.parquet", "--plain-weights")
    assert small_run(*flags, "-m", f"{small_run.prefix}{name}") == 1
    assert "there is no" in (message := capsys.readouterr().err)
    assert "net_best_epoch_plain.pt; without --ema in the training" in message
