"""Thresholds of a score in bins of (rho, pT) above which a share of the background lies.

Designing decorrelated taggers (DDT): a score less the threshold of its bin lets the same share of
the background pass everywhere. J jets, P bins of pT, C bins in (rho, pT), those of a pT side by
side.

Source: Dolen et al., JHEP 05 (2016) 156; CMS, PRL 119 (2017) 111802, for thresholds in (rho, pT).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from weaver_tt.applications.decorrelation.jets import Jets
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.row_values import Floats
from weaver_tt.system.wording import counted

Integers = npt.NDArray[np.int64]
FEWEST_JETS = 20
"""In a bin, of the background."""
PASSING_A_BIN = 10
"""Or failing, whichever are fewer, in the mean of a bin that the jets choose.

The error of a bin is a third of the share then; those of bins are independent, so that in a range
of mass wider bins would not reduce it, but follow the mass less.
"""
FEW_RHO_BINS = 5
"""Fewer follow the mass only coarsely."""
MOST_PT_BINS = 10
MOST_RHO_BINS = 50
MOST_BINS = 10_000


@dataclass(frozen=True, kw_only=True)
class RhoPtBins:
    """Bins of pT in GeV, and for each of them bins of rho. Beyond, the outermost bins hold."""

    pt_edges: Floats  # (P + 1,)
    rho_edges: tuple[Floats, ...]  # of each bin of pT

    @cached_property
    def first_bins(self) -> Integers:
        """The number of the first bin of each bin of pT, and of all bins, (P + 1,)."""
        numbers = [len(edges) - 1 for edges in self.rho_edges]
        return np.concatenate([[0], np.cumsum(numbers)]).astype(np.int64)

    def __len__(self) -> int:
        return int(self.first_bins[-1])

    def find(self, rho: Floats, pt: Floats) -> Integers:
        """The bin of each jet (J,); a value on an edge belongs to the bin above."""
        pt_bin = _bin(self.pt_edges, pt)
        found = np.zeros(len(rho), np.int64)
        for number, edges in enumerate(self.rho_edges):
            inside = pt_bin == number
            found[inside] = self.first_bins[number] + _bin(edges, rho[inside])
        return found

    def is_outside(self, rho: Floats, pt: Floats) -> npt.NDArray[np.bool_]:
        """Jets (J,) beyond the outermost edges, whose threshold is that of the nearest bin."""
        pt_bin = _bin(self.pt_edges, pt)
        low = np.array([edges[0] for edges in self.rho_edges])[pt_bin]
        high = np.array([edges[-1] for edges in self.rho_edges])[pt_bin]
        outside_rho = (rho < low) | (rho > high)
        return outside_rho | (pt < self.pt_edges[0]) | (pt > self.pt_edges[-1])

    def text(self, number: int) -> str:
        """The borders of a bin in words."""
        pt_bin = int(np.searchsorted(self.first_bins, number, "right")) - 1
        edges = self.rho_edges[pt_bin]
        place = number - self.first_bins[pt_bin]
        low, high = self.pt_edges[pt_bin : pt_bin + 2]
        return f"rho from {edges[place]:.4g} to {edges[place + 1]:.4g}, pT {low:.4g} to {high:.4g}"


def _bin(edges: Floats, values: Floats) -> Integers:
    return np.searchsorted(edges[1:-1], values, "right").astype(np.int64)


ONE_BIN = RhoPtBins(pt_edges=np.array([0.0, 1.0]), rho_edges=(np.array([0.0, 1.0]),))
"""All jets together: the threshold of a plain cut on the score."""


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The threshold of each bin, above which a share ``efficiency`` of the background lies.

    ``errors`` are statistical.
    """

    efficiency: float
    bins: RhoPtBins
    thresholds: Floats  # (C,)
    errors: Floats  # (C,)

    def of_jets(self, rho: Floats, pt: Floats) -> Floats:
        """The threshold of each jet (J,)."""
        return self.thresholds[self.bins.find(rho, pt)]


@dataclass(frozen=True, kw_only=True)
class ThresholdMap(Thresholds):
    """Thresholds, and the background jets that they were made of.

    ``passing``: the share of them that passes; ``is_tied``: it is farther from the efficiency than
    by a jet, as scores are tied; ``jets``: their number in each bin, 0 where the threshold is that
    of the nearest bin with jets; ``effective_jets``: what weights leave of those that the threshold
    is made of.
    """

    passing: Floats  # (C,)
    is_tied: npt.NDArray[np.bool_]  # (C,)
    jets: Integers  # (C,)
    effective_jets: Floats  # (C,)


