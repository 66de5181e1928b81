"""Where a run takes place: which device, one process or several, all data or a little of it."""

import os
import signal
import sys
import threading
from types import SimpleNamespace

import pytest
import torch

from weaver_tt.errors import ConfigError
from weaver_tt.options.train import parse_options
from weaver_tt.run import launch
from weaver_tt.system.signals import Interrupted, handling_signals

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

    def begin(command, env, start_new_session):
        commands.append(command)
        for rank in "10":
            with monkeypatch.context() as ranks:
                ranks.setattr(launch.os, "environ", env | {"RANK": rank})
                launch.hand_over({"rank": rank})
        return SimpleNamespace(wait=lambda timeout=None: returncode)

    monkeypatch.setattr(launch.subprocess, "Popen", begin)
    monkeypatch.setattr(launch.sys, "argv", ["train.py", *TRAINING, "--gpus", "0,2"])
    handed = launch.launch_ranks(parse_options([*TRAINING, "--gpus", "0,2"]))
    assert handed == {"rank": "0"}
    return commands


def test_several_gpus_start_one_rank_each(monkeypatch):
    commands = start_ranks(monkeypatch, 0)
    assert "--nproc-per-node=2" in commands[0]
    assert commands[0][-2:] == ["--backend", "nccl"]


def test_asking_whether_ranks_are_needed_starts_none(monkeypatch):
    monkeypatch.setattr(launch.subprocess, "Popen", None)
    assert launch.needs_ranks(parse_options([*TRAINING, "--gpus", "0,2"]))


def test_a_rank_that_fails_ends_the_command(monkeypatch):
    with pytest.raises(ConfigError, match="GPUs 0,2 ended with exit code 3"):
        start_ranks(monkeypatch, 3)


# a torchrun with two ranks, which end when they are asked to: rank 0 says so
RANKS = """
import json, os, signal, sys, time

folder = os.path.dirname(os.environ["WEAVER_TT_RESULT_FILE"])
children = []
for rank in range(2):
    child = os.fork()
    if child:
        children.append(child)
        continue
    signal.signal(signal.SIGTERM, lambda *arguments: sys.exit(0))
    open(f"{folder}/{os.getpid()}.rank", "x").close()
    try:
        time.sleep(60)
    finally:
        if rank == 0:
            with open(os.environ["WEAVER_TT_RESULT_FILE"], "w") as file:
                json.dump({"interrupted": "SIGTERM: saved"}, file)
        os._exit(0)
for child in children:
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT])
def test_a_signal_goes_to_the_ranks_and_their_answer_comes_back(monkeypatch, number):
    begin = launch.subprocess.Popen
    wait = launch._rank_processes
    sent = []

    def start(command, **more):
        return begin([sys.executable, "-c", RANKS], **more)

    def ranks(folder):
        # the signal has come: both are there before they are told
        while len(wait(folder)) < 2:
            pass
        return wait(folder)

    def press():
        sent.append(number)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(launch.subprocess, "Popen", start)
    monkeypatch.setattr(launch, "_rank_processes", ranks)
    timer = threading.Timer(0.3, press)
    timer.start()
    with handling_signals(), pytest.raises(Interrupted, match="SIGTERM: saved"):
        launch.launch_ranks(parse_options([*TRAINING, "--gpus", "0,2"]))
    assert sent == [number]
