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

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity = capacity
        self.seen = 0
        self._random = np.random.default_rng(seed)
        self._values: npt.NDArray[np.float64] = np.empty(0)
        self._parts: list[npt.NDArray[np.float64]] = []  # values that are not yet in _values

    def add(self, values: npt.NDArray[Any]) -> None:
        """Offer values (M,)."""
        room = max(0, self.capacity - self.seen)
        if room:
            self._parts.append(values[:room].astype(np.float64))
            self.seen += min(room, len(values))
            values = values[room:]
        if len(values) == 0:
            return
        kept = self.values()
        # value number t of the stream (from 1) takes a place with probability capacity / t
        last = self.seen + len(values)
        place = self._random.integers(0, np.arange(self.seen + 1, last + 1))  # (M,)
        chosen = np.flatnonzero(place < self.capacity)
        # of several values that take the same place, the last one stays
        kept[place[chosen]] = values[chosen]
        self.seen = last

    def values(self) -> npt.NDArray[np.float64]:
        """The values that are kept: (at most capacity,)."""
        if self._parts:
            self._values = np.concatenate([self._values, *self._parts])
            self._parts = []
        return self._values
