"""Medians, means and cores of the response R, from fine histograms of log R filled in a stream.

C cells (bins of pT, eta, ...), H bins of log R.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from weaver_tt.physics.jet_curves import Floats, Integers

WIDTH = 0.002
"""Of a bin of log R: far below the error of a median; R = 1 is in the middle of a bin."""
REACH = 1500
"""Bins on either side of that: R from 1 / 20 to 20; what is beyond is in the outermost ones."""
BINS = 2 * REACH + 1
CENTERS = np.arange(-REACH, REACH + 1) * WIDTH
NORMAL_IQR = 1.349  # between the quartiles of a normal distribution of width 1
MEDIAN_ERROR = 1.2533  # sqrt(pi / 2): error of a median over that of a mean, if normal
CORE = 2.0
"""Widths of the core on both sides of its center, within which the jets belong to it."""
# of a normal distribution: what is within, and what of its variance comes from there
CORE_SHARE = math.erf(CORE / math.sqrt(2))
CORE_VARIANCE = CORE_SHARE - 2 * CORE * math.exp(-(CORE**2) / 2) / math.sqrt(2 * math.pi)
CORE_STEPS = 100  # at most, to find it
CENTERS_OF_RESPONSE = ("median", "mean", "gaussian")


@dataclass(kw_only=True)
class ResponseHistograms:
    """Weighted sums over the jets of each of ``cells`` cells."""

    cells: int
    entries: Floats = field(init=False)  # (C,)
    weight: Floats = field(init=False)  # (C,) of each: sum of weights
    square: Floats = field(init=False)  # ... of their squares
    first: Floats = field(init=False)  # ... of weight R
    second: Floats = field(init=False)  # ... of weight R^2
    counts: Floats = field(init=False)  # (C, H) weights

    def __post_init__(self) -> None:
        for name in ("entries", "weight", "square", "first", "second"):
            setattr(self, name, np.zeros(self.cells))
        self.counts = np.zeros((self.cells, BINS))

    def add(self, cell: Integers, response: Floats, weight: Floats) -> None:
        """Add jets (R,), all three of them."""
        number = np.rint(np.log(response) / WIDTH).astype(np.int64) + REACH
        place = cell * BINS + np.clip(number, 0, BINS - 1)
        self.counts += np.bincount(place, weight, self.counts.size).reshape(self.counts.shape)
        self.entries += np.bincount(cell, minlength=self.cells)
        self.weight += np.bincount(cell, weight, self.cells)
        self.square += np.bincount(cell, weight**2, self.cells)
        self.first += np.bincount(cell, weight * response, self.cells)
        self.second += np.bincount(cell, weight * response**2, self.cells)

    def merged(self, group: Integers, groups: int) -> ResponseHistograms:
        """The sums of ``groups`` groups of cells; ``group`` (C,) is each cell's, -1 for none."""
        whole = ResponseHistograms(cells=groups)
        kept = group >= 0
        for name in ("entries", "weight", "square", "first", "second", "counts"):
            np.add.at(getattr(whole, name), group[kept], getattr(self, name)[kept])
        return whole

    def quantiles(self, levels: tuple[float, ...]) -> Floats:
        """Quantiles of R (C, levels), NaN in a cell whose weights do not sum to more than 0."""
        result = np.full((self.cells, len(levels)), np.nan)
        edges = np.append(CENTERS - WIDTH / 2, CENTERS[-1] + WIDTH / 2)
        for cell in np.flatnonzero(self.weight > 0):
            total = np.concatenate([[0.0], np.cumsum(self.counts[cell])])
            # negative weights may make it fall for some bins
            total = np.maximum.accumulate(total)
            for place, level in enumerate(levels):
                result[cell, place] = np.exp(_crossing(total, edges, level * total[-1]))
        return result

    def effective(self) -> Floats:
        """Effective number of jets (C,), 0 where there are none."""
        return np.divide(
            self.weight**2, self.square, out=np.zeros(self.cells), where=self.square > 0
        )

    def medians(self) -> tuple[Floats, Floats]:
        """Median of R (C,), and its statistical error from the width between the quartiles."""
        low, median, high = self.quantiles((0.25, 0.5, 0.75)).T
        return median, MEDIAN_ERROR * (high - low) / NORMAL_IQR / self._root()

    def means(self) -> tuple[Floats, Floats]:
        """Mean of R (C,), and its statistical error."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(self.weight > 0, self.first / self.weight, np.nan)
            # not 0, that fits can divide by the error
            variance = np.maximum(self.second / self.weight - mean**2, (WIDTH / 3) ** 2)
        return mean, np.sqrt(variance) / self._root()

    def gaussians(self) -> tuple[Floats, Floats]:
        """Center of the Gaussian core of R (C,), and its statistical error.

        The core is what lies within ``CORE`` of its widths from its center, which is the mean of R
        there; the width follows from the standard deviation there, as that of a normal distribution
        that is cut so. Tails on either side do not move it.
        """
        low, median, high = self.quantiles((0.25, 0.5, 0.75)).T
        center = np.full(self.cells, np.nan)
        width = np.full(self.cells, np.nan)
        for cell in np.flatnonzero(self.weight > 0):
            start = float((high - low)[cell] / NORMAL_IQR)
            center[cell], width[cell] = _core(self.counts[cell], float(median[cell]), start)
        return center, width / math.sqrt(CORE_VARIANCE) / self._root()

    def centers(self, kind: str) -> tuple[Floats, Floats]:
        """One of ``CENTERS_OF_RESPONSE`` (C,), and its statistical error."""
        by_kind = {"median": self.medians, "mean": self.means, "gaussian": self.gaussians}
        return by_kind[kind]()

    def _root(self) -> Floats:
        """(C,) square root of the effective number of jets; NaN where there are none."""
        effective = self.effective()
        return np.sqrt(np.where(effective > 0, effective, np.nan))


def _core(counts: Floats, center: float, width: float) -> tuple[float, float]:
    """Center and width in R of the Gaussian core of a histogram (H,), searched for from these.

    NaN where the weights in it do not sum to more than 0.
    """
    edges = np.exp(np.append(CENTERS - WIDTH / 2, CENTERS[-1] + WIDTH / 2))
    values = np.exp(CENTERS)
    sums = []  # of weight, weight R, weight R^2 below each edge
    for power in (0, 1, 2):
        sums.append(np.concatenate([[0.0], np.cumsum(counts * values**power)]))
    # not 0, that fits can divide by the error
    least = center * WIDTH / 3
    width = max(width, least)
    for _ in range(CORE_STEPS):
        borders = [center - CORE * width, center + CORE * width]
        inside = [float(np.diff(np.interp(borders, edges, total))[0]) for total in sums]
        if not inside[0] > 0:
            return math.nan, math.nan
        mean = inside[1] / inside[0]
        variance = inside[2] / inside[0] - mean**2
        before = center, width
        center = mean
        width = max(math.sqrt(max(variance, 0.0) * CORE_SHARE / CORE_VARIANCE), least)
        if math.isclose(before[0], center, rel_tol=1e-7) and math.isclose(
            before[1], width, rel_tol=1e-6
        ):
            break
    return center, width


def _crossing(total: Floats, edges: Floats, level: float) -> float:
    """Where a cumulative histogram reaches ``level``; inside of a bin it rises linearly."""
    number = int(np.searchsorted(total, level, "left"))
    number = min(max(number, 1), len(total) - 1)
    below, above = total[number - 1], total[number]
    share = (level - below) / (above - below) if above > below else 0.5
    return float(edges[number - 1] + share * (edges[number] - edges[number - 1]))
