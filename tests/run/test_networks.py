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


@pytest.fixture
def trained(small_run):
    """An ensemble with averages in two folds, and a network alone; their folder."""
    assert small_run("--ema", 0.9, *COMMON) == 0
    flags = ("--ensemble", 2, "--cross-validation", "number%2", "-m", small_run.folder / "m" / "cv")
    assert small_run(*flags, *COMMON) == 0
    return small_run


@pytest.mark.parametrize(
    ("given", "file"),
    [
        ("net", "net_best_epoch_state.pt"),
        ("net_best_epoch_state.pt", "net_best_epoch_state.pt"),
        ("net_epoch-0_plain.pt", "net_epoch-0_plain.pt"),
        ("net_resume.pt", "net_epoch-0_plain.pt"),
        ("cv_fold-1_member-1", "cv_fold-1_member-1_best_epoch_state.pt"),
        ("cv_fold-0_resume.pt:member-1", "cv_fold-0_member-1_epoch-0_state.pt"),
    ],
)
def test_a_training_begins_with_the_weights_of_any_file_of_another(trained, given, file, capsys):
    folder = trained.prefix.parent
    flags = ("--load-model-weights", folder / given, "--start-lr", 1e-30, "--optimizer", "sgd")
    assert trained("-m", folder / "new", *flags) == 0
    assert "4 of 4 weights loaded into the network's 4" in capsys.readouterr().err
    expected = torch.load(folder / file, weights_only=True)
    found = torch.load(folder / "new_epoch-0_state.pt", weights_only=True)
    for name, values in expected.items():
        assert torch.equal(found[name], values), name


def test_a_prefix_of_several_networks_is_refused_before_the_training(trained, capsys):
    folder = trained.prefix.parent
    assert trained("-m", folder / "new", "--load-model-weights", folder / "cv") == 1
    assert "there are 2 networks; say which: " in capsys.readouterr().err
    assert trained("-m", folder / "new", "--load-model-weights", folder / "cv_fold-0") == 1
    assert "cv_fold-0_member-0" in capsys.readouterr().err


def test_each_member_begins_with_the_member_of_its_own_number(trained):
    folder = trained.prefix.parent
    flags = ("--load-model-weights", folder / "cv_fold-1_{member}", "--start-lr", 1e-30)
    assert trained("-m", folder / "new", *flags, "--optimizer", "sgd", "--ensemble", 2) == 0
    for member in (0, 1):
        before = torch.load(
            folder / f"cv_fold-1_member-{member}_best_epoch_state.pt", weights_only=True
        )
        found = torch.load(folder / f"new_member-{member}_epoch-0_state.pt", weights_only=True)
        assert all(torch.equal(found[name], before[name]) for name in before)


def test_each_fold_begins_with_the_network_of_its_own_fold(trained):
    folder = trained.prefix.parent
    flags = ("--load-model-weights", folder / "cv_{fold}_member-1", "--start-lr", 1e-30)
    flags = (*flags, "--optimizer", "sgd", "--cross-validation", "number%2")
    assert trained("-m", folder / "new", *flags) == 0
    for fold in (0, 1):
        before = torch.load(
            folder / f"cv_fold-{fold}_member-1_best_epoch_state.pt", weights_only=True
        )
        found = torch.load(folder / f"new_fold-{fold}_epoch-0_state.pt", weights_only=True)
        assert all(torch.equal(found[name], before[name]) for name in before)
