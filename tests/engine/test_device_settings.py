"""Seeds and threads."""

import random

import numpy as np
import pytest
import torch

from weaver_tt.engine.device_settings import autocast_type, seed_everything, set_threads


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
    set_threads(1)
    set_threads(None)
    assert torch.get_num_threads() == 1


def test_float16_is_for_gpus(caplog):
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    with caplog.at_level("INFO", "weaver_tt"):
        kinds = [
            autocast_type(wanted, name, device)
            for wanted in (False, True)
            for name in ("bf16", "fp16")
            for device in (cpu, gpu)
        ]
    assert kinds == [None] * 4 + [torch.bfloat16, torch.bfloat16, torch.bfloat16, torch.float16]
    assert caplog.messages == ["--amp-dtype fp16: CPUs compute no faster in it; bf16 is used"]
