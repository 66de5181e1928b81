"""Jets and their substructure."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.samples.simulate.generator import Particles
from weaver_tt.samples.simulate.jets import ZCUT, find_jets, substructure
from weaver_tt.samples.simulate.processes import SampleSettings

fastjet = pytest.importorskip("fastjet")


def particles(*events):
    """Massless particles of events given as lists of (pt, eta, phi, PDG number, status)."""
    pt, eta, phi, pid, status = (
        np.array(values)
        for values in zip(*(entry for entries in events for entry in entries), strict=True)
    )
    momentum = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta)])
    number = len(pid)
    return Particles(
        counts=np.array([len(entries) for entries in events]),
        pid=pid,
        status=status,
        daughters=np.tile(np.arange(number), (2, 1)),
        momentum=momentum,
        vertex=np.zeros((3, number)),
        charge=np.zeros(number),
        pthat=np.zeros(len(events)),
        weight=np.ones(len(events)),
    )


def random_event(rng, number=40):
    """Particles around two axes that lie back to back."""
    side = rng.integers(0, 2, number)
    return [
        (pt, eta, phi, 211, 1)
        for pt, eta, phi in zip(
            rng.exponential(30, number) + 1,
            rng.normal(0, 0.4, number),
            np.pi * side + rng.normal(0, 0.4, number),
            strict=True,
        )
    ]


def anti_kt(momentum, radius):
    """Anti-kT by its definition, all distances anew in each step.

    Lists of constituents by descending pT.
    """
    clusters = [(momentum[:, i], [i]) for i in range(momentum.shape[1])]
    done = []
    while clusters:
        vectors = np.array([vector for vector, _ in clusters])
        inverse = 1 / (vectors[:, 0] ** 2 + vectors[:, 1] ** 2)
        rapidity, phi = (
            np.arctanh(vectors[:, 2] / vectors[:, 3]),
            np.arctan2(vectors[:, 1], vectors[:, 0]),
        )
        turn = (phi[:, None] - phi + np.pi) % (2 * np.pi) - np.pi
        distance = (
            np.minimum(inverse[:, None], inverse)
            * ((rapidity[:, None] - rapidity) ** 2 + turn**2)
            / radius**2
        )
        np.fill_diagonal(distance, inverse)
        i, j = sorted(np.unravel_index(distance.argmin(), distance.shape))
        second = clusters.pop(j)
        if i == j:
            done.append(second)
        else:
            clusters[i] = (clusters[i][0] + second[0], clusters[i][1] + second[1])
    return [
        sorted(inside) for vector, inside in sorted(done, key=lambda jet: -np.hypot(*jet[0][:2]))
    ]


def test_jets_are_those_of_the_definition_leading_first():
    rng = np.random.default_rng(3)
    events = particles(*(random_event(rng) for _ in range(5)))
    found = find_jets(events, SampleSettings(process="qcd", pt_min=100, pt_max=6000, eta_max=5))
    for event, start in enumerate(events.starts):
        expected = anti_kt(events.momentum[:, start : start + 40], 0.8)[:2]
        jets = found.constituents[found.event == event]
        assert [sorted((np.array(jet) - start).tolist()) for jet in jets] == expected
    pt = np.hypot(events.momentum[0], events.momentum[1])
    assert all((np.diff(pt[np.array(jet)]) <= 0).all() for jet in found.constituents)


def test_only_visible_particles_and_jets_in_the_window_count():
    events = particles(
        [
            (600, 0, 0, 211, 1),
            (580, 0, 3, 22, 1),
            (570, 1.5, 3, 22, 1),
            (5, 0.1, 0, 12, 1),
            (5, 0.1, 0, 21, -23),
            (9, 5.5, 0, 211, 1),
        ],
        [(700, 0, 0, 211, 1), (600, 2.5, 3, 211, 1), (560, 0, 3, 22, 1)],
    )
    found = find_jets(events, SampleSettings(process="qcd"))
    assert found.event.tolist() == [
        0,
        0,
    ]  # the third jet is not leading; 700 is too hard, and 2.5 too far forward for the second event
    assert found.constituents.tolist() == [[0], [1]]
    assert find_jets(events, SampleSettings(process="qcd", leading=3)).constituents.tolist() == [
        [0],
        [1],
        [2],
        [8],
    ]
    assert find_jets(events, SampleSettings(process="qcd", leading=1)).constituents.tolist() == [
        [0]
    ]


def test_soft_drop_drops_what_is_soft_and_wide_by_hand():
    hard, soft = (0.5 + 0.5 * ZCUT) * 1000, ZCUT / 2 * 1000
    events = particles(
        [(hard, 0, 0, 211, 1), (1000 - hard, 0.3, 0, 211, 1)],  # both branches stay
        [
            (1000 - soft, 0, 0, 211, 1),
            (soft, 0.3, 0, 211, 1),
        ],  # the soft one goes: a massless particle is left
        [
            (500, 0, 0, 211, 1),
            (500, 0.2, 0, 211, 1),
            (soft, 0.5, 0.2, 211, 1),
        ],  # it goes, the other two stay
    )
    jets = find_jets(events, SampleSettings(process="qcd", pt_max=6000))
    mass = substructure(events, jets, 0.8)["jet_sdmass"]
    assert mass.tolist() == pytest.approx(
        [
            np.sqrt(2 * hard * (1000 - hard) * (np.cosh(0.3) - 1)),
            0,
            np.sqrt(2 * 500 * 500 * (np.cosh(0.2) - 1)),
        ],
        abs=1e-3,
    )


def test_soft_drop_is_fastjets():
    rng = np.random.default_rng(5)
    events = particles(*(random_event(rng) for _ in range(20)))
    jets = find_jets(events, SampleSettings(process="qcd", pt_min=50, pt_max=6000, eta_max=5))
    px, py, pz, energy = (
        ak.unflatten(values[ak.to_numpy(ak.flatten(jets.constituents))], ak.num(jets.constituents))
        for values in events.momentum
    )
    momenta = ak.zip({"px": px, "py": py, "pz": pz, "E": energy}, with_name="Momentum4D")
    clusters = fastjet.ClusterSequence(
        momenta, fastjet.JetDefinition(fastjet.cambridge_algorithm, 100.0)
    )
    theirs = clusters.exclusive_jets_softdrop_grooming(
        njets=1, beta=0.0, symmetry_cut=ZCUT, R0=0.8
    ).msoftdrop
    assert substructure(events, jets, 0.8)["jet_sdmass"] == pytest.approx(
        ak.to_numpy(theirs), abs=1e-6
    )


def test_subjettiness_counts_prongs():
    events = particles(
        [(400, 0, 0, 211, 1), (200, 0.4, 0, 211, 1)],
        [
            (300, 0, 0, 211, 1),
            (200, 0.4, 0, 211, 1),
            (100, 0.2, 0.3, 211, 1),
            (10, 0.25, 0.3, 211, 1),
        ],
    )
    taus = substructure(events, find_jets(events, SampleSettings(process="qcd", pt_max=6000)), 0.8)
    # the axis that minimizes tau1 in one pass is the jet's or better:
    # at most (400 * 0.4/3 + 200 * 0.8/3) / (600 * 0.8), at least all on one prong
    assert (
        200 * 0.4 / (600 * 0.8) - 1e-3
        <= taus["jet_tau1"][0]
        <= (400 * 0.4 / 3 + 200 * 0.8 / 3) / (600 * 0.8) + 1e-3
    )
    assert taus["jet_tau2"][0] == taus["jet_tau3"][0] == taus["jet_tau4"][0] == 0
    # between three axes, only the pair 0.05 apart is left over
    assert 0 < taus["jet_tau3"][1] <= 10 * 0.05 / (610 * 0.8) + 1e-4  # what one pass is accurate to
    assert (
        taus["jet_tau1"][1] > taus["jet_tau2"][1] > taus["jet_tau3"][1] > taus["jet_tau4"][1] == 0
    )
