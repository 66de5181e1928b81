"""The classes of DeepAK8, in event records written by hand."""

import awkward as ak
import numpy as np
import pytest

from tests.samples.simulate.test_truth import BEAM, record, top
from weaver_tt.samples.simulate.deepak8 import DEEPAK8_CLASSES, deepak8_columns
from weaver_tt.samples.simulate.jets import ClusteredJets
from weaver_tt.samples.simulate.processes import PROCESSES
from weaver_tt.samples.simulate.truth import find_origins


def classes_of(process, particles, eta, matched=None):
    """The class of a jet at ``eta`` in each event."""
    eta = np.asarray(eta, dtype=float)
    jets = ClusteredJets(
        event=np.arange(len(eta)),
        rank=np.zeros(len(eta), int),
        momentum=np.zeros((4, len(eta))),
        pt=np.ones(len(eta)),
        eta=eta,
        phi=np.zeros(len(eta)),
        constituents=ak.Array([[]] * len(eta)),
    )
    kind = PROCESSES[process]
    matched = np.arange(len(eta)) if matched is None else matched
    columns = deepak8_columns(particles, jets, find_origins(particles, kind), matched, kind, 0.8)
    assert list(columns) == [f"label_{name}" for name in DEEPAK8_CLASSES]
    found = np.stack(list(columns.values()), axis=1)
    return [
        [name for name, flag in zip(DEEPAK8_CLASSES, row, strict=True) if flag] for row in found
    ]


def charmed_top():
    """A top quark whose W boson decays to a c quark at -0.1 and a quark at 0."""
    return [(4 if pid == 2 else pid, *rest) for pid, *rest in top(6, 1, 0.0)]


def boson(pid, quark):
    return [*BEAM, (pid, 2, 3, 0.0, 0.0), (quark, 0, 0, 0.1, 0.0), (-quark, 0, 0, -0.1, 0.0)]


def test_top_jets_by_the_quarks_of_the_w_boson_that_are_inside():
    light = BEAM + top(6, 1, 0.0)
    charm = BEAM + charmed_top()
    # at 0.75 the first quark of the W boson, at -0.1, is outside; at -0.65 all are inside
    particles = record(light, charm, light, charm, charm)
    found = classes_of("top", particles, [0.0, 0.0, 0.75, 0.75, -0.65])
    assert found == [["Top_bqq"], ["Top_bcq"], ["Top_bq"], ["Top_bq"], ["Top_bcq"]]


def test_a_partial_top_jet_with_the_charm_quark():
    # the c quark inside at -0.1, the other one moved to eta = 3
    moved = [
        (pid, one, two, 3.0 if pid == -1 else eta, phi)
        for pid, one, two, eta, phi in BEAM + charmed_top()
    ]
    assert classes_of("top", record(moved), [0.0]) == [["Top_bc"]]


@pytest.mark.parametrize(
    ("process", "pid", "quark", "expected"),
    [
        ("w", 24, 4, "W_cq"),
        ("w", 24, 1, "W_qq"),
        ("z", 23, 5, "Z_bb"),
        ("z", 23, 4, "Z_cc"),
        ("z", 23, 3, "Z_qq"),
        ("higgs-bb", 25, 5, "H_bb"),
        ("higgs-cc", 25, 4, "H_cc"),
    ],
)
def test_bosons_by_the_flavour_of_their_quarks(process, pid, quark, expected):
    assert classes_of(process, record(boson(pid, quark)), [0.0]) == [[expected]]


def test_a_particle_of_any_mass_is_of_no_class():
    assert classes_of("x-bb", record(boson(25, 5)), [0.0]) == [[]]


@pytest.mark.parametrize(
    ("hadrons", "expected"),
    [
        ([(511, 0.1), (-511, -0.1)], "QCD_bb"),
        ([(511, 0.1), (-511, 2.0)], "QCD_b"),  # the other one is outside
        ([(511, 0.1), (421, 0.2), (-421, 0.3)], "QCD_b"),  # b before c
        ([(421, 0.1), (-411, 0.2)], "QCD_cc"),
        ([(4122, 0.1)], "QCD_c"),
        ([(211, 0.1)], "QCD_others"),
        ([(5, 0.1), (-5, 0.2)], "QCD_bb"),  # before hadronisation
    ],
)
def test_qcd_jets_by_their_hadrons(hadrons, expected):
    partons = [*BEAM * 5, (21, 0, 0, 0.0, 0.0), (21, 0, 0, 3.0, 0.0)]
    event = partons + [(pid, 0, 0, eta, 0.0) for pid, eta in hadrons]
    particles = record(event)
    particles.status = np.ones(len(event))
    # 10 GeV each, and one that is too soft to count
    particles.momentum = particles.momentum * 10
    assert classes_of("qcd", particles, [0.0]) == [[expected]]
    particles.momentum = particles.momentum * 0.4
    assert classes_of("qcd", particles, [0.0]) == [["QCD_others"]]
