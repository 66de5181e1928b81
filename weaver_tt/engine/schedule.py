"""Learning-rate curves: pure functions (epochs done, epochs in all) -> factor on the learning rate.

The epochs done are a fraction: whole epochs plus ``Batch.progress`` of the running one. So no steps
are counted, and a resumed run continues where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from weaver_tt.engine.patience import Patience
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.metrics.direction import Direction
from weaver_tt.options.thresholds import Threshold

Curve = Callable[[float, int], float]
FLAT_SHARE = 0.7  # share of the training before the flat+... curves fall
FINAL_FACTOR = 1e-3  # flat+linear and flat+cos end here


def constant(done: float, epochs: int) -> float:
    """Always 1."""
    return 1.0


def steps(done: float, epochs: int) -> float:
    """A tenth after one third of the epochs, a hundredth after two thirds; whole epochs."""
    third = max(1, round(epochs / 3))
    reductions = min(2, int(done) // third)
    return 0.1**reductions


def flat_decay(done: float, epochs: int) -> float:
    """Constant for 70 % of the epochs, then by one factor each epoch to 1 % in the last one."""
    # the first epoch never falls, however few there are
    falling = min(max(1, 3 * epochs // 10), epochs - 1)
    fallen = int(done) - (epochs - falling) + 1
    if fallen <= 0 or falling <= 0:
        return 1.0
    return 0.01 ** (min(fallen, falling) / falling)


def flat_linear(done: float, epochs: int, warmup: float = 0.0) -> float:
    """Constant for 70 % of the training, then linearly down to 0.1 %.

    Before, linearly up during the share ``warmup`` of the training.
    """
    fall = 1.0 - (1.0 - FINAL_FACTOR) * _decay_share(done, epochs)
    return _warmup_factor(done, epochs, warmup) * fall


def flat_cos(done: float, epochs: int, warmup: float = 0.0) -> float:
    """Constant for 70 % of the training, then down to 0.1 % in half a cosine.

    Before, linearly up during the share ``warmup`` of the training.
    """
    fall = cosine(1.0, FINAL_FACTOR, _decay_share(done, epochs))
    return _warmup_factor(done, epochs, warmup) * fall


def warmup_cos(done: float, epochs: int, warmup: float) -> float:
    """Linearly up during the share ``warmup`` of the training, then to zero in half a cosine."""
    share = min(done / epochs, 1.0)
    if share < warmup:
        return share / warmup
    return cosine(1.0, 0.0, (share - warmup) / (1.0 - warmup))


def one_cycle(done: float, epochs: int) -> float:
    """Up from 1/25 in 30 % of the training, then down to 1/250000; each half a cosine.

    Source: arXiv:1708.07120.
    """
    share = min(done / epochs, 1.0)
    if share < 0.3:
        return cosine(1 / 25, 1.0, share / 0.3)
    return cosine(1.0, 1 / 25e4, (share - 0.3) / 0.7)


def cosine(first: float, last: float, share: float) -> float:
    """From ``first`` at share 0 to ``last`` at share 1 in half a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def _warmup_factor(done: float, epochs: int, warmup: float) -> float:
    """The linear rise over the share ``warmup`` of the training."""
    if not warmup:
        return 1.0
    return min(done / epochs / warmup, 1.0)


def _decay_share(done: float, epochs: int) -> float:
    """How much of the falling part is over, from 0 to 1."""
    share = (done / epochs - FLAT_SHARE) / (1 - FLAT_SHARE)
    return min(max(share, 0.0), 1.0)


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
PLATEAU = "reduce-on-plateau"


class Schedule:
    """A curve over ``epochs`` epochs."""

    def __init__(self, curve: Curve, epochs: int) -> None:
        self.curve = curve
        self.epochs = epochs

    def factor(self, done: float) -> float:
        """Factor on the learning rate after ``done`` epochs."""
        return self.curve(done, self.epochs)

    def observe(self, value: float) -> None:
        """Note the watched metric at the end of an epoch; a curve does not depend on it."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""


@dataclass(frozen=True, slots=True)
class PlateauOptions:
    """``reduce-on-plateau``: what a rate is multiplied by, and when.

    That is after ``patience`` epochs in a row whose metric was not better than the best value
    before them by more than the ``threshold``.
    """

    factor: float = 0.1
    patience: int = 3
    threshold: Threshold = Threshold(0.01, is_relative=True)


class Plateau(Schedule):
    """A smaller learning rate whenever the watched metric stops improving."""

    def __init__(
        self, direction: Direction | str, options: PlateauOptions = PlateauOptions()
    ) -> None:
        super().__init__(constant, 1)
        self.options = options
        self.patience = Patience(direction, options.threshold)
        self.reductions = 0

    def factor(self, done: float) -> float:
        """Factor on the learning rate, however many epochs are done."""
        return self.options.factor**self.reductions

    def observe(self, value: float) -> None:
        """Count epochs without improvement."""
        self.patience.observe(value)
        if self.patience.waited >= self.options.patience:
            self.reductions += 1
            # the new rate is given its own time to show an improvement
            self.patience.waited = 0

    def state_dict(self) -> dict[str, Any]:
        """Best value, epochs waited, reductions so far."""
        patience = self.patience
        return {
            "best": patience.best,
            "waited": patience.waited,
            "reductions": self.reductions,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        self.patience.best = state["best"]
        self.patience.waited = state["waited"]
        self.reductions = state["reductions"]


def make_schedule(
    name: str,
    epochs: int,
    warmup: float,
    direction: Direction | str,
    steps: int | None = None,
    plateau: PlateauOptions = PlateauOptions(),
) -> Schedule:
    """The schedule called ``name`` (see ``--lr-scheduler``).

    ``warmup`` is ``--warmup-steps``: a share of the training, or a number of steps, of which an
    epoch has ``steps`` (None if that is not known). ``direction``, that of the watched metric, and
    ``plateau`` are for reduce-on-plateau.

    Raises:
        ConfigError: there is no such schedule, or the warm-up is longer than the training.
    """
    if name == PLATEAU:
        return Plateau(direction, plateau)
    if name in WARMUP_CURVES:
        share = warmup_share(warmup, epochs, steps)
        return Schedule(partial(WARMUP_CURVES[name], warmup=share), epochs)
    if name not in CURVES:
        known = [*CURVES, *WARMUP_CURVES, PLATEAU]
        raise ConfigError(f"--lr-scheduler {name!r}; {nearest(name, known)}")
    return Schedule(CURVES[name], epochs)


def warmup_share(warmup: float, epochs: int, steps: int | None) -> float:
    """``--warmup-steps`` as a share of the training, in [0, 1).

    A number below 1 is a share already, others are steps, of which an epoch has ``steps``.

    Raises:
        ConfigError: the steps in an epoch are not known, or the share is not in [0, 1).
    """
    share = warmup
    if warmup >= 1:
        if steps is None:
            raise ConfigError(
                f"--warmup-steps {warmup:g}: how many steps an epoch has is known with "
                "--steps-per-epoch or --samples-per-epoch only; a number below 1 is a share of the "
                "training"
            )
        share = warmup / (epochs * steps)
    if not 0 <= share < 1:
        raise ConfigError(
            f"--warmup-steps {warmup:g}: expected a share of the training in [0, 1), "
            "or fewer steps than all of it"
        )
    return share
