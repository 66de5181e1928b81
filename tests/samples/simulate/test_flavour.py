"""Flavours of jets in event records written by hand."""

import numpy as np

from tests.samples.simulate.test_truth import record
from weaver_tt.samples.simulate.flavour import (
    hadron_flavour,
    has_heavy_quark,
    jet_flavour,
    parton_flavour,
    weakly_decaying,
)
from weaver_tt.samples.simulate.jets import ClusteredJets


def jets_at(*directions):
    """Jets of event 0 at some (eta, phi)."""
    eta, phi = (np.array(values) for values in zip(*directions, strict=True))
    number = len(directions)
    return ClusteredJets(
        event=np.zeros(number, int),
        rank=np.arange(number),
        momentum=np.ones((4, number)),
        pt=np.ones(number),
        eta=eta,
        phi=phi,
        constituents=None,
    )


def event(*entries):
    """Particles of (PDG number, status, pT, eta, phi, first and last daughter)."""
    particles = record(
        [(pid, first, last, eta, phi) for pid, _, _, eta, phi, first, last in entries]
    )
    pt = np.array([entry[2] for entry in entries], float)
    particles.momentum = particles.momentum * pt
    particles.status = np.array([entry[1] for entry in entries])
    return particles


def test_heavy_quarks_are_found_in_the_numbers_of_hadrons():
    pid = np.array([511, -521, 5122, 10511, 411, -4122, 443, 211, 5, 5103, 2203, 1000020040, 541])
    assert pid[has_heavy_quark(pid, 5)].tolist() == [511, -521, 5122, 10511, 541]
    assert pid[has_heavy_quark(pid, 4)].tolist() == [411, -4122, 443]


def test_hadrons_count_where_the_heavy_quark_decays():
    # B* -> B gamma, B -> D pi, D -> K pi
    particles = event(
        (90, -11, 0, 0, 0, 0, 0),
        (513, -83, 50, 0, 0, 2, 3),
        (511, -91, 49, 0, 0, 4, 5),
        (22, 91, 1, 0, 0, 0, 0),
        (-411, -91, 30, 0, 0, 6, 7),
        (211, 91, 19, 0, 0, 0, 0),
        (321, 91, 20, 0, 0, 0, 0),
        (-211, 91, 10, 0, 0, 0, 0),
    )
    assert weakly_decaying(particles, 5).tolist() == [2]
    assert weakly_decaying(particles, 4).tolist() == [4]
    # bottom outranks the charm that it decays to
    assert hadron_flavour(particles, jets_at((0.1, 0.0), (0.5, 0.0)), 0.4).tolist() == [5, 0]


def test_soft_and_distant_hadrons_do_not_make_a_jet_heavy():
    particles = event(
        (411, -83, 4.9, 0.0, 0.0, 1, 2),
        (321, 91, 3, 0, 0, 0, 0),
        (211, 91, 2, 0, 0, 0, 0),
        (411, -83, 5.1, 1.0, 0.0, 4, 5),
        (321, 91, 3, 1, 0, 0, 0),
        (211, 91, 2, 1, 0, 0, 0),
    )
    jets = jets_at((0.0, 0.0), (0.7, 0.0), (1.5, 0.0))
    assert hadron_flavour(particles, jets, 0.4).tolist() == [0, 4, 0]


def test_the_hardest_parton_inside_gives_the_parton_flavour():
    particles = event(
        (2, -21, 0, 0, 0, 0, 0),  # an incoming one, along the beam
        (-3, -23, 40, 0.1, 0.0, 0, 0),
        (21, -51, 60, 0.2, 0.0, 0, 0),
        (21, -51, 30, 2.0, 0.0, 0, 0),
        (1, -71, 90, 0.0, 0.0, 0, 0),  # prepared for hadronization: no parton of the shower
        (2101, -63, 99, 0.0, 0.0, 0, 0),  # a beam remnant
    )
    jets = jets_at((0.0, 0.0), (-0.25, 0.0), (2.0, 0.3), (4.0, 0.0))
    # the gluon is 0.45 from the second jet, the strange antiquark 0.35
    assert parton_flavour(particles, jets, 0.4).tolist() == [21, -3, 21, 0]


def test_a_heavy_hadron_outranks_the_parton_and_a_heavy_quark_without_one_is_unknown():
    hadron = np.array([5, 4, 0, 0, 0, 0])
    parton = np.array([21, -4, -3, 21, 4, 0])
    assert jet_flavour(hadron, parton).tolist() == [5, 4, 3, 21, 0, 0]
