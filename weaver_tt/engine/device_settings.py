"""What a run asks of the machine: threads, seeds, compiled networks."""

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
    """Let torch use ``number`` CPU threads; None keeps its choice."""
    if number is not None:
        torch.set_num_threads(number)


def seed_everything(seed: int, deterministic: bool = True) -> None:
    """Seed torch, numpy and random, and switch deterministic algorithms on; an operation that has none warns, naming itself."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if not deterministic:
        return
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # CUDA matrix products are reproducible only with this
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # else every new tensor is filled with NaN first
    torch.backends.cudnn.benchmark = False


def autocast_type(wanted: bool, name: str, device: torch.device) -> torch.dtype | None:
    """The type of mixed precision: None without it, else bfloat16 or float16 by ``name`` (``bf16``, ``fp16``).

    A CPU has no fast float16, and its narrow range would be a loss only: bfloat16 is taken there, with a line in the log.
    """
    if not wanted:
        return None
    if name == "fp16" and device.type != "cuda":
        log.info("--amp-dtype fp16: CPUs compute no faster in it; bf16 is used")
        return torch.bfloat16
    return torch.float16 if name == "fp16" else torch.bfloat16


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
    """``torch.compile`` the module of ``network`` where ``--compile`` asks for it; ``network.unwrapped`` stays what it was."""
    if options.compile:
        network.module = torch.compile(network.module, **compiler_options(options))
