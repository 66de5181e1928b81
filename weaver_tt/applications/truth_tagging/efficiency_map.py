"""The binned (pT, eta) efficiency map, one per flavour (section 4 of the truth-tagging paper): the method that a network has to beat."""

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
)
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.log import log
from weaver_tt.physics.particles import FLAVOURS

TAGS_PER_BIN = 25.0  # wanted on average: a statistical error of 20 %


@dataclass(frozen=True, slots=True)
class FlavourMap:
    """P x E bins of one flavour: edges (P + 1,), (E + 1,), efficiency and its error (P, E), and the number of tagged jets they rest on."""

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
        """Efficiency and error (M,) of jets with pT and eta (M,) and flavour (M,), an index into ``FLAVOURS``."""
        efficiency, error = np.empty(len(pt)), np.empty(len(pt))
        for number, name in enumerate(FLAVOURS):
            here = flavour == number
            table = self.flavours[name]
            place = table.bins(pt[here], eta[here])
            efficiency[here], error[here] = table.efficiency[place], table.error[place]
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
            edges = np.asarray(getattr(self, name), float)
            if len(edges) == 1 or (np.diff(edges) <= 0).any() or not np.isfinite(edges).all():
                raise ConfigError(
                    f"map: {name} must be at least two rising numbers, got {list(getattr(self, name))}"
                )
        for name in ("pt_bins", "eta_bins"):
            if getattr(self, name) < 1:
                raise ConfigError(f"map: {name} must be at least 1, got {getattr(self, name)}")

    def edges(self, pt: Floats, eta: Floats, tags: float) -> tuple[Floats, Floats]:
        """Edges for a flavour of which jets (M,) are a sample and ``tags`` is the expected number of tagged jets in all data."""
        shrink = min(1.0, np.sqrt(tags / TAGS_PER_BIN / (self.pt_bins * self.eta_bins)))
        fixed = (np.asarray(self.pt_edges, float), np.asarray(self.eta_edges, float))
        chosen = zip(fixed, (pt, eta), (self.pt_bins, self.eta_bins), strict=True)
        pt_edges, eta_edges = (
            edges if len(edges) else _equal_content_edges(values, max(1, int(bins * shrink)))
            for edges, values, bins in chosen
        )
        return pt_edges, eta_edges


class MapMaker:
    """Adds up jets in the bins of each flavour; :meth:`finish` divides."""

    def __init__(self, edges: Mapping[str, tuple[Floats, Floats]]) -> None:
        self.edges = edges
        # per flavour (4, P, E): sum of w and w^2 of all jets, of w and w^2 of tagged jets
        self.sums = {
            name: np.zeros((4, len(pt) - 1, len(eta) - 1)) for name, (pt, eta) in edges.items()
        }

    def add(self, jets: JetTable) -> None:
        """Add the jets of a chunk, each with its event's (possibly negative) weight."""
        weight, flavour = jets.jet_weight, jets.flavour
        for number, name in enumerate(FLAVOURS):
            here = flavour == number
            pt_edges, eta_edges = self.edges[name]
            shape = self.sums[name].shape[1:]
            place = _clipped_bin(jets["pt"][here], pt_edges) * shape[1] + _clipped_bin(
                jets["eta"][here], eta_edges
            )
            w, tag = weight[here], jets["tag"][here]
            for total, values in zip(self.sums[name], (w, w**2, w * tag, w**2 * tag), strict=True):
                total += np.bincount(place, values, shape[0] * shape[1]).reshape(shape)

    def finish(self) -> EfficiencyMap:
        """The map of all jets added."""
        return EfficiencyMap(
            {name: _divide_sums(name, *self.edges[name], sums) for name, sums in self.sums.items()}
        )


