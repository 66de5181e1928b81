"""Settings of the machine: threads, seeds, mixed precision, compiled networks."""

from __future__ import annotations

import inspect
import os
import random
from typing import Any

import numpy as np
import torch
import torch.utils.deterministic

from weaver_tt.errors import unknown_key
from weaver_tt.log import log
from weaver_tt.options.literals import check_kinds, read_options
from weaver_tt.options.train import TrainOptions


def set_threads(number: int | None) -> None:
    """Let torch use ``number`` CPU threads; None leaves the choice to torch."""
    if number is not None:
        torch.set_num_threads(number)


def seed_everything(seed: int, deterministic: bool = True) -> None:
    """Seed torch, numpy and random; switch deterministic algorithms on.

    An operation that has no deterministic algorithm warns, naming itself.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if not deterministic:
        return
    # matrix products on CUDA are reproducible only with this
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # otherwise every new tensor would first be filled with NaN, which takes time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # cuDNN would time its algorithms and take the fastest, not always the same
    torch.backends.cudnn.benchmark = False


def autocast_type(wanted: bool, name: str, device: torch.device) -> torch.dtype | None:
    """The type of mixed precision by ``name`` (``bf16``, ``fp16``); None without it.

    On a CPU it is always bfloat16, with a line in the log.
    """
    if not wanted:
        return None
    if name != "fp16":
        return torch.bfloat16
    if device.type != "cuda":
        # a CPU has no fast float16, whose narrow range would then be a loss and no gain
        log.info("--amp-dtype fp16: CPUs compute no faster in it; bf16 is used")
        return torch.bfloat16
    return torch.float16


def compiler_options(options: TrainOptions) -> dict[str, Any]:
    """``--compiler-option`` as keyword arguments of ``torch.compile``.

    Raises:
        ConfigError: it has no such option, or the value is of another kind.
    """
    chosen = read_options(options.compiler_option)
    known = [name for name in inspect.signature(torch.compile).parameters if name != "model"]
    for name in chosen:
        if name not in known:
            raise unknown_key(name, known, "--compiler-option")
    check_kinds(chosen, torch.compile, "--compiler-option")
    return chosen


def compile_network(network: Any, options: TrainOptions) -> None:
    """``torch.compile`` the module of ``network`` if ``--compile`` asks for it."""
    if options.compile:
        # the wrapper is what is called; `network.unwrapped` stays the module that is saved
        network.module = torch.compile(network.module, **compiler_options(options))
