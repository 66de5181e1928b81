"""Responses R = corrected pT / pT of the generated jet, in regions and bins, of one model.

Sums that are added up in a stream, each with its samples of the bootstrap: S numbers, that over all
jets first. Definitions of regions, SAE, alpha and beta: D. Holmberg, Jet energy corrections with
graph neural network regression (thesis, University of Helsinki, 2022), chapter 7 and appendix A.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from weaver_tt.data.rows.bootstrap import poisson_weights
from weaver_tt.metrics.bootstrap_quantiles import (
    Floats,
    Integers,
    SampledDistribution,
    SampledDistributions,
    Sums,
)
from weaver_tt.physics.particles import BOTTOM, CHARM, GLUON

SAMPLES = 30
"""Of the bootstrap."""
SEED = 7_001  # of the weights of the samples: the same for all models, whatever is compared

REGIONS: dict[str, tuple[float, float]] = {"central": (0.0, 2.5), "forward": (2.5, 5.0)}
"""abs(eta) of the generated jet."""
LEAST_PT = 30.0
"""GeV, of the generated jet."""
PT_EDGES = (30.0, 40, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, np.inf)
"""GeV, of the generated jet: bins of the figures, of which those of the tables are made."""
PT_INTERVALS = ((30.0, 50.0), (50.0, 100.0), (100.0, 300.0), (300.0, 1000.0), (1000.0, np.inf))
"""GeV, of the generated jet: Tables A.1 and A.2."""

QUARKS_AND_GLUON = {"u": 2, "d": 1, "s": 3, "c": CHARM, "b": BOTTOM, "g": GLUON}
"""The six flavours of Eq. 7.1."""
UNKNOWN = "unknown"
FLAVOURS = (*QUARKS_AND_GLUON, UNKNOWN)
GROUPS: dict[str, tuple[str, ...]] = {
    "all": FLAVOURS,
    "uds": ("u", "d", "s"),
    **{name: (name,) for name in FLAVOURS},
}
FOUR_GROUPS = ("uds", "c", "b", "g")

# bins of what is measured, for the closure
RECO_PT_EDGES = (30.0, 50, 100, 200, 400, 1000, 3000, np.inf)
RECO_ETA_EDGES = (0.0, 0.8, 1.3, 1.7, 2.1, 2.5, 3.0, 4.0, 5.0)
RHO_EDGES = (0.0, 3, 6, 9, 12, 15, 18, 21, 25, 30, 40, np.inf)


def sample_weights(first: int, rows: int, weight: Floats | None = None) -> Sums:
    """Weights (R, S) of the jets from number ``first`` on, in each sample.

    The first column is the jet's own weight; in the samples it is multiplied by a Poisson number
    that depends on the number of the jet alone, so that all models see the same samples.
    """
    number = np.arange(first, first + rows)
    weights = np.ones((rows, 1 + SAMPLES), np.float32)
    for sample in range(SAMPLES):
        weights[:, 1 + sample] = poisson_weights(number, SEED + sample)
    if weight is not None:
        weights *= weight[:, None].astype(np.float32)
    return weights


def bins_of(values: Floats, edges: Sequence[float]) -> Integers:
    """Bin of each value (R,), -1 for those in none; a bin has its lower edge."""
    number = np.searchsorted(np.asarray(edges), values, "right") - 1
    return np.where((number < 0) | (number >= len(edges) - 1), -1, number)


def cells_of(*axes: tuple[Integers, int]) -> Integers:
    """One number for the bins along several axes, each with its length; -1 where one is -1."""
    cell = np.zeros(len(axes[0][0]), np.int64)
    is_inside = np.ones(len(cell), bool)
    for number, length in axes:
        cell = cell * length + number
        is_inside &= number >= 0
    return np.where(is_inside, cell, -1)


def flavour_numbers(flavour: npt.NDArray[np.integer]) -> Integers:
    """Places in ``FLAVOURS`` (R,) of PDG numbers of either sign; any other is unknown."""
    numbers = np.full(len(flavour), FLAVOURS.index(UNKNOWN))
    for place, code in enumerate(QUARKS_AND_GLUON.values()):
        numbers[np.abs(flavour) == code] = place
    return numbers


def region_numbers(eta: Floats) -> Integers:
    """Places in ``REGIONS`` (R,), -1 beyond the last."""
    edges = [low for low, _ in REGIONS.values()] + [max(high for _, high in REGIONS.values())]
    return bins_of(np.abs(eta), edges)


class TrueBins:
    """Responses in bins of the generated jet: region, pT and flavour."""

    def __init__(self) -> None:
        cells = len(REGIONS) * (len(PT_EDGES) - 1) * len(FLAVOURS)
        self._sums = SampledDistributions(cells, 1 + SAMPLES)

    @staticmethod
    def cells(true_pt: Floats, true_eta: Floats, flavour: npt.NDArray[np.integer]) -> Integers:
        """The cell of each jet (R,), -1 for those that are not judged."""
        return cells_of(
            (region_numbers(true_eta), len(REGIONS)),
            (bins_of(true_pt, PT_EDGES), len(PT_EDGES) - 1),
            (flavour_numbers(flavour), len(FLAVOURS)),
        )

    def add(self, cells: Integers, response: Floats, weights: Sums) -> None:
        """Add jets (R,) of which the cells are known."""
        self._sums.add(cells, response, weights)

    def of(
        self, region: str, interval: tuple[float, float], flavours: Iterable[str]
    ) -> SampledDistribution:
        """Jets of a region, of an interval of pT whose ends are edges of bins, and of flavours."""
        first = PT_EDGES.index(interval[0])
        last = PT_EDGES.index(interval[1])
        place = list(REGIONS).index(region)
        cells = []
        for pt in range(first, last):
            for name in flavours:
                row = place * (len(PT_EDGES) - 1) + pt
                cells.append(row * len(FLAVOURS) + FLAVOURS.index(name))
        return self._sums.of(cells)


class RecoBins:
    """Responses in bins of what is measured, without a cut on the generated jet.

    A cut on the pT of the generated jet would take jets of one side of each bin of measured pT.
    """

    def __init__(self) -> None:
        self._pt = len(RECO_PT_EDGES) - 1
        self._eta = len(RECO_ETA_EDGES) - 1
        self._rho = len(RHO_EDGES) - 1
        self._plane = SampledDistributions(self._pt * self._eta, 1 + SAMPLES)
        self._of_rho = SampledDistributions(len(REGIONS) * self._rho, 1 + SAMPLES)

    def add(
        self, pt: Floats, eta: Floats, rho: Floats | None, response: Floats, weights: Sums
    ) -> None:
        """Add jets (R,) with what is measured of them."""
        of_pt = bins_of(pt, RECO_PT_EDGES)
        of_eta = bins_of(np.abs(eta), RECO_ETA_EDGES)
        self._plane.add(cells_of((of_pt, self._pt), (of_eta, self._eta)), response, weights)
        if rho is not None:
            region = np.where(of_pt >= 0, region_numbers(eta), -1)
            of_rho = bins_of(rho, RHO_EDGES)
            cells = cells_of((region, len(REGIONS)), (of_rho, self._rho))
            self._of_rho.add(cells, response, weights)

    def in_pt(self, region: str) -> list[SampledDistribution]:
        """Each bin of pT, of a region of measured eta."""
        inside = [number for number in range(self._eta) if self._is_in(number, region)]
        return [self._cells([pt], inside) for pt in range(self._pt)]

    def in_eta(self) -> list[SampledDistribution]:
        """Each bin of abs(eta)."""
        return [self._cells(range(self._pt), [eta]) for eta in range(self._eta)]

    def in_rho(self, region: str) -> list[SampledDistribution]:
        """Each bin of rho, of a region of measured eta."""
        start = list(REGIONS).index(region) * self._rho
        return [self._of_rho.of([start + number]) for number in range(self._rho)]

    def in_plane(self) -> list[list[SampledDistribution]]:
        """Each bin of pT, and in it each of abs(eta)."""
        return [[self._cells([pt], [eta]) for eta in range(self._eta)] for pt in range(self._pt)]

    @staticmethod
    def _is_in(number: int, region: str) -> bool:
        low, high = REGIONS[region]
        return low <= RECO_ETA_EDGES[number] < high

    def _cells(self, pts: Iterable[int], etas: Iterable[int]) -> SampledDistribution:
        etas = list(etas)
        return self._plane.of(pt * self._eta + eta for pt in pts for eta in etas)


class Loss:
    """The test loss: Eq. 6.8 over all jets, |y - prediction| where |y| < 1, else 0.

    With y = log(true pT / measured pT), and the prediction the logarithm of the factor by which a
    jet is corrected, the difference is -log R.
    """

    WINDOW = 1.0

    def __init__(self) -> None:
        self._sum = np.zeros(1 + SAMPLES)
        self._weight = np.zeros(1 + SAMPLES)

    def add(self, true_pt: Floats, raw_pt: Floats, response: Floats, weights: Sums) -> None:
        """Add jets (R,)."""
        counts = np.abs(np.log(true_pt / raw_pt)) < self.WINDOW
        loss = np.where(counts, np.abs(np.log(response)), 0.0)
        self._sum += loss @ weights
        self._weight += weights.sum(0, dtype=np.float64)

    @property
    def value(self) -> Floats:
        """The loss (S,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._sum / self._weight


class Coverage:
    """How often the truth lies below each predicted quantile, in regions and bins of pT."""

    def __init__(self, quantiles: int) -> None:
        """``quantiles``: how many, Q."""
        self._shape = (len(REGIONS), len(PT_EDGES) - 1)
        cells = len(REGIONS) * (len(PT_EDGES) - 1)
        self._below = np.zeros((cells, quantiles, 1 + SAMPLES))
        self._total = np.zeros((cells, 1 + SAMPLES))

    def add(
        self,
        true_pt: Floats,
        true_eta: Floats,
        truth: Floats,
        predicted: Floats,
        weights: Sums,
    ) -> None:
        """Add jets (R,) with predicted quantiles (R, Q); those without ``truth`` do not count."""
        cells = cells_of(
            (region_numbers(true_eta), self._shape[0]), (bins_of(true_pt, PT_EDGES), self._shape[1])
        )
        known = (cells >= 0) & np.isfinite(truth) & np.isfinite(predicted).all(1)
        below = truth[known, None] < predicted[known]  # (R, Q)
        for cell in np.unique(cells[known]):
            mine = cells[known] == cell
            of_cell = weights[known][mine].astype(np.float64)  # (R', S)
            self._total[cell] += of_cell.sum(0)
            self._below[cell] += below[mine].T.astype(np.float64) @ of_cell

    def shares(self, region: str, interval: tuple[float, float] | None = None) -> Floats:
        """Shares below each quantile (Q, S) in an interval of pT; NaN where there are no jets."""
        first = 0
        last = self._shape[1]
        if interval is not None:
            first = PT_EDGES.index(interval[0])
            last = PT_EDGES.index(interval[1])
        start = list(REGIONS).index(region) * self._shape[1]
        chosen = slice(start + first, start + last)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares: Floats = self._below[chosen].sum(0) / self._total[chosen].sum(0)
        return shares
