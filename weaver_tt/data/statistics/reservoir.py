"""A sample of a stream of numbers in bounded memory: all of them as long as they fit, then a random choice (Vitter 1985, algorithm R)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Reservoir:
    """Keeps at most ``capacity`` of the values it is given, each value of the stream with the same probability; the same ones for the same seed."""

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity = capacity
        self.seen = 0
        self._random = np.random.default_rng(seed)
        self._values: npt.NDArray[np.float64] = np.empty(0)
        self._parts: list[npt.NDArray[np.float64]] = []

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
        # value number t of the stream (from 1) takes a place with probability capacity / t; of several that take the same one the last stays
        place = self._random.integers(0, np.arange(self.seen + 1, self.seen + len(values) + 1))
        taken = np.flatnonzero(place < self.capacity)
        kept[place[taken]] = values[taken]
        self.seen += len(values)

    def values(self) -> npt.NDArray[np.float64]:
        """What is kept."""
        if self._parts:
            self._values = np.concatenate([self._values, *self._parts])
            self._parts = []
        return self._values
