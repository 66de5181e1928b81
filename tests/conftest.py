"""What holds for all tests."""

import os
import random
import threading
from collections.abc import Callable, Iterator
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

settings.register_profile("steady", deadline=None, derandomize=True)  # a busy machine is no failure
settings.load_profile("steady")


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


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """Each test finds the logger as the one before did: a command sets it up anew."""
    handlers = list(log.handlers)
    propagate = log.propagate
    level = log.level
    yield
    for handler in [handler for handler in log.handlers if handler not in handlers]:
        log.removeHandler(handler)
        handler.close()
    log.propagate = propagate
    log.setLevel(level)


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
