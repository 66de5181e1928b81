"""Weaver's ``utils.nn.tools`` for network files: the names of its loops, and what losses use.

There is one loop over batches here (``engine/loop.py``). A loop of Weaver's, which a
``get_train_fn`` may return, says which task it is for; it is never called.
"""

from __future__ import annotations

from typing import Any, NoReturn

from torch import nn

from weaver_tt.errors import ConfigError


def train_classification(*arguments: Any, **more: Any) -> NoReturn:
    """Stands for training with the task ``classification``."""
    raise _never_called("train_classification")


def evaluate_classification(*arguments: Any, **more: Any) -> NoReturn:
    """Stands for validation and prediction with the task ``classification``."""
    raise _never_called("evaluate_classification")


def train_regression(*arguments: Any, **more: Any) -> NoReturn:
    """Stands for training with the task ``regression``."""
    raise _never_called("train_regression")


def evaluate_regression(*arguments: Any, **more: Any) -> NoReturn:
    """Stands for validation and prediction with the task ``regression``."""
    raise _never_called("evaluate_regression")


def unwrap_model(model: nn.Module) -> nn.Module:
    """The module inside DDP, DataParallel and ``torch.compile``."""
    while True:
        # DDP and DataParallel have the one, torch.compile has the other
        inner = getattr(model, "module", None) or getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def _never_called(name: str) -> ConfigError:
    return ConfigError(
        f"{name} cannot be called here: the loop over batches is the program's. "
        "Return it from get_train_fn, or write get_task"
    )
