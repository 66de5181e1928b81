"""The binned (pT, eta) efficiency map, one per flavour: the method that a network has to beat.

Source: arXiv:2004.02665, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weaver_tt.applications.truth_tagging.jets import (
    Floats,
    Integers,
    JetFiles,
    JetTable,
    first_chunks,
    stream_jets,
    weighted_counts,
)
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.log import log
from weaver_tt.physics.particles import FLAVOURS

TAGS_PER_BIN = 25.0  # wanted on average: a statistical error of 20 %


@dataclass(frozen=True, slots=True)
class FlavourMap:
    """P x E bins of one flavour.

    Edges (P + 1,) and (E + 1,), efficiency and its error (P, E), and the number of tagged jets they
    rest on.
    """

    pt_edges: Floats
    eta_edges: Floats
    efficiency: Floats
    error: Floats
    tags: float  # effective number (sum of weights)^2 / sum of squared weights

    def bins(self, pt: Floats, eta: Floats) -> tuple[Integers, Integers]:
        """Bin numbers of jets (M,); jets outside the edges belong to the outermost bins."""
        return _clipped_bin(pt, self.pt_edges), _clipped_bin(eta, self.eta_edges)


@dataclass(frozen=True, slots=True)
class EfficiencyMap:
    """The maps of the flavours b, c, light."""

    flavours: Mapping[str, FlavourMap]

    def __call__(self, pt: Floats, eta: Floats, flavour: Integers) -> tuple[Floats, Floats]:
        """Efficiency and error (M,) of jets with pT, eta and flavour (M,).

        The flavour is an index into ``FLAVOURS``.
        """
        efficiency = np.empty(len(pt))
        error = np.empty(len(pt))
        for number, name in enumerate(FLAVOURS):
            is_flavour = flavour == number
            table = self.flavours[name]
            place = table.bins(pt[is_flavour], eta[is_flavour])
            efficiency[is_flavour] = table.efficiency[place]
            error[is_flavour] = table.error[place]
        return efficiency, error


@dataclass(frozen=True, kw_only=True)
class MapBinning:
    """Bin edges that hold for all flavours, or how many bins of equal content to choose for each.

    Chosen bins are fewer where they would hold less than ``TAGS_PER_BIN`` tagged jets on average.
    """

    pt_edges: Sequence[float] = ()
    eta_edges: Sequence[float] = ()
    pt_bins: int = 15
    eta_bins: int = 8

    def __post_init__(self) -> None:
        for name in ("pt_edges", "eta_edges"):
            given = list(getattr(self, name))
            edges = np.asarray(given, float)
            is_rising = np.isfinite(edges).all() and not (np.diff(edges) <= 0).any()
            if len(edges) == 1 or not is_rising:
                raise ConfigError(f"map: {name} must be at least two rising numbers, got {given}")
        for name in ("pt_bins", "eta_bins"):
            bins = getattr(self, name)
            if bins < 1:
                raise ConfigError(f"map: {name} must be at least 1, got {bins}")

    def edges(self, pt: Floats, eta: Floats, tags: float) -> tuple[Floats, Floats]:
        """Edges for one flavour.

        Jets (M,) of it are a sample, ``tags`` is the expected number of tagged jets in all data.
        """
        # both axes become coarser by the same factor
        affordable = tags / TAGS_PER_BIN
        shrink = min(1.0, np.sqrt(affordable / (self.pt_bins * self.eta_bins)))
        pt_edges = np.asarray(self.pt_edges, float)
        if len(pt_edges) == 0:
            pt_edges = _equal_content_edges(pt, max(1, int(self.pt_bins * shrink)))
        eta_edges = np.asarray(self.eta_edges, float)
        if len(eta_edges) == 0:
            eta_edges = _equal_content_edges(eta, max(1, int(self.eta_bins * shrink)))
        return pt_edges, eta_edges


@dataclass(slots=True)
class BinSums:
    """Sums over the jets of one flavour in each bin (P, E).

    Of w and w^2 of all jets, and of the tagged ones.
    """

    total: Floats
    square: Floats
    tagged: Floats
    tagged_square: Floats

    def over(self, axes: tuple[int, ...]) -> BinSums:
        """The same with bins along ``axes`` added up; these axes keep length 1."""
        return BinSums(
            self.total.sum(axis=axes, keepdims=True),
            self.square.sum(axis=axes, keepdims=True),
            self.tagged.sum(axis=axes, keepdims=True),
            self.tagged_square.sum(axis=axes, keepdims=True),
        )


class MapMaker:
    """Adds up jets in the bins of each flavour; :meth:`finish` divides."""

    def __init__(self, edges: Mapping[str, tuple[Floats, Floats]]) -> None:
        self.edges = edges
        self.sums: dict[str, BinSums] = {}
        for name, (pt_edges, eta_edges) in edges.items():
            shape = (4, len(pt_edges) - 1, len(eta_edges) - 1)
            self.sums[name] = BinSums(*np.zeros(shape))

    def add(self, jets: JetTable) -> None:
        """Add the jets of a chunk, each with its event's (possibly negative) weight."""
        weight = jets.jet_weight
        flavour = jets.flavour
        for number, name in enumerate(FLAVOURS):
            is_flavour = flavour == number
            pt_edges, eta_edges = self.edges[name]
            pt_bin = _clipped_bin(jets["pt"][is_flavour], pt_edges)
            eta_bin = _clipped_bin(jets["eta"][is_flavour], eta_edges)
            sums = self.sums[name]
            shape = sums.total.shape
            place = pt_bin * shape[1] + eta_bin
            w = weight[is_flavour]
            tag = jets["tag"][is_flavour]
            sums.total += weighted_counts(place, w, shape)
            sums.square += weighted_counts(place, w**2, shape)
            sums.tagged += weighted_counts(place, w * tag, shape)
            sums.tagged_square += weighted_counts(place, w**2 * tag, shape)

    def has_jets(self) -> bool:
        """Whether any bin holds a weight."""
        return any(sums.total.any() for sums in self.sums.values())

    def finish(self) -> EfficiencyMap:
        """The map of all jets added."""
        maps = {}
        for name, sums in self.sums.items():
            maps[name] = _divide_sums(name, *self.edges[name], sums)
        return EfficiencyMap(maps)


