"""Jets -> their Lund trees, as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.samples.lund.splittings import Floats, splitting_columns
from weaver_tt.system.optional_imports import require_module

Integers = npt.NDArray[np.integer[Any]]

# column of a file without its prefix, in the order of the file
VALUES = ("lnkt", "lndelta", "lnz", "lnm", "psi")
PREFIX = "lund_"
PARENT = f"{PREFIX}parent"
LUND_COLUMNS = (*(f"{PREFIX}{name}" for name in VALUES), PARENT)

# columns of the constituents' px, py, pz and energy, unless others are named
MOMENTA = ("part_px", "part_py", "part_pz", "part_energy")

WHOLE_JET_RADIUS = 1000.0  # all of a jet is clustered together; the largest that FastJet takes


@dataclass(frozen=True, slots=True, kw_only=True)
class LundCuts:
    """Splittings below one of these are left out, with all that is in their softer branch."""

    ln_kt_min: float | None = None
    ln_delta_min: float | None = None

    def passed_by(self, columns: dict[str, Floats]) -> npt.NDArray[np.bool_]:
        """(S,) whether each of S splittings stays."""
        is_kept = np.ones(len(columns["lnkt"]), bool)
        if self.ln_kt_min is not None:
            is_kept &= columns["lnkt"] >= self.ln_kt_min
        if self.ln_delta_min is not None:
            is_kept &= columns["lndelta"] >= self.ln_delta_min
        return is_kept


@dataclass(frozen=True, slots=True, kw_only=True)
class LundCounts:
    """What became of some jets; those of the last three kinds have an empty tree."""

    jets: int = 0
    splittings: int = 0
    without_constituents: int = 0
    unusable: int = 0  # values that are not finite, negative energies, or no common tree
    cut_empty: int = 0  # no splitting is above the cuts

    def __add__(self, other: LundCounts) -> LundCounts:
        return LundCounts(
            jets=self.jets + other.jets,
            splittings=self.splittings + other.splittings,
            without_constituents=self.without_constituents + other.without_constituents,
            unusable=self.unusable + other.unusable,
            cut_empty=self.cut_empty + other.cut_empty,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LundTrees:
    """The S splittings of J jets, jet after jet, mothers before daughters."""

    counts: Integers  # (J,) splittings of each jet
    values: dict[str, npt.NDArray[np.float32]]  # (S,) each, by the names in VALUES
    parent: Integers  # (S,) place of the mother in the same jet, -1 for the first
    totals: LundCounts = field(default_factory=LundCounts)

    def columns(self) -> dict[str, ak.Array]:
        """The columns of a file, (J, var) each, by the names in ``LUND_COLUMNS``."""
        columns = {}
        for name, values in self.values.items():
            columns[f"{PREFIX}{name}"] = ak.unflatten(values, self.counts)
        columns[PARENT] = ak.unflatten(self.parent.astype(np.int32), self.counts)
        return columns


def lund_trees(momentum: Floats, counts: Integers, cuts: LundCuts, command: str) -> LundTrees:
    """Lund trees of J jets of M constituents in all, ``counts`` (J,) of them in each.

    ``momentum`` (4, M) is px, py, pz, E in GeV. The jets are clustered with Cambridge/Aachen, and
    all splittings of both branches count, the last merging first. A splitting below the cuts drops
    its softer branch with all it holds; its harder branch goes on, joined to the nearest mother
    that is kept. Particles without pT have no direction: they are in no splitting. ``command`` is
    named where FastJet is missing.

    Source: Dreyer, Salam, Soyez, arXiv:1807.04758; Dreyer, Qu, arXiv:2012.08526.
    """
    declustering = Declustering(command)
    usable = usable_jets(momentum, counts)
    starts = np.cumsum(counts) - counts
    has_direction = momentum[0] ** 2 + momentum[1] ** 2 > 0
    jets: list[list[Branches]] = []  # of each jet, the mergings of its tree
    harder: list[list[float]] = []  # momenta of all mergings, jet after jet
    softer: list[list[float]] = []
    unusable = 0
    for is_usable, start, count in zip(usable, starts.tolist(), counts.tolist(), strict=True):
        found: list[Branches] | None = None
        if is_usable:
            inside = slice(start, start + count)
            clusters = momentum[:, inside][:, has_direction[inside]].T.tolist()
            found = declustering.branches(clusters)
        if found is None:
            unusable += 1
            found = []
        for one, two in found:
            harder.append(clusters[one])
            softer.append(clusters[two])
            clusters.append([a + b for a, b in zip(clusters[one], clusters[two], strict=True)])
        jets.append(found)

    columns = splitting_columns(_as_rows(harder), _as_rows(softer))
    is_kept = cuts.passed_by(columns).tolist()
    kept: list[int] = []
    parents: list[int] = []
    numbers = []
    first = 0
    for branches in jets:
        last = first + len(branches)
        places, mothers = kept_tree(branches, is_kept[first:last])
        kept += [first + place for place in places]
        parents += mothers
        numbers.append(len(places))
        first = last

    merged = np.array([len(branches) for branches in jets], np.int64)
    kept_counts = np.array(numbers, np.int64)
    totals = LundCounts(
        jets=len(counts),
        splittings=len(kept),
        without_constituents=int((counts == 0).sum()),
        unusable=unusable,
        cut_empty=int(((merged > 0) & (kept_counts == 0)).sum()),
    )
    chosen = np.array(kept, np.int64)
    values = {name: columns[name][chosen].astype(np.float32) for name in VALUES}
    parent = np.array(parents, np.int64)
    return LundTrees(counts=kept_counts, values=values, parent=parent, totals=totals)


def flat_momenta(components: Sequence[ak.Array]) -> tuple[Floats, Integers]:
    """Jagged px, py, pz, E of J jets as they are stored -> (4, M), and the counts (J,)."""
    flat = [ak.to_numpy(ak.flatten(values)).astype(np.float64) for values in components]
    counts = ak.to_numpy(ak.num(components[0])).astype(np.int64)
    return np.stack(flat), counts


# the harder and the softer of the two clusters of a merging: places among the particles of the jet,
# and behind them the mergings in their order
Branches = tuple[int, int]


class Declustering:
    """FastJet's Cambridge/Aachen, with which jets are clustered one by one."""

    def __init__(self, command: str) -> None:
        fastjet = require_module("fastjet", "simulate", command)
        # docs/lund.md asks for the citation instead
        fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)
        self._fastjet = fastjet
        self._definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, WHOLE_JET_RADIUS)

    def branches(self, momenta: Sequence[Sequence[float]]) -> list[Branches] | None:
        """The mergings of a jet of P particles (px, py, pz, E), P - 1 in their order.

        None where FastJet does not make one cluster of all, which happens where momenta cancel.
        """
        particles = len(momenta)
        if particles < 2:
            return []
        vectors = [self._fastjet.PseudoJet(*momentum) for momentum in momenta]
        sequence = self._fastjet.ClusterSequence(vectors, self._definition)
        clusters = sequence.jets()
        # particles and mergings have the same places in FastJet's history as long as no cluster
        # is given up in between
        if len(clusters) != 2 * particles - 1:
            return None
        # has_parents fills these two, the harder one first
        one = self._fastjet.PseudoJet()
        two = self._fastjet.PseudoJet()
        found = []
        for cluster in clusters[particles:]:
            cluster.has_parents(one, two)
            found.append((one.cluster_hist_index(), two.cluster_hist_index()))
        return found


