"""Origins of jets, in event records written by hand."""

import numpy as np
import pytest

from weaver_tt.samples.simulate.generator import Particles
from weaver_tt.samples.simulate.processes import PROCESSES
from weaver_tt.samples.simulate.truth import decaying_particles, find_origins, last_copy, match_jets


def record(*events):
    """Particles of events given as lists of (PDG number, first and last daughter, eta, phi).

    Daughters count from the event's start.
    """
    rows = [(event, *entry) for event, entries in enumerate(events) for entry in entries]
    number, pid, one, two, eta, phi = (np.array(values) for values in zip(*rows, strict=True))
    counts = np.bincount(number)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    daughters = np.where(
        np.stack([one, two]) > 0, np.stack([one, two]) + first, np.arange(len(pid))
    )
    momentum = np.stack([np.cos(phi), np.sin(phi), np.sinh(eta), 2 * np.cosh(eta)])
    nothing = np.zeros((3, len(pid)))
    return Particles(
        counts=counts,
        pid=pid,
        status=nothing[0],
        daughters=daughters,
        momentum=momentum,
        vertex=nothing,
        charge=nothing[0],
        pthat=np.zeros(len(events)),
        weight=np.ones(len(events)),
    )


def top(pid, first, at, spread=0.1):
    """A top quark's chain from place ``first``: t -> t g -> ... -> W b, W -> W -> q q'."""
    sign = 1 if pid > 0 else -1
    return [
        (pid, first + 1, first + 2, at, 0.0),  # emits a gluon
        (pid, first + 3, first + 3, at, 0.0),  # a copy that recoils
        (21, 0, 0, at + 2, 0.0),
        (pid, first + 4, first + 5, at, 0.0),  # decays
        (sign * 24, first + 6, first + 6, at, 0.0),
        (sign * 5, 0, 0, at + spread, 0.0),
        (sign * 24, first + 7, first + 8, at, 0.0),
        (sign * 2, 0, 0, at - spread, 0.0),
        (sign * -1, 0, 0, at, spread),
    ]


BEAM = [(90, 0, 0, 0.0, 0.0)]  # daughters of 0 are none, so nothing may start there


def test_the_top_that_decays_is_found_behind_its_copies_with_its_three_quarks():
    particles = record(BEAM + top(6, 1, 0.0), BEAM + top(-6, 1, 0.0) + top(6, 10, 1.5))
    found = find_origins(particles, PROCESSES["top"])
    assert found.event.tolist() == [0, 1, 1]
    assert found.index.tolist() == [4, 14, 23]
    assert particles.pid[found.quarks].tolist() == [[5, 2, -1], [-5, -2, 1], [5, 2, -1]]
    assert decaying_particles(particles, 24).tolist() == [7, 17, 26]
    assert last_copy(particles, np.array([1, 5, 6])).tolist() == [4, 7, 6]


def test_bosons_have_two_quarks_and_jets_of_partons_themselves():
    higgs = record(
        [
            *BEAM,
            (25, 2, 2, 0.0, 0.0),
            (25, 3, 4, 0.0, 0.0),
            (5, 0, 0, 0.1, 0.0),
            (-5, 0, 0, -0.1, 0.0),
        ]
    )
    assert find_origins(higgs, PROCESSES["higgs-bb"]).quarks.tolist() == [[3, 4]]
    dijet = record([(90, 0, 0, 0.0, 0.0)] * 5 + [(21, 0, 0, 0.0, 0.0), (1, 0, 0, 1.0, 0.0)])
    found = find_origins(dijet, PROCESSES["dijet"])
    assert (found.index.tolist(), found.quarks.tolist()) == ([5, 6], [[5], [6]])


@pytest.mark.parametrize(
    ("eta", "matched"),
    [
        (0.0, 0),
        (0.69, 0),  # 0.79 from the quark at -0.1
        (0.71, -1),  # that quark is 0.81 away
        (-0.71, -1),  # now the b at 0.1 is
        (5.0, -1),
    ],
)
def test_a_jet_holds_the_top_and_all_its_quarks(eta, matched):
    particles = record(BEAM + top(6, 1, 0.0))
    found = match_jets(
        np.array([0]),
        np.array([eta]),
        np.array([0.0]),
        particles,
        find_origins(particles, PROCESSES["top"]),
        0.8,
    )
    assert found.tolist() == [matched]


def test_a_partial_top_jet_holds_the_b_quark_and_one_more():
    # quarks at b: 0.1, W: -0.1 and 0; the second top's b quark is far away
    particles = record(BEAM + top(6, 1, 0.0), BEAM + top(6, 1, 0.0, spread=0.9))
    origins = find_origins(particles, PROCESSES["top"])
    found = {}
    for partial in (False, True):
        eta = np.array([0.75, 0.0])
        found[partial] = match_jets(
            np.array([0, 1]), eta, np.zeros(2), particles, origins, 0.8, partial=partial
        ).tolist()
    # at 0.75 the quark at -0.1 is 0.85 away; in the second, the b quark is 0.9 away
    assert found == {False: [-1, -1], True: [0, -1]}


def test_a_higgs_boson_to_two_bosons_has_four_quarks():
    chain = [
        *BEAM,
        (25, 2, 3, 0.0, 0.0),
        (24, 4, 5, 0.0, 0.0),
        (-24, 6, 6, 0.0, 0.0),
        (4, 0, 0, 0.1, 0.0),
        (-3, 0, 0, -0.1, 0.0),
        (-24, 7, 8, 0.0, 0.0),  # a copy
        (1, 0, 0, 0.2, 0.0),
        (-2, 0, 0, -0.2, 0.0),
    ]
    found = find_origins(record(chain, chain), PROCESSES["higgs-4q"])
    assert found.quarks.tolist() == [[4, 5, 7, 8], [13, 14, 16, 17]]


def test_jets_are_matched_inside_their_event_to_the_nearest_candidate():
    partons = [(90, 0, 0, 0.0, 0.0)] * 5
    particles = record(
        [*partons, (21, 0, 0, 0.3, 3.1), (1, 0, 0, -0.1, -3.1)],  # on both sides of phi = pi
        [*partons, (2, 0, 0, 2.0, 0.0), (21, 0, 0, -2.0, 0.0)],
    )
    eta, phi = np.array([0.0, 0.2, 0.0, -2.0]), np.array([3.14, 3.14, 3.14, 0.1])
    found = match_jets(
        np.array([0, 0, 1, 1]), eta, phi, particles, find_origins(particles, PROCESSES["qcd"]), 0.8
    )
    assert found.tolist() == [1, 0, -1, 3]
