"""Settings of the machine: threads, seeds, mixed precision, compiled networks."""

from __future__ import annotations

import inspect
import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.utils.deterministic

from weaver_tt.errors import ConfigError, unknown_key
from weaver_tt.log import log
from weaver_tt.options.literals import check_kinds, read_options
from weaver_tt.options.train import TrainOptions
from weaver_tt.system.user_code import explain_user_error

# what cuBLAS computes with, and values of it with which its results are the same each time
CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
DETERMINISTIC_WORKSPACES = (":4096:8", ":16:8")

# how torch says that an operation cannot be repeated
_WITHOUT_ALGORITHM = re.compile(r"(\S+) does not have a deterministic implementation")


def set_threads(number: int | None) -> None:
    """Let torch use ``number`` CPU threads; None leaves the choice to torch."""
    if number is not None:
        torch.set_num_threads(number)


def seed_everything(seed: int, deterministic: bool = True) -> None:
    """Seed torch, numpy and random; switch deterministic algorithms on.

    An operation that has no deterministic algorithm warns, naming itself; inside of
    :func:`requiring_determinism` it goes on to be an error.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if deterministic and not _is_determinism_required():
        _use_deterministic_algorithms(warn_only=True)


@contextmanager
def requiring_determinism(wanted: bool = True) -> Iterator[None]:
    """``--deterministic``: inside, what cannot be repeated to the last bit is an error.

    To be entered before a GPU is used for the first time. Does nothing unless ``wanted``.

    Raises:
        ConfigError: an operation has no deterministic algorithm; names it, and who called it.
    """
    if not wanted:
        yield
        return
    workspace = os.environ.get(CUBLAS_WORKSPACE, DETERMINISTIC_WORKSPACES[0])
    if workspace not in DETERMINISTIC_WORKSPACES:
        raise ConfigError(
            f"--deterministic: {CUBLAS_WORKSPACE}={workspace} is set, with which matrix products "
            f"on a GPU differ from run to run; expected {' or '.join(DETERMINISTIC_WORKSPACES)}"
        )
    is_on = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    _use_deterministic_algorithms(warn_only=False)
    try:
        yield
    except RuntimeError as error:
        found = _WITHOUT_ALGORITHM.match(str(error))
        if found is None:
            raise
        where = explain_user_error(error)
        raise ConfigError(
            f"--deterministic: {found[1]} has no deterministic algorithm here; another operation "
            "does, or leave the flag out (--seed alone warns of it and goes on)"
            + (f"\n{where}" if where else "")
        ) from error
    finally:
        torch.use_deterministic_algorithms(is_on, warn_only=warns)


def _is_determinism_required() -> bool:
    """Whether what cannot be repeated is an error already."""
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    return torch.are_deterministic_algorithms_enabled() and not warns


def _use_deterministic_algorithms(warn_only: bool) -> None:
    # matrix products on CUDA are reproducible only with this
    os.environ.setdefault(CUBLAS_WORKSPACE, DETERMINISTIC_WORKSPACES[0])
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
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
