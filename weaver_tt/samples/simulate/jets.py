"""Jets of FastJet: clustering, soft drop, N-subjettiness.

Cacciari, Salam, Soyez, arXiv:1111.6097.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.physics.four_momentum import pt_eta_phi
from weaver_tt.physics.particles import NEUTRINOS
from weaver_tt.samples.simulate.generator import Floats, Integers, Particles, flat_entries
from weaver_tt.samples.simulate.processes import SampleSettings
from weaver_tt.system.optional_imports import require_module

VISIBLE_ETA = 5.0
ZCUT = 0.1
SUBJETS = (1, 2, 3, 4)
WHOLE_JET_RADIUS = 100.0  # a radius at which all constituents of a jet are clustered together


@dataclass(slots=True, kw_only=True)
class ClusteredJets:
    """J jets, sorted by event, the leading one of an event first."""

    event: Integers  # (J,)
    rank: Integers  # (J,) place among the jets of the event, from 0
    momentum: Floats  # (4, J): px, py, pz, E
    pt: Floats  # (J,)
    eta: Floats  # (J,)
    phi: Floats  # (J,)
    constituents: ak.Array  # (J, var) places of the constituents, highest pT first

    def __getitem__(self, chosen: Any) -> ClusteredJets:
        """Some of the jets, by a mask or by places (J',)."""
        return ClusteredJets(
            event=self.event[chosen],
            rank=self.rank[chosen],
            momentum=self.momentum[:, chosen],
            pt=self.pt[chosen],
            eta=self.eta[chosen],
            phi=self.phi[chosen],
            constituents=self.constituents[chosen],
        )

    def __len__(self) -> int:
        return len(self.event)


def find_jets(particles: Particles, sample: SampleSettings) -> ClusteredJets:
    """Anti-kT jets of the visible particles with |eta| < 5.

    Those in the window in pT and eta among the leading ones of each event.
    """
    visible = visible_places(particles, VISIBLE_ETA)
    counts = np.bincount(particles.event[visible], minlength=len(particles.counts))
    jets = anti_kt_jets(particles.momentum[:, visible], counts, sample.radius, sample.pt_min)
    jets.constituents = at_places(visible, jets.constituents)
    return jets[is_in_window(jets, sample)]


def is_in_window(jets: ClusteredJets, sample: SampleSettings) -> np.ndarray:
    """(J,) whether a jet is among the leading ones of its event and in the window."""
    # a jet outside the window may be among the leading ones
    is_leading = jets.rank < sample.leading
    is_hard_enough = jets.pt >= sample.pt_min
    is_inside = (jets.pt < sample.pt_max) & (np.abs(jets.eta) < sample.eta_max)
    return is_leading & is_hard_enough & is_inside


def anti_kt_jets(momentum: Floats, counts: Integers, radius: float, pt_min: float) -> ClusteredJets:
    """All anti-kT jets above ``pt_min`` of M particles, ``counts`` (E,) of them in each event.

    ``momentum`` (4, M) is sorted by event and descending pT; constituents are places in it.

    Source: Cacciari, Salam, Soyez, arXiv:0802.1189.
    """
    fastjet = _fastjet()
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, radius)
    clusters = fastjet.ClusterSequence(_records(momentum, counts), definition)
    found = clusters.inclusive_jets(pt_min)
    places = clusters.constituent_index(pt_min)
    jet_pt, jet_eta, jet_phi = pt_eta_phi(found.px, found.py, found.pz)
    leading_first = ak.argsort(jet_pt, ascending=False)
    number = ak.num(leading_first)
    event = np.repeat(np.arange(len(counts)), number)
    # FastJet counts an event's particles from 0; in ascending order they are sorted by pT
    event_start = (np.cumsum(counts) - counts)[event]
    members = ak.flatten(places[leading_first], axis=1)  # (J, var)
    members = ak.sort(members, axis=1) + event_start
    components = (found.px, found.py, found.pz, found.E)
    return ClusteredJets(
        event=event,
        rank=flat_entries(ak.local_index(leading_first)),
        momentum=np.stack([flat_entries(values[leading_first]) for values in components]),
        pt=flat_entries(jet_pt[leading_first]),
        eta=flat_entries(jet_eta[leading_first]),
        phi=flat_entries(jet_phi[leading_first]),
        constituents=members,
    )