def make_map(
    jets: Jets, efficiency: float, bins: RhoPtBins, fewest: int | None = None
) -> ThresholdMap:
    """The thresholds of background jets in ``bins``.

    ``fewest``: jets of a bin that has any (default: 20, of which one can be expected to pass, and
    one to fail).

    Raises:
        DataError: a bin has some, but too few jets, or weights that do not add up to more than 0.
    """
    number = bins.find(jets.rho, jets.pt)
    order = np.argsort(number, kind="stable")
    counts = np.bincount(number, minlength=len(bins))
    fewest = fewest_jets(efficiency) if fewest is None else fewest
    few = (counts > 0) & (counts < fewest)
    if few.any():
        first = int(np.argmax(few))
        raise DataError(
            f"{bins.text(first)}: {counted(int(counts[first]), 'background jet')}, at least "
            f"{fewest} are needed in a bin for an efficiency of {efficiency:g} "
            f"({counted(int(few.sum()), 'such bin')} of {len(bins)}); wider bins have more"
        )
    thresholds, errors, passing, effective = np.zeros((4, len(bins)))
    is_tied = np.zeros(len(bins), bool)
    last = np.cumsum(counts)
    for place in np.flatnonzero(counts):
        mine = order[last[place] - counts[place] : last[place]]
        weight = jets.weight[mine]
        if not weight.sum() > 0:
            raise DataError(
                f"{bins.text(int(place))}: the weights of the background add up to "
                f"{weight.sum():g}; a share of it needs a sum above 0"
            )
        effective[place] = weight.sum() ** 2 / (weight**2).sum()
        found = find_threshold(jets.score[mine], weight, efficiency)
        thresholds[place], errors[place], passing[place] = found
        largest = np.abs(weight).max() / weight.sum()
        is_tied[place] = abs(passing[place] - efficiency) > 1.5 * largest
    nearest = _nearest_filled(bins, counts)
    return ThresholdMap(
        efficiency=efficiency,
        bins=bins,
        thresholds=thresholds[nearest],
        errors=errors[nearest],
        passing=passing[nearest],
        is_tied=is_tied,
        jets=counts,
        effective_jets=effective[nearest],
    )


def find_threshold(
    scores: Floats, weights: Floats, efficiency: float
) -> tuple[float, float, float]:
    """A threshold, its error, and the share of the weight of ``scores`` above it.

    Of n other jets the share ``efficiency`` is expected above the threshold: it is interpolated
    such that k / (n + 1) are above the k-th highest score. Tied scores pass together, or not at
    all, whichever is nearer. The error is half the distance of the thresholds at one standard
    deviation of the share to both sides, that of a binomial of the effective number of jets.

    Source: Weibull (1939), the mean position of an order statistic.
    """
    levels, place = np.unique(-scores, return_inverse=True)
    levels = -levels  # from the highest
    # summed weights of the highest levels, of none to all of them
    above = np.concatenate([[0.0], np.cumsum(np.bincount(place, weights))])
    # jets of equal weight, (sum w)^2 / sum w^2 of them, fluctuate as much
    one = (weights**2).sum() / weights.sum()
    threshold, passing = _threshold(levels, above, one, efficiency)
    deviation = math.sqrt(efficiency * (1 - efficiency) * one / above[-1])
    ends = [
        _threshold(levels, above, one, min(max(share, 0.0), 1.0))[0]
        for share in (efficiency - deviation, efficiency + deviation)
    ]
    return threshold, abs(ends[0] - ends[1]) / 2, float(above[passing] / above[-1])


def _threshold(levels: Floats, above: Floats, one: float, share: float) -> tuple[float, int]:
    """A threshold that a share passes of descending ``levels``, and how many levels pass.

    ``above``: summed weights of the highest 0, 1, ... levels; ``one``: the weight of a jet.
    """
    position = share * (above[-1] + one)
    passing = int(np.argmin(np.abs(above - (position - one / 2))))
    if passing == 0:
        return float(levels[0]), passing
    if passing == len(levels):
        return float(np.nextafter(levels[-1], -np.inf)), passing
    high, low = float(levels[passing - 1]), float(levels[passing])
    # where scores are tied, the position may be beyond both levels; the higher one is to pass
    part = min(max((position - above[passing]) / one, 0.01), 1.0)
    threshold = high - part * (high - low)
    # of neighbouring numbers there is none in between
    return (threshold if low <= threshold < high else low), passing