def usable_jets(momentum: Floats, counts: Integers) -> list[bool]:
    """(J,) whether all constituents of a jet have finite momenta and energies of at least 0.

    Finite are those whose squares are.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        is_finite = np.isfinite((momentum**2).sum(axis=0))
    is_good = is_finite & (momentum[3] >= 0)
    jet = np.repeat(np.arange(len(counts)), counts)
    bad = np.bincount(jet[~is_good], minlength=len(counts))
    return (bad == 0).tolist()


def kept_tree(branches: Sequence[Branches], is_kept: Sequence[bool]) -> tuple[list[int], list[int]]:
    """Which of a jet's mergings are in its tree, the last first, and the mother of each.

    ``is_kept``: whether each of the mergings is above the cuts. Mothers are places in the tree, -1
    for the first.
    """
    particles = len(branches) + 1
    # cluster that is still in the tree -> the nearest mother that is kept
    mother_of = {2 * particles - 2: -1}
    places: list[int] = []
    mothers: list[int] = []
    for number in reversed(range(len(branches))):
        if particles + number not in mother_of:
            # in a softer branch that was dropped
            continue
        mother = mother_of[particles + number]
        harder, softer = branches[number]
        if is_kept[number]:
            mother_of[harder] = len(places)
            mother_of[softer] = len(places)
            places.append(number)
            mothers.append(mother)
        else:
            mother_of[harder] = mother
    return places, mothers


def _as_rows(momenta: list[list[float]]) -> Floats:
    """Momenta as (4, S), also if there are none."""
    return np.array(momenta, np.float64).reshape(-1, 4).T
