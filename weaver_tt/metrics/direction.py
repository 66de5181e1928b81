"""Where a metric is best: the best epoch, early stopping, schedules and reports all ask here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Direction(StrEnum):
    """Where a metric is best: at its smallest, at its largest, or closest to zero."""

    MIN = "min"
    MAX = "max"
    ZERO = "zero"

    def penalty(self, value: float) -> float:
        """A number that is the smaller the better ``value`` is."""
        if self is Direction.MAX:
            return -value
        if self is Direction.ZERO:
            return abs(value)
        return value

    def is_better(self, value: float, than: float) -> bool:
        """Whether ``value`` is better than another one; neither of two equal ones is."""
        return self.penalty(value) < self.penalty(than)

    def best(self, values: Iterable[float]) -> float:
        """The best of ``values``, the first of several."""
        return min(values, key=self.penalty)


Directions = Mapping[str, Direction | None]

# A metric is one of these, or begins with one and `_` or `@`: `auc_ovo`, `rejection@0.5_top` and
# `mae_pt` are an auc, a rejection and a mae. A mean efficiency and a tag rate say how many objects
# are tagged, not how well: they have no best value, and neither has a coverage, a number of
# entries that are left out, or the width of pulls, which is to be 1.
DIRECTIONS: Directions = {
    "loss": Direction.MIN,
    "accuracy": Direction.MAX,
    "auc": Direction.MAX,
    "rejection": Direction.MAX,
    "calibration_error": Direction.MIN,
    "efficiency": None,
    "tag_rate": None,
    "brier": Direction.MIN,
    "log_loss": Direction.MIN,
    "mae": Direction.MIN,
    "rmse": Direction.MIN,
    "bias": Direction.ZERO,
    "resolution": Direction.MIN,
    "coverage": None,
    "without_target": None,
    "coverage_error": Direction.MIN,
    "pull_mean": Direction.ZERO,
    "pull_width": None,
    "pull_resolution": None,
}


def metric_direction(metric: str, directions: Directions = DIRECTIONS) -> Direction | None:
    """Where ``metric`` is best, by the longest name in ``directions`` that it begins with.

    None for what is neither good nor bad; what no name stands for is best at its smallest.
    """
    names = names_of(metric, directions)
    if not names:
        return Direction.MIN
    return directions[max(names, key=len)]


def names_of(metric: str, names: Iterable[str]) -> list[str]:
    """Which of ``names`` say what ``metric`` is: itself, or what it begins with before _ or @."""
    return [name for name in names if metric == name or metric.startswith((f"{name}_", f"{name}@"))]
