"""A sample of a stream of numbers in bounded memory: all of them as long as they fit.

Then a random choice.

Source: Vitter 1985, ACM Trans. Math. Softw. 11, 37 (algorithm R).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Reservoir:
    """Keeps at most ``capacity`` of the values it is given, each with the same probability.

    The same ones for the same seed.
    """

    def __init__(self, capacity: int, seed: int, dtype: npt.DTypeLike = np.float64) -> None:
        """``dtype``: that of the values that are kept."""
        self.capacity = capacity
        self.seen = 0
        self._random = np.random.default_rng(seed)
        # where nothing has been written, the system gives no memory
        self._values = np.empty(capacity, dtype)

    def add(self, values: npt.NDArray[Any]) -> None:
        """Offer values (M,)."""
        fitting = values[: max(0, self.capacity - self.seen)]
        self._values[self.seen : self.seen + len(fitting)] = fitting
        self.seen += len(fitting)
        values = values[len(fitting) :]
        if len(values) == 0:
            return
        # value number t of the stream (from 1) takes a place with probability capacity / t
        last = self.seen + len(values)
        place = self._random.integers(0, np.arange(self.seen + 1, last + 1))  # (M,)
        chosen = np.flatnonzero(place < self.capacity)
        # of several values that take the same place, the last one stays
        self._values[place[chosen]] = values[chosen]
        self.seen = last

    def values(self) -> npt.NDArray[Any]:
        """The values that are kept: (at most capacity,)."""
        return self._values[: self.seen]
