"""How long a watched metric has not improved: learning rates on a plateau and early stopping."""

from __future__ import annotations

import math

from weaver_tt.metrics.direction import Direction
from weaver_tt.options.thresholds import Threshold


class Patience:
    """Counts the values in a row that were no improvement on the ``best`` one before them.

    An improvement is better by more than the threshold. Values that are better by less leave
    ``best`` as it is, so that many small steps add up to one.
    """

    def __init__(self, direction: Direction | str, threshold: Threshold) -> None:
        self.direction = Direction(direction)
        self.threshold = threshold
        self.best: float | None = None
        self.waited = 0

    def observe(self, value: float) -> None:
        """Count the next value, of an epoch that has ended."""
        if self.best is None or self._has_improved(value, self.best):
            self.best = value
            self.waited = 0
        else:
            self.waited += 1

    def _has_improved(self, value: float, best: float) -> bool:
        if math.isinf(best):
            # nothing is less than infinity by a share of it
            return self.direction.is_better(value, best)
        target = self.direction.penalty(best) - self.threshold.of(best)
        return self.direction.penalty(value) < target