def make_map(source: JetFiles, binning: MapBinning) -> EfficiencyMap:
    """The map of the jets in ``source`` (roles pt, eta, flavour and tag), read twice: the first chunks to choose bins, then everything, in chunks.

    Raises DataError where there are no jets.
    """
    samples, share = first_chunks(source)
    maker = MapMaker(choose_edges(samples, share, binning))
    for jets in stream_jets(source):
        maker.add(jets)
    if not any(sums[0].any() for sums in maker.sums.values()):
        raise DataError(f"{source}: no jets to make an efficiency map from")
    return maker.finish()


def choose_edges(
    samples: Sequence[JetTable], share: float, binning: MapBinning
) -> dict[str, tuple[Floats, Floats]]:
    """Edges (pT, eta) for each flavour from sample chunks that hold ``share`` of the data."""
    pt, eta, tag = (
        np.concatenate([[], *(jets[role] for jets in samples)]) for role in ("pt", "eta", "tag")
    )
    flavour = np.concatenate([np.zeros(0, int), *(jets.flavour for jets in samples)])
    edges = {}
    for number, name in enumerate(FLAVOURS):
        here = (flavour == number) & np.isfinite(pt) & np.isfinite(eta)
        edges[name] = binning.edges(pt[here], eta[here], tag[here].sum() / share if share else 0.0)
    return edges


def _divide_sums(name: str, pt_edges: Floats, eta_edges: Floats, sums: Floats) -> FlavourMap:
    """Sums (4, P, E) -> efficiency and error of each bin.

    A bin without jets (or whose signed weights add up to nothing or less) takes the value of its pT bin summed over eta, failing that of the whole
    flavour; a flavour without jets has efficiency 0 and error 1.
    """
    efficiency, error = _efficiency_and_error(*sums)
    empty = np.isnan(efficiency)
    for axes in ((1,), (0, 1)):
        wider_efficiency, wider_error = _efficiency_and_error(
            *sums.sum(axis=tuple(axis + 1 for axis in axes), keepdims=True)
        )
        efficiency = np.where(np.isnan(efficiency), wider_efficiency, efficiency)
        error = np.where(np.isnan(error), wider_error, error)
    if not sums[1].any():
        log.warning("efficiency map: there are no %s jets; their efficiency is set to 0 +- 1", name)
    elif empty.any():
        log.warning(
            "efficiency map, %s jets: %d of %d bins hold no jets and take the value of wider bins",
            name,
            empty.sum(),
            empty.size,
        )
    tagged, tagged_square = sums[2].sum(), sums[3].sum()
    tags = float(tagged**2 / tagged_square) if tagged_square > 0 else 0.0
    return FlavourMap(
        pt_edges, eta_edges, np.nan_to_num(efficiency, nan=0.0), np.nan_to_num(error, nan=1.0), tags
    )


def _efficiency_and_error(
    total: Floats, square: Floats, tagged: Floats, tagged_square: Floats
) -> tuple[Floats, Floats]:
    """Efficiency of bins, in [0, 1], and its error, NaN where there is nothing to divide by.

    The error is the binomial one for weighted entries, sqrt(sum w^2 (tag - eff)^2) / sum w. Where no or every jet is tagged that would be 0:
    the standard deviation of a Beta(k + 1, n - k + 1) distribution of n = (sum w)^2 / sum w^2 effective entries stands in.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        efficiency = np.where(total > 0, np.clip(tagged / total, 0, 1), np.nan)
        error = (
            np.sqrt(
                tagged_square * (1 - efficiency) ** 2 + (square - tagged_square) * efficiency**2
            )
            / total
        )
        entries = total**2 / square
        passed = efficiency * entries
        flat_prior = np.sqrt(
            (passed + 1) * (entries - passed + 1) / ((entries + 2) ** 2 * (entries + 3))
        )
    return efficiency, np.where(error > 0, error, flat_prior)


def _clipped_bin(values: Floats, edges: Floats) -> Integers:
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def _equal_content_edges(values: Floats, bins: int) -> Floats:
    """Edges of bins with equal content; at least one bin."""
    if len(values) == 0:
        return np.array([0.0, 1.0])
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
    return edges if len(edges) > 1 else np.array([edges[0], edges[0] + 1])
