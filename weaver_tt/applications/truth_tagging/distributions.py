"""Histograms of the two leading jets, and how well estimates of the tagging efficiency close.

All estimates are made on the same events as direct tagging, so their difference from it is free of
the sample's own fluctuations. For given efficiencies e of the N events of a bin, with event weights
w, the tagged weight is a sum of independent w * Bernoulli(e), and
    Var(sum w tag - sum w e) = sum w^2 e (1 - e)
is its exact variance (that of a Poisson-binomial distribution). chi2 = sum over bins of
(sum w tag - sum w e)^2 / that, with one degree of freedom a bin: nothing is fitted or normalized,
so the true efficiencies give chi2/ndf = 1 +- sqrt(2 / ndf).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from weaver_tt.applications.truth_tagging.jets import Floats, Integers, weighted_counts
from weaver_tt.physics.angles import delta_r
from weaver_tt.physics.four_momentum import energy_from_mass, invariant_mass, px_py_pz

PAIRS = ("bb", "bc", "bl", "cc", "cl", "ll")  # flavours of the two leading jets, in either order
PAIR_OF = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])  # [flavour, flavour] -> index into PAIRS
ENTRIES_PER_BIN = 10.0  # expected tagged entries that a bin must have to enter chi2 on its own

Fit = dict[str, float | int | None]  # chi2, ndf, their ratio, and the expected tagged weight

CENTRAL_QUANTILES = [0.002, 0.998]
ROUND_STEPS = (1, 2, 2.5, 5, 10)  # widths of bins, times a power of ten
FEWEST_BINS = 5
MOST_BINS = 30


@dataclass(slots=True)
class EstimateSums:
    """Sums of one estimate by flavour pair and bin (6, B).

    ``total`` sum of w e, ``square`` of (w e)^2, ``variance`` of w^2 e (1 - e).
    """

    total: Floats
    square: Floats
    variance: Floats

    @property
    def entries(self) -> Floats:
        """Effective number of tagged entries that are expected: (sum w e)^2 / sum w^2 e."""
        below = self.square + self.variance
        # bins without events have no entries
        safe = np.where(below > 0, below, 1)
        return np.where(below > 0, self.total**2 / safe, 0.0)

    def of(self, pair: str) -> EstimateSums:
        """The (B,) sums of one flavour pair, or of ``"all"``."""
        if pair == "all":
            rows = slice(None)
        else:
            number = PAIRS.index(pair)
            rows = slice(number, number + 1)
        return EstimateSums(
            self.total[rows].sum(axis=0),
            self.square[rows].sum(axis=0),
            self.variance[rows].sum(axis=0),
        )


def _empty_sums(bins: int) -> EstimateSums:
    total, square, variance = np.zeros((3, len(PAIRS), bins))
    return EstimateSums(total, square, variance)


@dataclass
class Distribution:
    """One variable under one tag requirement.

    B bins with ``edges`` (B + 1,), and the sums of each estimate by its name.
    """

    edges: Floats
    sums: dict[str, EstimateSums] = field(default_factory=dict)
    outside: float = 0.0  # tagged weight beyond the edges

    def fill(
        self, values: Floats, pair: Integers, weight: Floats, estimates: Mapping[str, Floats]
    ) -> None:
        """Add N events.

        The variable, an index into ``PAIRS``, the event weight, and for each estimate (``direct``
        first) the efficiency or tag; all (N,).
        """
        bins = len(self.edges) - 1
        place = np.searchsorted(self.edges, values, side="right") - 1
        # the last bin holds its upper edge
        place = np.where(values == self.edges[-1], bins - 1, place)
        inside = (place >= 0) & (place < bins)
        # one histogram for all flavour pairs
        cell = pair[inside] * bins + place[inside]
        shape = (len(PAIRS), bins)
        w = weight[inside]
        for name, efficiency in estimates.items():
            e = efficiency[inside]
            if name not in self.sums:
                self.sums[name] = _empty_sums(bins)
            sums = self.sums[name]
            expected = w * e
            variance = w**2 * e * (1 - e)
            sums.total += weighted_counts(cell, expected, shape)
            sums.square += weighted_counts(cell, expected**2, shape)
            sums.variance += weighted_counts(cell, variance, shape)
        tagged = weight * estimates["direct"]
        self.outside += float(tagged[~inside].sum())

    def chi_square(self, pair: str, reference: str) -> dict[str, Fit]:
        """chi2, ndf and their ratio of every estimate but ``direct``.

        Bins are merged by what the estimate ``reference`` expects in them.
        """
        starts = merge_bins(self.sums[reference].of(pair).entries)
        direct = self.sums["direct"].of(pair).total
        fits: dict[str, Fit] = {}
        for name, sums in self.sums.items():
            if name == "direct":
                continue
            estimate = sums.of(pair)
            difference = _merged(direct - estimate.total, starts)
            variance = _merged(estimate.variance, starts)
            # efficiencies of 0 or 1 alone leave nothing to compare
            usable = variance > 0
            chi2 = float((difference[usable] ** 2 / variance[usable]).sum())
            ndf = int(usable.sum())
            fits[name] = {
                "chi2": chi2,
                "ndf": ndf,
                "chi2_per_ndf": chi2 / ndf if ndf else None,
                "expected": float(estimate.total.sum()),
            }
        return fits


def merge_bins(entries: Floats, least: float = ENTRIES_PER_BIN) -> Integers:
    """First bins of runs of neighbouring bins that hold ``least`` entries or more.

    What is left at the end joins the last run, as in ``np.add.reduceat``.
    """
    starts = []
    start = 0
    held = 0.0
    for number, more in enumerate(entries):
        held += more
        if held >= least:
            starts.append(start)
            start = number + 1
            held = 0.0
    return np.array(starts, dtype=int)


def _merged(values: Floats, starts: Integers) -> Floats:
    """Sums of bins over runs of bins, by the first bin of each run."""
    if len(starts) == 0:
        return np.zeros(0)
    return np.add.reduceat(values, starts)


def regular_edges(values: Floats, tagged: float) -> Floats:
    """Round, equally wide bins over the central 99.6 % of ``values``.

    30 of them, or fewer where ``tagged`` expected entries would be less than 10 a bin.
    """
    if len(values) == 0:
        return np.array([0.0, 1.0])
    low, high = np.quantile(values, CENTRAL_QUANTILES)
    bins = np.clip(tagged / ENTRIES_PER_BIN, FEWEST_BINS, MOST_BINS)
    wanted = (high - low) / bins
    if wanted <= 0:
        # all values are equal
        return np.array([low - 0.5, low + 0.5])
    width = _round_width(wanted)
    # a range that ends at an edge but for rounding needs no further bin
    first = np.floor(low / width + 1e-6)
    last = np.ceil(high / width - 1e-6)
    return np.arange(first, last + 1) * width


def _round_width(wanted: float) -> float:
    """The smallest round number that is not more than 10 % below ``wanted``."""
    power = 10.0 ** np.floor(np.log10(wanted))
    step = next(step for step in ROUND_STEPS if step * power >= wanted * 0.9)
    return power * step


def pair_delta_r(eta: Floats, phi: Floats) -> Floats:
    """Distance (N,) of two jets from their eta and phi (N, 2)."""
    return delta_r(eta[:, 0], phi[:, 0], eta[:, 1], phi[:, 1])


def pair_mass(pt: Floats, eta: Floats, phi: Floats, mass: Floats) -> Floats:
    """Mass (N,) of two jets from (N, 2) arrays, in the unit of pT."""
    px, py, pz = px_py_pz(pt, eta, phi)  # (N, 2) each
    energy = energy_from_mass(mass, px**2 + py**2 + pz**2)
    total = [component.sum(axis=1) for component in (px, py, pz, energy)]  # (N,) each
    return invariant_mass(*total)