def make_map(source: JetFiles, binning: MapBinning) -> EfficiencyMap:
    """The map of the jets in ``source`` (roles pt, eta, flavour and tag).

    Files are read twice: their first chunks to choose bins, then everything, in chunks.

    Raises:
        DataError: there are no jets.
    """
    samples, share = first_chunks(source)
    maker = MapMaker(choose_edges(samples, share, binning))
    for jets in stream_jets(source):
        maker.add(jets)
    if not maker.has_jets():
        raise DataError(f"{source}: no jets to make an efficiency map from")
    return maker.finish()


def choose_edges(
    samples: Sequence[JetTable], share: float, binning: MapBinning
) -> dict[str, tuple[Floats, Floats]]:
    """Edges (pT, eta) for each flavour from sample chunks that hold ``share`` of the data."""
    pt = _all_values(samples, "pt")
    eta = _all_values(samples, "eta")
    tag = _all_values(samples, "tag")
    flavour = np.concatenate([np.zeros(0, int), *(jets.flavour for jets in samples)])
    is_finite = np.isfinite(pt) & np.isfinite(eta)
    edges = {}
    for number, name in enumerate(FLAVOURS):
        chosen = (flavour == number) & is_finite
        expected_tags = tag[chosen].sum() / share if share else 0.0
        edges[name] = binning.edges(pt[chosen], eta[chosen], expected_tags)
    return edges


def _all_values(samples: Sequence[JetTable], role: str) -> Floats:
    """A column of all chunks; empty where there is none."""
    return np.concatenate([[], *(jets[role] for jets in samples)])


def _divide_sums(name: str, pt_edges: Floats, eta_edges: Floats, sums: BinSums) -> FlavourMap:
    """Efficiency and error of each bin of a flavour.

    A bin without jets (or whose signed weights add up to nothing or less) takes the value of its pT
    bin summed over eta, failing that of the whole flavour; a flavour without jets has efficiency 0
    and error 1.
    """
    efficiency, error = _efficiency_and_error(sums)
    empty = np.isnan(efficiency)
    # first the row of bins in eta, then all bins
    for axes in ((1,), (0, 1)):
        wider_efficiency, wider_error = _efficiency_and_error(sums.over(axes))
        efficiency = np.where(np.isnan(efficiency), wider_efficiency, efficiency)
        error = np.where(np.isnan(error), wider_error, error)
    # signed weights may add up to 0, their squares don't
    if not sums.square.any():
        log.warning("efficiency map: there are no %s jets; their efficiency is set to 0 ± 1", name)
    elif empty.any():
        log.warning(
            "efficiency map, %s jets: %d of %d bins hold no jets and take the value of wider bins",
            name,
            empty.sum(),
            empty.size,
        )
    return FlavourMap(
        pt_edges,
        eta_edges,
        np.nan_to_num(efficiency, nan=0.0),
        np.nan_to_num(error, nan=1.0),
        _effective_tags(sums),
    )


def _effective_tags(sums: BinSums) -> float:
    """Number of tagged jets of weight 1 that would have the same relative error."""
    square = sums.tagged_square.sum()
    if square <= 0:
        return 0.0
    return float(sums.tagged.sum() ** 2 / square)


def _efficiency_and_error(sums: BinSums) -> tuple[Floats, Floats]:
    """Efficiency of bins, in [0, 1], and its error; NaN where there is nothing to divide by.

    The error is the binomial one for weighted entries, sqrt(sum w^2 (tag - eff)^2) / sum w. Where
    no or every jet is tagged that would be 0: the standard deviation of a Beta(k + 1, n - k + 1)
    distribution of n = (sum w)^2 / sum w^2 effective entries stands in.
    """
    untagged_square = sums.square - sums.tagged_square
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(sums.tagged / sums.total, 0, 1)
        efficiency = np.where(sums.total > 0, share, np.nan)
        variance = sums.tagged_square * (1 - efficiency) ** 2 + untagged_square * efficiency**2
        error = np.sqrt(variance) / sums.total
        entries = sums.total**2 / sums.square
        passed = efficiency * entries
        beta_variance = (passed + 1) * (entries - passed + 1)
        beta_variance = beta_variance / ((entries + 2) ** 2 * (entries + 3))
        beta_error = np.sqrt(beta_variance)
    return efficiency, np.where(error > 0, error, beta_error)


def _clipped_bin(values: Floats, edges: Floats) -> Integers:
    bins = np.searchsorted(edges, values, side="right") - 1
    return np.clip(bins, 0, len(edges) - 2)


def _equal_content_edges(values: Floats, bins: int) -> Floats:
    """Edges of bins with equal content; at least one bin."""
    if len(values) == 0:
        return np.array([0.0, 1.0])
    # equal values may make equal edges
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
    if len(edges) == 1:
        return np.array([edges[0], edges[0] + 1])
    return edges
