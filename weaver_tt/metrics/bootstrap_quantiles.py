"""Quantiles of many distributions, in a stream, with their values in samples of the bootstrap.

R rows of a chunk, S sums: that over all rows first, then one for each sample of the bootstrap. What
is made of such numbers by arithmetic has the errors of all of them, correlations included, as all
share their samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Sums = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

WIDTH = 1e-4
"""Of a bin: a quantile is known to half of it."""
REACH = 10.0
"""Values from 0 to this have a bin of their own; larger ones are in the last."""
LEAST_WAITING = 200_000  # entries that are added up together


def bootstrap_error(values: Floats) -> float:
    """The standard deviation over the samples of ``values`` (S,); NaN where one is not known."""
    if not np.isfinite(values).all():
        return math.nan
    return float(np.std(values[1:], ddof=1))


@dataclass(frozen=True, slots=True)
class SampledDistribution:
    """Increasing values (V,) and their weights (V, S)."""

    values: Floats
    weights: Sums

    @property
    def total(self) -> Floats:
        """Sums of the weights, (S,)."""
        return self.weights.sum(0, dtype=np.float64)

    def quantiles(self, levels: Sequence[float]) -> Floats:
        """The smallest values up to which a share ``levels`` of the weight lies, (levels, S).

        NaN where the sum of weights is not above 0.
        """
        found = np.full((len(levels), self.weights.shape[1]), np.nan)
        if not len(self.values):
            return found
        below = np.cumsum(self.weights, axis=0, dtype=np.float64)  # (V, S)
        total = below[-1]
        is_known = total > 0
        for number, level in enumerate(levels):
            # with negative weights the sum may fall for a while: the first crossing counts
            place = np.argmax(below >= level * total, axis=0)  # (S,)
            found[number, is_known] = self.values[place[is_known]]
        return found


class SampledDistributions:
    """Distributions of values above 0 in ``cells`` cells, each with S weights.

    Bins that are filled are kept, and no others: memory is bounded by their number, whatever the
    number of rows.
    """

    def __init__(self, cells: int, samples: int) -> None:
        """``samples``: the number S of weights of a row."""
        self.cells = cells
        self._bins = round(REACH / WIDTH)
        # number of cell and bin, ascending, and the weights
        self._keys: Integers = np.empty(0, np.int64)
        self._weights: Sums = np.empty((0, samples), np.float32)
        self._waiting: list[tuple[Integers, Sums]] = []
        self._waiting_entries = 0

    def add(self, cell: Integers, value: Floats, weights: Sums) -> None:
        """Add rows: numbers of cells (R,), -1 for rows in none, values (R,), weights (R, S)."""
        use = cell >= 0
        number = np.minimum(value[use] / WIDTH, self._bins - 1).astype(np.int64)
        keys, sums = _added_up(cell[use] * self._bins + number, weights[use])
        self._waiting.append((keys, sums))
        self._waiting_entries += len(keys)
        # each entry is moved a number of times that grows with the logarithm of the rows
        if self._waiting_entries > max(LEAST_WAITING, len(self._keys)):
            self._take_waiting()

    def _take_waiting(self) -> None:
        if not self._waiting:
            return
        keys = np.concatenate([self._keys, *(keys for keys, _ in self._waiting)])
        weights = np.concatenate([self._weights, *(sums for _, sums in self._waiting)])
        self._keys, self._weights = _added_up(keys, weights)
        self._waiting = []
        self._waiting_entries = 0

    def of(self, cells: Iterable[int]) -> SampledDistribution:
        """The distribution in several cells together."""
        self._take_waiting()
        numbers: list[Integers] = [np.empty(0, np.int64)]
        weights = [self._weights[:0]]
        for cell in cells:
            first, last = np.searchsorted(self._keys, [cell * self._bins, (cell + 1) * self._bins])
            numbers.append(self._keys[first:last] - cell * self._bins)
            weights.append(self._weights[first:last])
        number, sums = _added_up(np.concatenate(numbers), np.concatenate(weights))
        values = (number + 0.5).astype(np.float64) * WIDTH
        return SampledDistribution(values, sums)


def _added_up(keys: Integers, weights: Sums) -> tuple[Integers, Sums]:
    """Each key once, ascending, with the sum of its weights."""
    if not len(keys):
        return keys, weights
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    return keys[first], np.add.reduceat(weights[order], first, axis=0)
