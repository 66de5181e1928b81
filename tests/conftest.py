"""What holds for all tests."""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# before torch starts its threads: shapes are small, several threads would wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch
from hypothesis import settings

from weaver_tt.log import log
from weaver_tt.run import naming
from weaver_tt.system import stage_times

gc.disable()  # until the tests begin: what is imported and collected for them stays

settings.register_profile("steady", deadline=None, derandomize=True)  # a busy machine is no failure
settings.load_profile("steady")

# nohup and background jobs of a shell leave these ignored, and a run would leave them so
for _number, _default in (
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGINT, signal.default_int_handler),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _default)


def pytest_collection_finish() -> None:
    """Garbage is looked for among what the tests make, and not among all modules each time."""
    gc.freeze()
    gc.enable()


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Two threads of torch, for what must not depend on their timing."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def drawn_seeds_repeat(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings without ``--seed`` draw the same seeds each time a test runs, one after another.

    With fresh ones, a test that holds for most seeds would fail once in a while.
    """
    source = random.Random(request.node.name)
    monkeypatch.setattr(naming, "draw_seed", lambda: source.randrange(2**31))


HANDLERS, PROPAGATE, LEVEL = list(log.handlers), log.propagate, log.level
"""Of the logger before any command set it up."""


@pytest.fixture(autouse=True)
def log_as_imported() -> Iterator[None]:
    """Each test finds the logger as it was imported: a command sets it up anew.

    So it does in a fixture of a whole module, which comes before this one.
    """
    restore_log()
    yield
    restore_log()


def restore_log() -> None:
    """Undo what commands did to the logger."""
    for handler in [handler for handler in log.handlers if handler not in HANDLERS]:
        log.removeHandler(handler)
        handler.close()
    log.handlers[:] = HANDLERS
    log.propagate = PROPAGATE
    log.setLevel(LEVEL)


class CountedTime(threading.local):
    """A clock of each thread, which stands still but for what ``spend`` says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds

    def slowed(self, function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        """The same function, which takes so many seconds of the thread that calls it."""

        def slow(*args: Any, **named: Any) -> Any:
            self.spend(seconds)
            return function(*args, **named)

        return slow


@pytest.fixture
def counted_time(monkeypatch: pytest.MonkeyPatch) -> CountedTime:
    """The clock of the stages of a batch, in the place of the machine's."""
    clock = CountedTime()
    monkeypatch.setattr(stage_times, "time", SimpleNamespace(perf_counter=clock))
    return clock


# --- several ranks

# started once for all tests, it forks the ranks of each job: libraries are imported once
RANKS = """
import json, os, runpy, socket, sys, traceback

from weaver_tt import cli
import matplotlib.figure, onnxruntime, pytorch_optimizer, torch._dynamo
import weaver_tt.run.run, weaver_tt.run.check.command


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def be_rank(rank, world, port, command, name):
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_PORT": port}
    os.environ.update({key: str(value) for key, value in place.items()}, MASTER_ADDR="127.0.0.1")
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    code = 99
    try:
        if command[0].endswith(".py"):
            sys.argv = command
            runpy.run_path(command[0], run_name="__main__")
            code = 0
        else:
            code = cli.main(command)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(number, world, command):
    port = free_port()
    names = [f"rank{rank}of{world}_{number}.txt" for rank in range(world)]
    processes = []
    for rank, name in enumerate(names):
        process = os.fork()
        if not process:
            be_rank(rank, world, port, command, name)
        processes.append(process)
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    return codes, [open(name).read() for name in names]


for line in sys.stdin:
    folder, jobs = json.loads(line)
    os.chdir(folder)
    print(json.dumps([run(number, *job) for number, job in enumerate(jobs)]), flush=True)
"""

# number of ranks; command of weaver-tt, or script.py with arguments
Job = tuple[int, Sequence[str]]


@dataclass(frozen=True)
class RanksEnded:
    """How the ranks of one command have ended: exit codes, and what they said."""

    codes: list[int]
    texts: list[str]

    @property
    def said(self) -> str:
        """What all of them said."""
        return "\n".join(self.texts)


@pytest.fixture(scope="session")
def run_on_ranks() -> Iterator[Callable[..., list[RanksEnded]]]:
    """Runs jobs in a folder, each on its number of ranks, one after another."""
    paths = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        [sys.executable, "-c", RANKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
    ) as process:

        def run(folder: Path, *jobs: Job) -> list[RanksEnded]:
            process.stdin.write(json.dumps([str(folder), jobs]) + "\n")
            process.stdin.flush()
            return [RanksEnded(*ended) for ended in json.loads(process.stdout.readline())]

        yield run
