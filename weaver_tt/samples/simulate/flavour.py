"""The flavour of generated jets: of the heaviest hadron in them, and of their hardest parton."""

from __future__ import annotations

import numpy as np

from weaver_tt.physics.angles import delta_r
from weaver_tt.physics.four_momentum import pt_eta_phi
from weaver_tt.physics.particles import BOTTOM, CHARM, GLUON, LIGHT_QUARKS
from weaver_tt.samples.simulate.generator import Integers, Particles
from weaver_tt.samples.simulate.jets import ClusteredJets
from weaver_tt.samples.simulate.matching import pairs_by_event

HADRON_PT_MIN = 5.0  # GeV; ATLAS, arXiv:1512.01094
PARTON_PT_MIN = 1.0  # GeV
SHOWER_STATUS = 60
"""Sizes of Pythia's status codes below this are partons of the hard process and the shower; those
above are beam remnants, what hadronization prepares, and hadrons."""

UNKNOWN = 0  # flavour of jets without hadrons and partons that tell


def hadron_flavour(particles: Particles, jets: ClusteredJets, radius: float) -> Integers:
    """(J,) 5 for a jet with a b hadron within ``radius``, else 4 for one with a c hadron, else 0.

    Hadrons count where they decay, above 5 GeV.

    Source: ATLAS, arXiv:1512.01094.
    """
    flavour = np.full(len(jets), UNKNOWN)
    # bottom last: it outranks charm
    for quark in (CHARM, BOTTOM):
        hadrons = weakly_decaying(particles, quark)
        jet, _ = _inside(particles, jets, hadrons, radius, HADRON_PT_MIN)
        flavour[jet] = quark
    return flavour


def count_heavy(particles: Particles, jets: ClusteredJets, quark: int, radius: float) -> Integers:
    """(J,) how many hadrons with a ``quark`` decay within ``radius`` of a jet, above 5 GeV.

    Before hadronisation, quarks that the shower leaves count instead.
    """
    # with hadrons, no quark is left
    is_left = (particles.status > 0) & (np.abs(particles.pid) == quark)
    places = np.union1d(weakly_decaying(particles, quark), np.flatnonzero(is_left))
    jet, _ = _inside(particles, jets, places, radius, HADRON_PT_MIN)
    return np.bincount(jet, minlength=len(jets))


def parton_flavour(particles: Particles, jets: ClusteredJets, radius: float) -> Integers:
    """(J,) PDG number of the hardest quark or gluon within ``radius``; 0 without any.

    Among the partons of the hard process and of the shower, before they become hadrons.
    """
    size = np.abs(particles.pid)
    is_parton = (size <= BOTTOM) & (size > 0) | (size == GLUON)
    is_before_hadrons = np.abs(particles.status) < SHOWER_STATUS
    partons = np.flatnonzero(is_parton & is_before_hadrons)
    jet, inside = _inside(particles, jets, partons, radius, PARTON_PT_MIN)
    pt = np.hypot(*particles.momentum[:2, inside])
    # softest first: the hardest is written last and stays
    order = np.argsort(pt, kind="stable")
    flavour = np.full(len(jets), UNKNOWN)
    flavour[jet[order]] = particles.pid[inside[order]]
    return flavour


def jet_flavour(hadron: Integers, parton: Integers) -> Integers:
    """(J,) 5 or 4 where a heavy hadron says so, else 1, 2, 3 or 21 of the parton, else 0.

    A heavy quark without its hadron leaves the flavour unknown.
    """
    size = np.abs(parton)
    is_light = np.isin(size, (*LIGHT_QUARKS, GLUON))
    of_parton = np.where(is_light, size, UNKNOWN)
    return np.where(hadron > 0, hadron, of_parton)


def weakly_decaying(particles: Particles, quark: int) -> Integers:
    """Places of hadrons with a ``quark`` of which no daughter has it any more."""
    is_heavy = has_heavy_quark(particles.pid, quark)
    # daughters lie side by side: how many of them are heavy, from sums up to each place
    sums = np.concatenate([[0], np.cumsum(is_heavy)])
    first, last = particles.daughters
    heavy_daughters = sums[last + 1] - sums[first]
    has_daughters = particles.status < 0
    goes_on = has_daughters & (heavy_daughters > 0)
    return np.flatnonzero(is_heavy & ~goes_on)


def has_heavy_quark(pid: Integers, quark: int) -> np.ndarray:
    """Whether PDG numbers are those of hadrons in which ``quark`` is the heaviest.

    It is the first digit of those of quarks: 511 is a meson, 5122 a baryon; higher digits count
    excitations.
    """
    size = np.abs(pid)
    baryon = size // 1000 % 10
    meson = size // 100 % 10
    heaviest = np.where(baryon > 0, baryon, meson)
    # diquarks have no last digit of quarks; nuclei have numbers of their own
    is_hadron = (size > 100) & (size < 10_000_000) & (size // 10 % 10 > 0)
    return is_hadron & (heaviest == quark)


def _inside(
    particles: Particles, jets: ClusteredJets, places: Integers, radius: float, pt_min: float
) -> tuple[Integers, Integers]:
    """Jets (P,) and the places (P,) of particles within ``radius`` of them, above ``pt_min``."""
    # those along the beam first: they have no direction in (eta, phi)
    places = places[np.hypot(*particles.momentum[:2, places]) > pt_min]
    event = particles.event[places]
    _, eta, phi = pt_eta_phi(*particles.momentum[:3, places])
    jet, candidate = pairs_by_event(jets.event, event)
    distance = delta_r(eta[candidate], phi[candidate], jets.eta[jet], jets.phi[jet])
    is_inside = distance < radius
    return jet[is_inside], places[candidate[is_inside]]
