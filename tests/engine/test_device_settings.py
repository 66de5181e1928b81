"""Seeds and threads."""

import os
import random

import numpy as np
import pytest
import torch

from weaver_tt.engine.device_settings import (
    autocast_type,
    requiring_determinism,
    seed_everything,
    set_threads,
)
from weaver_tt.errors import ConfigError
from weaver_tt.system.user_code import noting_call


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


def put_twice():
    """An operation that has no deterministic algorithm."""
    torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))


def test_an_operation_that_cannot_be_repeated_stops_and_names_the_flag():
    with pytest.raises(ConfigError, match=r"^--deterministic: put_ has no deterministic algo"):
        run_deterministically(put_twice)
    # and says who called it
    with pytest.raises(ConfigError, match=r"\nnet\.py, called with jets \(N, 2\), failed:"):
        run_deterministically(called_by_a_network)
    assert not torch.are_deterministic_algorithms_enabled()


def run_deterministically(work):
    """Do it as a run with a seed does."""
    with requiring_determinism():
        seed_everything(7)
        work()


def called_by_a_network():
    with noting_call(lambda: "net.py, called with jets (N, 2),"):
        put_twice()


def test_other_errors_pass():
    def fail():
        raise RuntimeError("the magnet is off")

    with pytest.raises(RuntimeError, match=r"^the magnet is off$"):
        run_deterministically(fail)


def test_without_the_flag_it_warns():
    with requiring_determinism(False):
        seed_everything(7)
        with pytest.warns(UserWarning, match="put_ does not have a deterministic"):
            put_twice()


def test_what_was_set_before_comes_back():
    torch.use_deterministic_algorithms(True, warn_only=True)
    with requiring_determinism():
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.backends.cudnn.benchmark
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] in (":4096:8", ":16:8")
    assert torch.is_deterministic_algorithms_warn_only_enabled()


def test_a_workspace_of_cublas_that_rules_it_out_is_named(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0")
    with pytest.raises(ConfigError, match=r"CUBLAS_WORKSPACE_CONFIG=:0:0 is set.*expected :4096:8"):
        run_deterministically(lambda: None)