def _nearest_filled(bins: RhoPtBins, counts: Integers) -> Integers:
    """For each bin (C,) itself, or the nearest with jets: in pT first, then in rho."""
    centres = np.concatenate([(edges[1:] + edges[:-1]) / 2 for edges in bins.rho_edges])
    pt_bins = np.repeat(np.arange(len(bins.rho_edges)), np.diff(bins.first_bins))
    filled = np.flatnonzero(counts)
    nearest = np.arange(len(bins))
    for empty in np.flatnonzero(counts == 0):
        distance = np.abs(pt_bins[filled] - pt_bins[empty])
        closest = filled[distance == distance.min()]
        nearest[empty] = closest[np.argmin(np.abs(centres[closest] - centres[empty]))]
    return nearest


def fewest_jets(efficiency: float) -> int:
    """Jets of a bin, of which at least one is to pass, and one to fail."""
    return max(FEWEST_JETS, math.ceil(1 / min(efficiency, 1 - efficiency)))


def adaptive_bins(
    jets: Jets, efficiency: float, pt_edges: Sequence[float] = (), rho_edges: Sequence[float] = ()
) -> RhoPtBins:
    """Bins of the background's equal content, first in pT, then in rho inside of each bin of pT.

    There are as many as leave 10 jets in the mean of a bin that pass, or fail. Given edges are
    taken instead, those of rho in all bins of pT.

    Raises:
        ConfigError: edges do not increase, or make too many bins.
        DataError: there are too few jets for one bin.
    """
    for name, edges in (("--pt-edges", pt_edges), ("--rho-edges", rho_edges)):
        if edges and (len(edges) < 2 or (np.diff(edges) <= 0).any()):
            shown = " ".join(f"{edge:g}" for edge in edges)
            raise ConfigError(f"ddt: {name} {shown}: expected two or more numbers that increase")
    fewest = fewest_jets(efficiency)
    if len(jets) < fewest:
        raise DataError(
            f"{counted(len(jets), 'background jet')}, at least {fewest} are needed in a bin for an "
            f"efficiency of {efficiency:g}"
        )
    effective = jets.weight.sum() ** 2 / (jets.weight**2).sum()
    most = max(1, int(effective * min(efficiency, 1 - efficiency) / PASSING_A_BIN))
    # the threshold depends more on rho
    number = int(np.clip(round(math.sqrt(most) / 3), 1, MOST_PT_BINS))
    pt = np.asarray(pt_edges) if pt_edges else _equal_content(jets.pt, number, fewest)
    number = int(np.clip(most // (len(pt) - 1), 1, MOST_RHO_BINS))
    if (len(pt) - 1) * max(len(rho_edges) - 1, 1) > MOST_BINS:
        raise ConfigError(f"ddt: --pt-edges and --rho-edges: more than {MOST_BINS:,} bins")
    pt_bin = _bin(pt, jets.pt)
    of_pt = []
    for place in range(len(pt) - 1):
        if rho_edges:
            of_pt.append(np.asarray(rho_edges, np.float64))
            continue
        inside = jets.rho[pt_bin == place]
        # a bin of pT without jets has a bin of all rho
        of_pt.append(_equal_content(inside if len(inside) else jets.rho, number, fewest))
    return RhoPtBins(pt_edges=np.asarray(pt, np.float64), rho_edges=tuple(of_pt))


def _equal_content(values: Floats, bins: int, fewest: int) -> Floats:
    """Edges of at most so many bins with about as many of the values each, and not too few."""
    low, *inner, high = np.quantile(values, np.linspace(0, 1, bins + 1))
    if low == high:
        # all values are the same
        return np.array([low - 0.5, high + 0.5])
    ordered = np.sort(values)
    edges = [low]
    below = 0
    # where many values are the same, so are edges, and what is left of a bin may be little
    for edge in inner:
        count = int(np.searchsorted(ordered, edge))
        if count - below >= fewest and len(values) - count >= fewest:
            edges.append(edge)
            below = count
    return np.array([*edges, high])
