"""Seeds and threads."""

import random

import numpy as np
import pytest
import torch

from weaver_tt.engine.machine import seed_everything, set_up_threads


@pytest.fixture(autouse=True)
def _undo():
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


def test_the_same_seed_draws_the_same_numbers():
    drawn = []
    for _ in range(2):
        seed_everything(7)
        drawn.append((torch.rand(1).item(), np.random.random(), random.random()))
    assert drawn[0] == drawn[1]


def test_a_seed_switches_deterministic_algorithms_on():
    seed_everything(2**40)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()


def test_threads_are_set_or_left():
    set_up_threads(1)
    set_up_threads(None)
    assert torch.get_num_threads() == 1