def visible_places(particles: Particles, eta_max: float) -> Integers:
    """Places of the visible particles within |eta| < ``eta_max``, by event, highest pT first."""
    return final_places(particles, eta_max, neutrinos=False)


def final_places(particles: Particles, eta_max: float, *, neutrinos: bool) -> Integers:
    """Those of all particles that do not decay, with or without ``neutrinos``."""
    is_wanted = particles.status > 0
    if not neutrinos:
        is_wanted = is_wanted & ~np.isin(np.abs(particles.pid), NEUTRINOS)
    places = np.flatnonzero(is_wanted)
    pt, eta, _ = pt_eta_phi(*particles.momentum[:3, places])
    in_acceptance = np.abs(eta) < eta_max
    places = places[in_acceptance]
    pt = pt[in_acceptance]
    # sorted once here: the constituents of every jet are then in order too
    return places[np.lexsort((-pt, particles.event[places]))]


def substructure(particles: Particles, jets: ClusteredJets, radius: float) -> dict[str, Floats]:
    """``jet_sdmass`` and ``jet_tau1`` to ``jet_tau4`` of J jets, each (J,).

    Soft drop with beta = 0 and zcut = 0.1 on the Cambridge/Aachen tree. N-subjettiness with
    beta = 1, normalized by the sum of pT R0, axes from exclusive kT after one pass of minimization.

    Source: Larkoski et al., arXiv:1402.2657; Thaler, Van Tilburg, arXiv:1011.2268.
    """
    fastjet = _fastjet()
    counts = ak.num(jets.constituents)
    places = flat_entries(jets.constituents)
    momenta = _records(particles.momentum[:, places], counts)
    tree = fastjet.JetDefinition(fastjet.cambridge_algorithm, WHOLE_JET_RADIUS)
    clusters = fastjet.ClusterSequence(momenta, tree)
    taus = ak.to_numpy(
        clusters.njettiness(
            measure_definition="NormalizedMeasure",
            axes_definition="OnePass_KT_Axes",
            njets=list(SUBJETS),
            R0=radius,
        )
    )
    flat = particles.momentum[:, places].T.tolist()
    masses = []
    first = 0
    for number in counts.tolist():
        masses.append(soft_drop_mass(flat[first : first + number], tree))
        first += number
    columns = {"jet_sdmass": np.array(masses)}
    for column, number in enumerate(SUBJETS):
        columns[f"jet_tau{number}"] = taus[:, column]
    return columns


def soft_drop_mass(momenta: list[list[float]], tree: Any) -> float:
    """Mass of a jet of constituents (px, py, pz, E) after soft drop with beta = 0.

    Its tree is followed along the harder branch until both branches carry more than ``ZCUT`` of
    their pT. FastJet's own, called for many jets at once, gives the same in five times the time.
    """
    fastjet = _fastjet()
    clusters = fastjet.ClusterSequence([fastjet.PseudoJet(*momentum) for momentum in momenta], tree)
    jet = clusters.exclusive_jets(1)[0]
    # has_parents fills these two
    one = fastjet.PseudoJet()
    two = fastjet.PseudoJet()
    while jet.has_parents(one, two):
        softer = min(one.pt(), two.pt())
        if softer > ZCUT * (one.pt() + two.pt()):
            break
        # a copy: the next call overwrites the branch
        jet = fastjet.PseudoJet(one if one.pt() > two.pt() else two)
    return float(jet.m())


def at_places(values: npt.NDArray[Any], places: ak.Array) -> ak.Array:
    """Values of entries, jagged as their places (J, var) are."""
    return ak.unflatten(values[flat_entries(places)], ak.num(places))


def _records(momentum: Floats, counts: Any) -> ak.Array:
    """Four-momenta (4, M) as records, jagged by ``counts``, as FastJet takes them."""
    px, py, pz, energy = momentum
    records = ak.zip({"px": px, "py": py, "pz": pz, "E": energy}, with_name="Momentum4D")
    return ak.unflatten(records, counts)


def _fastjet() -> Any:
    """FastJet without its banner; docs/simulate.md asks for the citations instead."""
    fastjet = require_module("fastjet", "simulate", "simulate")
    fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)
    return fastjet
