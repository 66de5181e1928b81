"""A run that is interrupted, however and whenever that comes, ends as if it had never stopped."""

import io
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

from weaver_tt import cli
from weaver_tt.data.statistics import training_pass
from weaver_tt.run_files import RunFiles
from weaver_tt.system import signals
from weaver_tt.system.locks import locked
from weaver_tt.system.signals import RESUME_ME


@pytest.fixture
def run(training, monkeypatch):
    """``train.py`` with a network that may send a signal in one of its calls; the exit code."""
    source = (training.path / "net.py").read_text()
    source = source.replace("        noise =", "        send_signal()\n        noise =")
    sender = """
import os, signal
from weaver_tt.system import signals

def send_signal():
    # once the training has begun: before, the network is tried on some rows
    if signals._is_deferring:
        signals.calls = getattr(signals, "calls", 0) + 1
    number, at = os.environ["SIGNAL"].split(",")
    if signals._is_deferring and signals.calls == int(at):
        os.kill(os.getpid(), int(number))
"""
    (training.path / "net.py").write_text(sender + source)

    def call(prefix, *flags, number=0, at=0):
        # 1 to 8 are steps of an epoch, 9 and 10 its validation; each member has as many
        monkeypatch.setattr(signals, "calls", 0, raising=False)
        monkeypatch.setenv("SIGNAL", f"{int(number)},{at}")
        return cli.train(training.flags("-m", prefix, *flags))

    return call


def weights(prefix):
    """Those of all epochs and the best one, and the metrics."""
    files = RunFiles(prefix)
    found = {path.name.removeprefix(Path(prefix).name): path for path in files.weights()}
    tensors = {}
    for name, path in found.items():
        if "resume" not in name:
            tensors[name] = torch.load(path, weights_only=True)
    return tensors, json.loads(files.card.read_text())["best"]


def same(first, second):
    assert first[1] == second[1]
    assert first[0].keys() == second[0].keys()
    for name, tensors in first[0].items():
        for key, tensor in tensors.items():
            assert torch.equal(tensor, second[0][name][key]), (name, key)
    return True


def state(prefix):
    return json.loads(RunFiles(prefix).card.read_text())["state"]


@pytest.mark.parametrize(
    ("number", "at", "batches"),
    [
        (signal.SIGTERM, 3, 3),
        (signal.SIGUSR1, 8, 8),
        (signal.SIGHUP, 9, 8),
        (signal.SIGINT, 20, 8),
    ],
)
def test_a_signal_finishes_the_step_saves_it_and_asks_to_be_continued(run, number, at, batches):
    assert run("a/net") == 0
    assert run("b/net", number=number, at=at) == RESUME_ME
    files = RunFiles("b/net")
    saved = torch.load(files.resume, weights_only=True)
    assert saved["state"]["batches"] == batches
    assert f"{number.name}: saved after {batches} batches" in files.requeue.read_text()
    assert state("b/net") == "interrupted"
    assert not files.lock.exists()
    assert run("b/net", "--resume") == 0
    assert not files.requeue.exists()
    assert state("b/net") == "done"
    assert same(weights("a/net"), weights("b/net"))


def test_a_run_may_be_interrupted_in_every_step(run):
    assert run("a/net") == 0
    codes = [run("b/net", number=signal.SIGTERM, at=1)]
    while codes[-1] == RESUME_ME and len(codes) < 20:
        saved = torch.load(RunFiles("b/net").resume, weights_only=True)
        # the next step: the process's first call, or its third one, behind two of the validation
        at = 3 if saved["state"]["batches"] == 8 else 1
        codes.append(run("b/net", "--resume", number=signal.SIGTERM, at=at))
    # 16 steps
    assert codes == [RESUME_ME] * 16 + [0]
    assert same(weights("a/net"), weights("b/net"))


@pytest.mark.parametrize(("at", "batches"), [(2, 3), (4, 6), (7, 9), (8, 9), (10, 9)])
def test_a_signal_finishes_the_running_group_of_batches(run, at, batches):
    # of 8 batches of an epoch groups of 3, 3 and 2, which counts as a whole one
    flags = ("--accumulate-batches", "3")
    assert run("a/net", *flags) == 0
    assert run("b/net", *flags, number=signal.SIGTERM, at=at) == RESUME_ME
    saved = torch.load(RunFiles("b/net").resume, weights_only=True)
    assert (saved["state"]["batches"], saved["steps"]) == (batches, batches / 3)
    assert run("b/net", "--resume", *flags) == 0
    assert same(weights("a/net"), weights("b/net"))


