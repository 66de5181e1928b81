"""Catchment areas of jets."""

import numpy as np
import pytest

from weaver_tt.samples.simulate.jet_area import jet_areas
from weaver_tt.samples.simulate.jets import anti_kt_jets

fastjet = pytest.importorskip("fastjet")

CIRCLE = np.pi * 0.4**2


def jets_of(*particles):
    """Anti-kT jets of one event of massless particles of (pT, eta, phi), hardest first."""
    pt, eta, phi = (np.array(values, float) for values in zip(*particles, strict=True))
    momentum = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta)])
    return momentum, anti_kt_jets(momentum, np.array([len(pt)]), 0.4, 0.0)


def test_a_jet_alone_is_a_circle():
    _, jets = jets_of((100, 0.0, 3.1), (50, 2.0, 0.0))
    assert jet_areas(jets, jets, 0.4) == pytest.approx([CIRCLE, CIRCLE], rel=1e-3)


def test_a_soft_jet_lacks_what_a_hard_one_beside_it_takes():
    # across the seam of the azimuth; the hard one keeps all but a hundredth of a percent
    _, jets = jets_of((1000, 0.0, 3.1), (1, 0.0, 3.1 - 2 * np.pi + 0.5))
    hard, soft = jet_areas(jets, jets, 0.4)
    assert hard == pytest.approx(CIRCLE, rel=1e-3)
    # two circles of radius 1 at a distance of 1.25 share 2 acos(0.625) - 0.625 sqrt(4 - 1.25^2)
    lens = 0.4**2 * (2 * np.arccos(0.625) - 0.625 * np.sqrt(4 - 1.25**2))
    assert soft == pytest.approx(CIRCLE - lens, rel=0.02)


def test_equal_jets_share_what_is_between_them():
    _, jets = jets_of((50, 0.0, 0.0), (50, 0.5, 0.0))
    lens = 0.4**2 * (2 * np.arccos(0.625) - 0.625 * np.sqrt(4 - 1.25**2))
    assert jet_areas(jets, jets, 0.4) == pytest.approx([CIRCLE - lens / 2] * 2, rel=0.02)


def test_areas_agree_with_fastjets_ghosts():
    rng = np.random.default_rng(2)
    particles = [
        (pt, eta, phi)
        for pt, eta, phi in zip(
            np.sort(rng.exponential(20, 12) + 5)[::-1],
            rng.uniform(-1.5, 1.5, 12),
            rng.uniform(-1.5, 1.5, 12),
            strict=True,
        )
    ]
    momentum, jets = jets_of(*particles)
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, 0.4)
    ghosts = fastjet.AreaDefinition(
        fastjet.active_area_explicit_ghosts, fastjet.GhostedAreaSpec(3.0, 1, 0.002)
    )
    inputs = [fastjet.PseudoJet(*map(float, column)) for column in momentum.T]
    clusters = fastjet.ClusterSequenceArea(inputs, definition, ghosts)
    theirs = [jet.area() for jet in fastjet.sorted_by_pt(clusters.inclusive_jets(4.0))]
    assert len(theirs) == len(jets)
    # of 0.5; ghosts lie on a grid with random shifts
    assert jet_areas(jets, jets, 0.4) == pytest.approx(theirs, abs=0.03)
    assert min(theirs) < 0.9 * CIRCLE


def test_only_the_areas_that_are_asked_for_are_given():
    _, jets = jets_of((50, 0.0, 0.0), (50, 0.5, 0.0), (10, 3.0, 0.0))
    every = jet_areas(jets, jets, 0.4)
    assert jet_areas(jets[[2, 1]], jets, 0.4) == pytest.approx(every[[2, 1]])
