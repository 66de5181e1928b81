"""Random numbers of its own for each of several networks that take turns."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class OwnRandom:
    """The state of every random generator that a network may draw from, as the network left it.

    Dropout of one member then draws what it would draw if it were trained alone.
    """

    def __init__(self) -> None:
        """What is drawn first is what would be drawn now."""
        self._state = _take_state()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """What is drawn inside goes on from where it ended the last time."""
        _set_state(self._state)
        yield
        self._state = _take_state()


# not as checkpoints keep them: this is done twice for each network and batch
def _take_state() -> tuple[Any, ...]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return torch.get_rng_state(), np.random.get_state(legacy=False), random.getstate(), cuda


def _set_state(state: tuple[Any, ...]) -> None:
    of_torch, of_numpy, of_python, cuda = state
    torch.set_rng_state(of_torch)
    np.random.set_state(of_numpy)
    random.setstate(of_python)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)