def test_max_time_ends_as_a_signal_does(run, monkeypatch):
    assert run("a/net") == 0
    # at once, but in the pass for statistics: the first step is the last one
    monkeypatch.setattr("weaver_tt.cli.seconds_of", lambda *arguments: 0)
    monkeypatch.setattr(training_pass, "end_if_asked", lambda kept: None)
    assert run("b/net", "--max-time", "00:01") == RESUME_ME
    assert "--max-time 00:01: saved after 1 batch of" in RunFiles("b/net").requeue.read_text()
    assert run("b/net", "--resume") == 0
    assert same(weights("a/net"), weights("b/net"))


def test_max_time_ends_the_pass_for_statistics_too(run, monkeypatch):
    monkeypatch.setattr("weaver_tt.cli.seconds_of", lambda *arguments: 0)
    assert run("b/net", "--max-time", "00:01") == RESUME_ME
    files = RunFiles("b/net")
    assert files.requeue.read_text() == "--max-time 00:01: the statistics begin anew\n"
    assert not files.auto_yaml.exists()
    assert not files.weights()
    assert run("b/net", "--resume") == 0


def test_a_run_that_is_done_keeps_its_card_where_it_is_asked_to_go_on(run):
    assert run("a/net") == 0
    before = RunFiles("a/net").card.read_bytes()
    assert run("a/net", "--resume", "--num-threads", "1") == 0
    assert RunFiles("a/net").card.read_bytes() == before
    # one more epoch is another command
    assert run("a/net", "--resume", "--num-epochs", "3") == 0
    card = json.loads(RunFiles("a/net").card.read_text())
    assert card["options"]["train"]["num_epochs"] == 3
    assert len(card["continued"]) == 1


@pytest.mark.parametrize(("at", "batches"), [(5, 2), (24, 8), (28, 8), (31, 1)])
def test_the_members_of_an_ensemble_are_saved_in_one_step_and_go_on_together(run, at, batches):
    # a step is three calls, one of each member; the fifth is in the second step
    flags = ("--ensemble", "3", "--ema", "0.9")
    assert run("a/net", *flags) == 0
    assert run("b/net", *flags, number=signal.SIGTERM, at=at) == RESUME_ME
    saved = torch.load(RunFiles("b/net").resume, weights_only=True)["members"]
    assert [member["state"]["batches"] for member in saved] == [batches] * 3
    assert run("b/net", *flags, "--resume") == 0
    assert same(weights("a/net"), weights("b/net"))


def test_members_that_are_done_stay_done(run):
    course = "--num-epochs 7 --early-stopping 1 --watch accuracy --start-lr 0.05"
    flags = (*course.split(), "--lr-scheduler", "reduce-on-plateau", "--ensemble", "3")
    assert run("a/net", *flags) == 0
    ends = [len(RunFiles("a/net").member(number).epochs()) for number in range(3)]
    first, last = min(ends), max(ends)
    assert first < last
    done = RunFiles("a/net").member(ends.index(first))
    written = done.epoch(first - 1).stat().st_mtime_ns
    # the last epoch of all, without those that are over
    RunFiles("a/net").resume.unlink()
    assert run("a/net", *flags, "--resume") == 0
    assert done.epoch(first - 1).stat().st_mtime_ns == written
    assert [len(RunFiles("a/net").member(number).epochs()) for number in range(3)] == ends


def test_an_ensemble_whose_members_were_trained_one_after_another_is_refused(run, capsys):
    flags = ("--ensemble", "2")
    assert run("a/net", *flags) == 0
    files = RunFiles("a/net")
    for path in files.resumable():
        path.rename(str(path).replace("net_", "net_member-0_"))
    capsys.readouterr()
    assert run("a/net", *flags, "--resume") == 1
    message = capsys.readouterr().err
    assert "net_member-0_resume.pt: this ensemble was begun by a version that trained" in message
    assert "--load-epoch N continues from its weights" in message
    assert run("a/net", *flags, "--load-epoch", "0") == 0
    assert files.resume.is_file()


