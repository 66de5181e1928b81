"""Jets and other directions of the same event: pairs of them, and which are nearest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weaver_tt.physics.angles import delta_r
from weaver_tt.samples.simulate.generator import Floats, Integers


@dataclass(slots=True, kw_only=True)
class Directions:
    """M directions, sorted by event."""

    event: Integers  # (M,)
    eta: Floats  # (M,)
    phi: Floats  # (M,)

    def __len__(self) -> int:
        return len(self.event)


def pairs_by_event(event: Integers, other_event: Integers) -> tuple[Integers, Integers]:
    """Places (P,) of each of J entries and (P,) of each of M others of its event.

    The others are sorted by event; pairs are in the order of the entries, then of the others.
    """
    first = np.searchsorted(other_event, event, side="left")  # (J,)
    last = np.searchsorted(other_event, event, side="right")
    return expand_ranges(first, last - first)


def expand_ranges(first: Integers, counts: Integers) -> tuple[Integers, Integers]:
    """(P,) the number of a range and (P,) a place in it, for all places of J ranges in order.

    Range j begins at ``first[j]`` and has ``counts[j]`` places.
    """
    entry = np.repeat(np.arange(len(counts)), counts)
    start_of_range = np.cumsum(counts) - counts
    within = np.arange(len(entry)) - start_of_range[entry]
    return entry, first[entry] + within


def nearest_others(jets: Directions, others: Directions, radius: float) -> Integers:
    """For each of J jets the place of the nearest other of its event within ``radius``, or -1."""
    jet, other = pairs_by_event(jets.event, others.event)
    distance = delta_r(others.eta[other], others.phi[other], jets.eta[jet], jets.phi[jet])
    is_near = distance < radius
    jet = jet[is_near]
    other = other[is_near]
    # farthest first: the nearest is written last and stays
    order = np.argsort(-distance[is_near], kind="stable")
    found = np.full(len(jets), -1)
    found[jet[order]] = other[order]
    return found


def mutually_nearest(jets: Directions, others: Directions, radius: float) -> Integers:
    """(J,) as :func:`nearest_others`, -1 unless the jet is also the nearest of the other one."""
    other = nearest_others(jets, others, radius)
    back = np.append(nearest_others(others, jets, radius), -1)[other]  # (J,)
    is_mutual = back == np.arange(len(jets))
    return np.where(is_mutual, other, -1)
