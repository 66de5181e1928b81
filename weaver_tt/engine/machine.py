"""What a run asks of the machine: threads, seeds, compiled networks."""

from __future__ import annotations

import os
import random

import numpy as np
import torch
import torch.utils.deterministic


def set_up_threads(number: int | None) -> None:
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
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # CUDA matrix products are reproducible only with this
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # else every new tensor is filled with NaN first
    torch.backends.cudnn.benchmark = False