def test_an_interruption_before_the_first_step_asks_to_be_continued_too(run, training):
    (training.path / "mine.py").write_text(
        "import os, signal\ndef f(x):\n"
        "    number, _ = os.environ['SIGNAL'].split(',')\n"
        "    if int(number): os.kill(os.getpid(), int(number))\n"
        "    return x\n"
    )
    config = {"new_variables": {"z": "f(x)"}, "selection": "z > -100"}
    flags = training.flags("-m", "b/net", "--custom-functions", "mine.py", config=config)
    os.environ["SIGNAL"] = f"{int(signal.SIGTERM)},0"
    assert cli.train(flags) == RESUME_ME
    assert RunFiles("b/net").requeue.read_text() == "SIGTERM\n"
    os.environ["SIGNAL"] = "0,0"
    assert cli.train([*flags, "--resume"]) == 0
    assert not RunFiles("b/net").requeue.exists()


def test_a_terminal_shows_the_command_that_continues(run, training, monkeypatch):
    drawn = Console(file=io.StringIO(), width=500, force_terminal=True, color_system=None)
    monkeypatch.setattr(cli, "is_terminal", lambda: True)
    monkeypatch.setattr(cli, "console", lambda: drawn)
    assert run("a/net") == 0
    assert run("b/net", "--overwrite", number=signal.SIGTERM, at=3) == RESUME_ME
    title, line = drawn.file.getvalue().splitlines()
    assert title == "next"
    python, script, *words = shlex.split(line)
    assert (python, script) == ("python", "train.py")
    monkeypatch.setenv("SIGNAL", "0,0")
    assert cli.train(words) == 0
    assert same(weights("a/net"), weights("b/net"))
    # a prefix that is made of the time is another one the next time
    cli.show_continuation("train.py", ["-i", "a.root"])
    # and another step back is not what was asked for
    for flags in (["--load-epoch", "3"], ["--load-epoch=3"]):
        cli.show_continuation("train.py", ["-m", "b/net", *flags])
    assert len(drawn.file.getvalue().splitlines()) == 2
    cli.show_continuation("train.py", ["--model-prefix=b/net"])
    assert drawn.file.getvalue().endswith("  python train.py --model-prefix=b/net --resume\n")


def test_a_command_that_fails_at_once_does_not_ask_to_be_given_again(run):
    assert run("b/net", number=signal.SIGTERM, at=3) == RESUME_ME
    assert run("b/net", "--resume", "--extra-selection-train", "nosuch > 0") == 1
    assert not RunFiles("b/net").requeue.exists()


def test_a_prefix_in_use_is_refused_and_its_files_stay(run, capsys):
    assert run("a/net") == 0
    with locked(RunFiles("a/net").lock, "-m a/net"):
        before = RunFiles("a/net").card.read_bytes()
        for flag in ("--resume", "--overwrite"):
            assert run("a/net", flag) == 1
            message = capsys.readouterr().err
            assert f"--model-prefix a/net: in use by process {os.getpid()} on" in message
        assert RunFiles("a/net").card.read_bytes() == before


# --- killed


def in_a_process(training, prefix, *flags, number, at):
    """The same in a process of its own; its exit code."""
    path = os.pathsep.join(filter(None, sys.path))
    environment = {"PYTHONPATH": path, "SIGNAL": f"{int(number)},{at}"}
    command = [sys.executable, "-m", "weaver_tt.cli", "train", *training.flags("-m", prefix)]
    result = subprocess.run(
        [*command, *flags], env=os.environ | environment, check=False, capture_output=True
    )
    return result.returncode


@pytest.mark.parametrize("at", [2, 10, 17])
def test_a_killed_run_goes_on_where_it_was_saved(run, training, at):
    assert run("a/net") == 0
    assert in_a_process(training, "b/net", "--save-minutes", "0", number=9, at=at) == -9
    assert state("b/net") == "running"
    assert run("b/net", "--resume") == 0
    assert same(weights("a/net"), weights("b/net"))
    assert not RunFiles("b/net").lock.exists()
