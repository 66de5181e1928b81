"""Where a run takes place: which device, one process or several, all data or a little of it."""

import pytest
import torch

from weaver_tt.errors import ConfigError
from weaver_tt.options.train import parse_options
from weaver_tt.run import launch

TRAINING = ["-i", "a.root", "-c", "d.yaml", "-n", "n.py"]


def test_a_demo_is_short(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.root").touch()
    small = launch.demo_options(
        parse_options(
            [
                "-i",
                f"x:{tmp_path}/*",
                f"{tmp_path}/c.root",
                "--samples-per-epoch",
                "100000",
                "--steps-per-epoch-val",
                "3",
                "--demo",
            ]
        )
    )
    assert small.data.data_train == [
        f"x:{tmp_path}/a.root",
        f"x:{tmp_path}/b.root",
        f"_:{tmp_path}/c.root",
    ]
    assert (
        small.data.steps_per_epoch,
        small.data.samples_per_epoch,
        small.data.steps_per_epoch_val,
        small.train.num_epochs,
    ) == (20, None, 3, 2)
    assert launch.demo_options(parse_options(["--num-epochs", "1"])).train.num_epochs == 1
    # Weaver's -1 is all of the data
    everything = parse_options(["--steps-per-epoch", "-1", "--steps-per-epoch-val", "-1"])
    small = launch.demo_options(everything)
    assert (small.data.steps_per_epoch, small.data.steps_per_epoch_val) == (20, 20)


def test_no_gpus_is_the_cpu():
    assert launch.choose_device("") == torch.device("cpu")


def test_gpus_are_indices_that_this_machine_has():
    with pytest.raises(ConfigError, match="expected indices such as 0 or 0,1"):
        launch.choose_device("gpu0")
    with pytest.raises(ConfigError, match=f"this machine has {torch.cuda.device_count()} GPU"):
        launch.choose_device("99")


def test_one_device_starts_no_ranks():
    assert not launch.needs_ranks(parse_options([*TRAINING, "--gpus", "0"]))
    assert not launch.needs_ranks(parse_options([*TRAINING, "--gpus", ""]))
    assert not launch.needs_ranks(parse_options([*TRAINING, "--gpus", "0,1", "--profile"]))
    assert not launch.needs_ranks(parse_options([*TRAINING, "--gpus", "0,1", "--backend", "nccl"]))


def start_ranks(monkeypatch, returncode):
    """``launch_ranks`` with a torchrun that only ends with ``returncode``; the commands it got.

    And a result of rank 0 that is handed over.
    """
    commands = []

    def begin(command, check, env):
        commands.append(command)
        for rank in "10":
            with monkeypatch.context() as ranks:
                ranks.setattr(launch.os, "environ", env | {"RANK": rank})
                launch.hand_over({"rank": rank})
        return type("Done", (), {"returncode": returncode})

    monkeypatch.setattr(launch.subprocess, "run", begin)
    monkeypatch.setattr(launch.sys, "argv", ["train.py", *TRAINING, "--gpus", "0,2"])
    handed = launch.launch_ranks(parse_options([*TRAINING, "--gpus", "0,2"]))
    assert handed == {"rank": "0"}
    return commands


def test_several_gpus_start_one_rank_each(monkeypatch):
    commands = start_ranks(monkeypatch, 0)
    assert "--nproc-per-node=2" in commands[0]
    assert commands[0][-2:] == ["--backend", "nccl"]


def test_asking_whether_ranks_are_needed_starts_none(monkeypatch):
    monkeypatch.setattr(launch.subprocess, "run", None)
    assert launch.needs_ranks(parse_options([*TRAINING, "--gpus", "0,2"]))


def test_a_rank_that_fails_ends_the_command(monkeypatch):
    with pytest.raises(ConfigError, match="GPUs 0,2 ended with exit code 3"):
        start_ranks(monkeypatch, 3)
