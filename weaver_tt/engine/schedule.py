"""Learning-rate curves: pure functions (epochs done, epochs in all) -> factor on the learning rate.

The epochs done are a fraction: whole epochs plus ``Batch.progress`` of the running one. So nobody counts steps, and a resumed run is where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.metrics.direction import Direction

Curve = Callable[[float, int], float]
FLAT_SHARE = 0.7  # share of the training before the flat+... curves fall
FINAL_FACTOR = 1e-3  # flat+linear and flat+cos end here


def constant(done: float, epochs: int) -> float:
    """The learning rate stays."""
    return 1.0


def steps(done: float, epochs: int) -> float:
    """A tenth from one third of the epochs on, a hundredth from two thirds on; whole epochs."""
    third = max(1, round(epochs / 3))
    return 0.1 ** min(2, int(done) // third)


def flat_decay(done: float, epochs: int) -> float:
    """Constant for 70 % of the epochs, then down by the same factor each epoch to 1 % in the last one."""
    falling = min(max(1, 3 * epochs // 10), epochs - 1)
    fallen = int(done) - (epochs - falling) + 1
    return 0.01 ** (min(fallen, falling) / falling) if fallen > 0 and falling > 0 else 1.0


def flat_linear(done: float, epochs: int, warmup: float = 0.0) -> float:
    """Linearly up in the share ``warmup`` of the training, constant up to 70 % of it, then linearly down to 0.1 %."""
    return _warmup_factor(done, epochs, warmup) * (
        1.0 - (1.0 - FINAL_FACTOR) * _decay_share(done, epochs)
    )


def flat_cos(done: float, epochs: int, warmup: float = 0.0) -> float:
    """Linearly up in the share ``warmup`` of the training, constant up to 70 % of it, then down to 0.1 % in half a cosine."""
    return _warmup_factor(done, epochs, warmup) * cosine(
        1.0, FINAL_FACTOR, _decay_share(done, epochs)
    )


def warmup_cos(done: float, epochs: int, warmup: float) -> float:
    """Linearly up in the share ``warmup`` of the training, then down to zero in half a cosine."""
    share = min(done / epochs, 1.0)
    return share / warmup if share < warmup else cosine(1.0, 0.0, (share - warmup) / (1.0 - warmup))


def one_cycle(done: float, epochs: int) -> float:
    """Half a cosine from 1/25 up to 1 in 30 % of the training, half a cosine down to 1/250000 (Smith and Topin, arXiv:1708.07120)."""
    share = min(done / epochs, 1.0)
    return (
        cosine(1 / 25, 1.0, share / 0.3)
        if share < 0.3
        else cosine(1.0, 1 / 25e4, (share - 0.3) / 0.7)
    )


def cosine(first: float, last: float, share: float) -> float:
    """From ``first`` at share 0 to ``last`` at share 1 in half a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def _warmup_factor(done: float, epochs: int, warmup: float) -> float:
    """Factor of a linear rise over the share ``warmup`` of the training."""
    return min(done / epochs / warmup, 1.0) if warmup else 1.0


def _decay_share(done: float, epochs: int) -> float:
    """Share of the falling part that is over."""
    return min(max((done / epochs - FLAT_SHARE) / (1 - FLAT_SHARE), 0.0), 1.0)


CURVES: dict[str, Curve] = {
    "none": constant,
    "steps": steps,
    "flat+decay": flat_decay,
    "one-cycle": one_cycle,
}
WARMUP_CURVES: dict[str, Callable[..., float]] = {
    "flat+linear": flat_linear,
    "flat+cos": flat_cos,
    "warmup+cos": warmup_cos,
}


class Schedule:
    """A curve over ``epochs`` epochs."""

    def __init__(self, curve: Curve, epochs: int) -> None:
        self.curve, self.epochs = curve, epochs

    def factor(self, done: float) -> float:
        """Factor on the learning rate after ``done`` epochs."""
        return self.curve(done, self.epochs)

    def observe(self, value: float) -> None:
        """Take note of the watched metric at the end of an epoch."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""


class Plateau(Schedule):
    """A tenth of the learning rate whenever the watched metric has not improved by 1 % (relative) for more than ``patience`` epochs."""

    def __init__(
        self, direction: Direction | str, patience: int = 2, threshold: float = 0.01
    ) -> None:
        super().__init__(constant, 1)
        self.direction = Direction(direction)
        self.patience = patience
        self.threshold = threshold
        self.best: float | None = None
        self.waited = 0
        self.reductions = 0

    def factor(self, done: float) -> float:
        """Factor on the learning rate, whenever."""
        return 0.1**self.reductions

    def observe(self, value: float) -> None:
        """Count epochs without improvement."""
        if self.best is None or self._has_improved(value, self.best):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.waited > self.patience:
            self.reductions, self.waited = self.reductions + 1, 0

    def _has_improved(self, value: float, best: float) -> bool:
        target = self.direction.penalty(best) - self.threshold * abs(best)
        return self.direction.penalty(value) < target

    def state_dict(self) -> dict[str, Any]:
        """Best value, epochs waited, reductions so far."""
        return {"best": self.best, "waited": self.waited, "reductions": self.reductions}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        self.best, self.waited, self.reductions = (
            state["best"],
            state["waited"],
            state["reductions"],
        )


def make_schedule(
    name: str,
    epochs: int,
    warmup: float,
    direction: Direction | str,
    steps: int | None = None,
) -> Schedule:
    """The schedule called ``name`` (see ``--lr-scheduler``).

    ``warmup`` is ``--warmup-steps``, a share of the training or a number of steps, of which an epoch has ``steps`` (None: nobody knows);
    ``direction`` of the watched metric is for reduce-on-plateau.
    """
    if name == "reduce-on-plateau":
        return Plateau(direction)
    if name in WARMUP_CURVES:
        return Schedule(
            partial(WARMUP_CURVES[name], warmup=warmup_share(warmup, epochs, steps)), epochs
        )
    if name not in CURVES:
        raise ConfigError(
            f"--lr-scheduler {name!r}; {nearest(name, [*CURVES, *WARMUP_CURVES, 'reduce-on-plateau'])}"
        )
    return Schedule(CURVES[name], epochs)


def warmup_share(warmup: float, epochs: int, steps: int | None) -> float:
    """``--warmup-steps`` as a share of the training in [0, 1): what is below 1 is one, the rest are steps. ConfigError where it is neither."""
    if warmup >= 1 and steps is None:
        raise ConfigError(
            f"--warmup-steps {warmup:g}: how many steps an epoch has is known with --steps-per-epoch or --samples-per-epoch only; "
            "a number below 1 is a share of the training"
        )
    share = warmup if warmup < 1 or steps is None else warmup / (epochs * steps)
    if not 0 <= share < 1:
        raise ConfigError(
            f"--warmup-steps {warmup:g}: expected a share of the training in [0, 1), or fewer steps than all of it"
        )
    return share
