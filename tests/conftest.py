"""What holds for all tests."""

import os
import random
from collections.abc import Iterator

# before torch starts its threads: shapes are small, several threads would wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch
from hypothesis import settings

from weaver_tt.log import log
from weaver_tt.run import naming

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
