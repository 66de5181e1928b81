"""What a run is asked for, before any data is read."""

import pytest
import torch

from weaver_tt import run
from weaver_tt.engine.run_card import save_card
from weaver_tt.errors import ConfigError
from weaver_tt.options import parse

TRAINING = ["-i", "a.root", "-c", "d.yaml", "-n", "n.py"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data-config and --network-config and --data-train must be given"),
        (["--predict", "-c", "d.yaml", "-m", "model.onnx"], "^--data-test must be given"),
        ([*TRAINING, "--predict", "-t", "b.root"], "--model-prefix must name a trained network"),
        ([*TRAINING, "--ensemble", "0"], "at least one member"),
        ([*TRAINING, "--seed", "-1"], "not negative"),
        ([*TRAINING, "--run-mode", "tset"], "'tset'; did you mean 'test'"),
        ([*TRAINING, "-t", "b.root", "-m", "x", "--predict", "--export-onnx", "m.onnx"], "two runs"),
    ],
)
def test_flags_that_are_missing_or_contradict_each_other_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        run.check(parse(arguments))


def test_what_is_complete_passes():
    run.check(parse(TRAINING))
    run.check(parse(["--print", "-c", "d.yaml", "-n", "n.py"]))
    run.check(parse(["--run-mode", "test", "-t", "b.root", "-c", "d.yaml", "-m", "model.onnx"]))


def test_no_gpus_is_the_cpu():
    assert run.choose_device("") == torch.device("cpu")


def test_gpus_are_indices_that_this_machine_has():
    with pytest.raises(ConfigError, match="expected indices such as 0 or 0,1"):
        run.choose_device("gpu0")
    with pytest.raises(ConfigError, match=f"this machine has {torch.cuda.device_count()} GPU"):
        run.choose_device("99")


def test_one_device_starts_no_ranks():
    assert not run.launches_ranks(parse([*TRAINING, "--gpus", "0"]))
    assert not run.launches_ranks(parse([*TRAINING, "--gpus", ""]))
    assert not run.launches_ranks(parse([*TRAINING, "--gpus", "0,1", "--backend", "nccl"]))


def test_several_gpus_start_one_rank_each(monkeypatch):
    commands = []

    def start(command, check):
        commands.append(command)
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(run.subprocess, "run", start)
    monkeypatch.setattr(run.sys, "argv", ["train.py", *TRAINING, "--gpus", "0,2"])
    assert run.launches_ranks(parse([*TRAINING, "--gpus", "0,2"]))
    assert "--nproc-per-node=2" in commands[0]
    assert commands[0][-2:] == ["--backend", "nccl"]


def test_auto_says_when_with_what_and_how():
    name = run.auto_name(parse([*TRAINING[:-1], "nets/small.py", "--optimizer", "adam", "--start-lr", "1e-3", "--batch-size", "64"]))
    assert name[8] == "-"
    assert name.endswith("_small_adam_lr0.001_batch64")


def test_a_resumed_run_keeps_its_seed_and_a_fresh_one_draws_one(tmp_path):
    prefix = str(tmp_path / "net")
    save_card(prefix, {"seed": 41})
    assert run.choose_seed(parse([*TRAINING, "--resume"]), prefix) == 41
    assert run.choose_seed(parse([*TRAINING, "--seed", "7", "--resume"]), prefix) == 7
    fresh = {run.choose_seed(parse(TRAINING), prefix) for _ in range(5)}
    assert len(fresh) > 1
    assert all(0 <= seed < 2**31 for seed in fresh)


def test_members_of_ensembles_never_share_a_seed():
    seeds = [run.mixed_seed(seed, member) for seed in range(20) for member in range(20)]
    assert len(set(seeds)) == 400
