"""Jets of FastJet: clustering, soft drop, N-subjettiness.

Cacciari, Salam, Soyez, arXiv:1111.6097.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

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
    eta: Floats  # (J,)
    phi: Floats  # (J,)
    constituents: ak.Array  # (J, var) places in the event record, highest pT first

    def __getitem__(self, chosen: Any) -> ClusteredJets:
        """Some of the jets, by a mask or by places (J',)."""
        return ClusteredJets(
            event=self.event[chosen],
            eta=self.eta[chosen],
            phi=self.phi[chosen],
            constituents=self.constituents[chosen],
        )


def find_jets(particles: Particles, sample: SampleSettings) -> ClusteredJets:
    """Anti-kT jets of the visible particles with |eta| < 5.

    Those in the window in pT and eta among the leading ones of each event.
    """
    fastjet = _fastjet()
    visible = _visible_places(particles)
    counts = np.bincount(particles.event[visible], minlength=len(particles.counts))
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, sample.radius)
    momenta = _momenta(particles, ak.unflatten(visible, counts))
    clusters = fastjet.ClusterSequence(momenta, definition)
    jets = clusters.inclusive_jets(sample.pt_min)
    places = clusters.constituent_index(sample.pt_min)
    jet_pt, jet_eta, jet_phi = pt_eta_phi(jets.px, jets.py, jets.pz)
    # a jet outside the window may be among the leading ones: they are chosen first
    leading = ak.argsort(jet_pt, ascending=False)[:, : sample.leading]
    is_inside = (jet_pt < sample.pt_max) & (np.abs(jet_eta) < sample.eta_max)
    chosen = leading[is_inside[leading]]
    event = np.repeat(np.arange(len(counts)), ak.num(chosen))
    # FastJet counts an event's particles from 0; in ascending order they are sorted by pT
    event_start = (np.cumsum(counts) - counts)[event]
    members = ak.flatten(places[chosen], axis=1)  # (J, var)
    members = ak.sort(members, axis=1) + event_start
    members_flat = flat_entries(members)
    return ClusteredJets(
        event=event,
        eta=flat_entries(jet_eta[chosen]),
        phi=flat_entries(jet_phi[chosen]),
        constituents=ak.unflatten(visible[members_flat], ak.num(members)),
    )


def _visible_places(particles: Particles) -> Integers:
    """Places of the visible particles within |eta| < 5, by event, the highest pT first."""
    is_final = particles.status > 0
    is_neutrino = np.isin(np.abs(particles.pid), NEUTRINOS)
    visible = np.flatnonzero(is_final & ~is_neutrino)
    pt, eta, _ = pt_eta_phi(*particles.momentum[:3, visible])
    in_acceptance = np.abs(eta) < VISIBLE_ETA
    visible = visible[in_acceptance]
    pt = pt[in_acceptance]
    # sorted once here: the constituents of every jet are then in order too
    return visible[np.lexsort((-pt, particles.event[visible]))]


def substructure(particles: Particles, jets: ClusteredJets, radius: float) -> dict[str, Floats]:
    """``jet_sdmass`` and ``jet_tau1`` to ``jet_tau4`` of J jets, each (J,).

    Soft drop with beta = 0 and zcut = 0.1 on the Cambridge/Aachen tree. N-subjettiness with
    beta = 1, normalized by the sum of pT R0, axes from exclusive kT after one pass of minimization.

    Source: Larkoski et al., arXiv:1402.2657; Thaler, Van Tilburg, arXiv:1011.2268.
    """
    fastjet = _fastjet()
    momenta = _momenta(particles, jets.constituents)
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
    flat = particles.momentum[:, flat_entries(jets.constituents)].T.tolist()
    masses = []
    first = 0
    for number in ak.num(jets.constituents).tolist():
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


def _momenta(particles: Particles, places: ak.Array) -> ak.Array:
    """Four-momenta of entries, jagged as their places are."""
    px, py, pz, energy = particles.momentum[:, flat_entries(places)]
    records = ak.zip({"px": px, "py": py, "pz": pz, "E": energy}, with_name="Momentum4D")
    return ak.unflatten(records, ak.num(places))


def _fastjet() -> Any:
    """FastJet without its banner; docs/simulate.md asks for the citations instead."""
    fastjet = require_module("fastjet", "simulate", "simulate")
    fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)
    return fastjet
