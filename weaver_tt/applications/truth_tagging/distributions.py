"""Histograms of the two leading jets for several estimates of the tagging efficiency, and how well each agrees with direct tagging.

All estimates are made on the same events as direct tagging, so their difference from it is free of the sample's own fluctuations. For given
efficiencies e of the N events of a bin, with event weights w, the tagged weight is a sum of independent w * Bernoulli(e), and
    Var(sum w tag - sum w e) = sum w^2 e (1 - e)
is its exact variance (that of a Poisson-binomial distribution). chi2 = sum over bins of (sum w tag - sum w e)^2 / that, with one degree of freedom a
bin: nothing is fitted or normalised, so the true efficiencies give chi2/ndf = 1 +- sqrt(2 / ndf).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from weaver_tt.applications.truth_tagging.jets import Floats, Integers
from weaver_tt.physics.angles import delta_r
from weaver_tt.physics.four_momentum import energy_from_mass, invariant_mass, px_py_pz

PAIRS = ("bb", "bc", "bl", "cc", "cl", "ll")  # flavours of the two leading jets, in either order
PAIR_OF = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])  # [flavour, flavour] -> index into PAIRS
ENTRIES_PER_BIN = 10.0  # expected tagged entries that a bin must have to enter chi2 on its own


@dataclass(slots=True)
class EstimateSums:
    """Per flavour pair and bin (6, B): ``total`` sum of w e, ``square`` of (w e)^2, ``variance`` of w^2 e (1 - e)."""

    total: Floats
    square: Floats
    variance: Floats

    @property
    def entries(self) -> Floats:
        """Effective number of tagged entries that are expected: (sum w e)^2 / sum w^2 e."""
        below = self.square + self.variance
        return np.where(below > 0, self.total**2 / np.where(below > 0, below, 1), 0.0)

    def of(self, pair: str) -> EstimateSums:
        """The (B,) sums of one flavour pair, or of ``"all"``."""
        select = slice(None) if pair == "all" else slice(PAIRS.index(pair), PAIRS.index(pair) + 1)
        return EstimateSums(
            *(values[select].sum(axis=0) for values in (self.total, self.square, self.variance))
        )


@dataclass
class Distribution:
    """One variable under one tag requirement: B bins with ``edges`` (B + 1,), and the sums of each estimate by its name."""

    edges: Floats
    sums: dict[str, EstimateSums] = field(default_factory=dict)
    outside: float = 0.0  # tagged weight beyond the edges

    def fill(
        self, values: Floats, pair: Integers, weight: Floats, estimates: Mapping[str, Floats]
    ) -> None:
        """Add N events: variable, index into ``PAIRS``, event weight, and for each estimate (``direct`` first) the efficiency or tag; all (N,)."""
        bins = len(self.edges) - 1
        place = np.searchsorted(self.edges, values, side="right") - 1
        place = np.where(values == self.edges[-1], bins - 1, place)
        inside = (place >= 0) & (place < bins)
        cell = pair[inside] * bins + place[inside]
        for name, efficiency in estimates.items():
            e, w = efficiency[inside], weight[inside]
            sums = self.sums.setdefault(name, EstimateSums(*np.zeros((3, len(PAIRS), bins))))
            for total, entry in (
                (sums.total, w * e),
                (sums.square, (w * e) ** 2),
                (sums.variance, w**2 * e * (1 - e)),
            ):
                total += np.bincount(cell, entry, len(PAIRS) * bins).reshape(total.shape)
        self.outside += float((weight * estimates["direct"])[~inside].sum())

    def chi_square(self, pair: str, reference: str) -> dict[str, dict[str, float | int | None]]:
        """chi2, ndf and their ratio of every estimate but ``direct``; bins are merged by what the estimate ``reference`` expects in them."""
        starts = merge_bins(self.sums[reference].of(pair).entries)
        direct = self.sums["direct"].of(pair).total
        result: dict[str, dict[str, float | int | None]] = {}
        for name, sums in self.sums.items():
            if name == "direct":
                continue
            one = sums.of(pair)
            difference, variance = (
                np.add.reduceat(values, starts) if len(starts) else np.zeros(0)
                for values in (direct - one.total, one.variance)
            )
            usable = variance > 0
            chi2, ndf = float((difference[usable] ** 2 / variance[usable]).sum()), int(usable.sum())
            result[name] = {
                "chi2": chi2,
                "ndf": ndf,
                "chi2_per_ndf": chi2 / ndf if ndf else None,
                "expected": float(one.total.sum()),
            }
        return result


def merge_bins(entries: Floats, least: float = ENTRIES_PER_BIN) -> Integers:
    """First bins of runs of neighbouring bins that hold ``least`` entries or more; what is left at the end joins the last run (reduceat)."""
    starts, begin, found = [], 0, 0.0
    for number, more in enumerate(entries):
        found += more
        if found >= least:
            starts.append(begin)
            begin, found = number + 1, 0.0
    return np.array(starts, dtype=int)


def regular_edges(values: Floats, tagged: float) -> Floats:
    """Round, equally wide bins over the central 99.6 % of ``values``: 30, or fewer where ``tagged`` expected entries would be less than 10 a bin."""
    if len(values) == 0:
        return np.array([0.0, 1.0])
    low, high = np.quantile(values, [0.002, 0.998])
    wanted = (high - low) / np.clip(tagged / ENTRIES_PER_BIN, 5, 30)
    if wanted <= 0:
        return np.array([low - 0.5, low + 0.5])
    power = 10.0 ** np.floor(np.log10(wanted))
    width = power * next(step for step in (1, 2, 2.5, 5, 10) if step * power >= wanted * 0.9)
    first, last = np.floor(low / width + 1e-6), np.ceil(high / width - 1e-6)
    return np.arange(first, last + 1) * width


def pair_delta_r(eta: Floats, phi: Floats) -> Floats:
    """Distance (N,) of two jets from their eta and phi (N, 2)."""
    return delta_r(eta[:, 0], phi[:, 0], eta[:, 1], phi[:, 1])


def pair_mass(pt: Floats, eta: Floats, phi: Floats, mass: Floats) -> Floats:
    """Mass (N,) of two jets from (N, 2) arrays, in the unit of pT."""
    px, py, pz = px_py_pz(pt, eta, phi)  # (N, 2) each
    jet_energy = energy_from_mass(mass, px**2 + py**2 + pz**2)
    total = [component.sum(axis=1) for component in (px, py, pz, jet_energy)]  # (N,) each
    return invariant_mass(*total)
