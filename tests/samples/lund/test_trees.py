"""Lund trees against FastJet's own walk, and what a cut leaves of them."""

import awkward as ak
import numpy as np
import pytest

from tests.samples.lund.lund_jets import has_parents_walk, random_jets
from weaver_tt.samples.lund.trees import (
    VALUES,
    Declustering,
    LundCuts,
    kept_tree,
    lund_trees,
)

fastjet = pytest.importorskip("fastjet")
NO_CUTS = LundCuts()


def trees_of(momentum, counts, cuts=NO_CUTS):
    """For each jet: values (5, S), and the mothers (S,)."""
    trees = lund_trees(momentum, counts, cuts, "lund")
    values = np.stack([trees.values[name] for name in VALUES])
    borders = np.cumsum(trees.counts)[:-1]
    return zip(np.split(values, borders, axis=1), np.split(trees.parent, borders), strict=True)


@pytest.mark.parametrize(
    ("number", "ln_kt_min", "ln_delta_min"), [(1000, None, None), (1000, 0.0, None), (50, -1, -2)]
)
def test_jets_have_the_splittings_and_mothers_of_fastjets_walk(number, ln_kt_min, ln_delta_min):
    momentum, counts = random_jets(1, number, most=40)
    cuts = LundCuts(ln_kt_min=ln_kt_min, ln_delta_min=ln_delta_min)
    limits = [-np.inf if cut is None else cut for cut in (ln_kt_min, ln_delta_min)]
    jets = np.split(momentum, np.cumsum(counts)[:-1], axis=1)
    compared = 0
    for (values, parent), particles in zip(trees_of(momentum, counts, cuts), jets, strict=True):
        expected = has_parents_walk(fastjet, particles, *limits)
        assert values.shape[1] == len(expected)
        if not expected:
            continue
        # in one order: by ln kt, of which no two are the same
        order = sorted(range(len(expected)), key=lambda place: expected[place][0][0])
        ours = np.argsort(values[0], kind="stable")
        wanted = np.array([expected[place][0] for place in order]).T
        is_far = wanted[1] > np.log(1e-4)
        near = np.abs(values[:, ours] - wanted) < 1e-5
        assert (near | np.isnan(wanted))[:, is_far].all()
        mothers = np.array([parent_ln_kt(expected[place][1]) for place in order])
        our_mothers = np.where(parent >= 0, values[0][parent], np.nan)[ours]
        np.testing.assert_allclose(our_mothers, mothers, atol=1e-5)
        compared += len(expected)
    assert compared > 1000 or number < 1000


def parent_ln_kt(mother):
    return np.nan if mother is None else mother[0]


def test_the_harder_branch_has_fastjets_primary_declusterings():
    momentum, counts = random_jets(2, 20)
    px, py, pz, energy = momentum
    records = ak.zip({"px": px, "py": py, "pz": pz, "E": energy}, with_name="Momentum4D")
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, 100.0)
    jets = ak.unflatten(records, counts)
    compared = 0
    for (values, parent), jet in zip(trees_of(momentum, counts), jets, strict=True):
        if len(jet) < 2:
            continue
        sequence = fastjet.ClusterSequence(ak.Array([jet]), definition)
        primary = sequence.exclusive_jets_lund_declusterings(1)
        angles = ak.flatten(primary.Delta, axis=None)
        momenta = ak.flatten(primary.kt, axis=None)
        # a chain from the first: each is a daughter of the one before
        mother = -1
        for delta, kt in zip(angles, momenta, strict=True):
            is_same = np.abs(values[:2].T - np.log([kt, delta])).max(axis=1) < 1e-5
            [place] = np.flatnonzero(is_same)
            assert parent[place] == mother
            mother = place
            compared += 1
    assert compared > 100


def test_mothers_come_before_daughters_and_the_first_has_none():
    for cuts in (NO_CUTS, LundCuts(ln_kt_min=0.0)):
        for _, parent in trees_of(*random_jets(3, 50), cuts):
            assert (parent < np.arange(len(parent))).all()
            assert (parent == -1).sum() == min(len(parent), 1)


def test_a_dropped_splitting_joins_its_harder_branch_to_the_nearest_kept_mother():
    # particles 0 to 3 merge to 4 = (0, 1), 5 = (4, 2), 6 = (5, 3); the softer branch is the second
    branches = [(0, 1), (4, 2), (5, 3)]
    assert kept_tree(branches, [True, True, True]) == ([2, 1, 0], [-1, 0, 1])
    assert kept_tree(branches, [True, False, True]) == ([2, 0], [-1, 0])
    assert kept_tree(branches, [True, True, False]) == ([1, 0], [-1, 0])
    assert kept_tree(branches, [False, False, False]) == ([], [])
    # here 4 is the softer branch of 5: it goes with the splitting
    assert kept_tree([(0, 1), (2, 4), (5, 3)], [True, False, True]) == ([2], [-1])


def massless(*directions):
    """(4, P) particles of (pT, eta, phi)."""
    pt, eta, phi = np.array(directions, float).T
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta)])


def test_the_values_of_a_splitting_by_hand():
    # 100 GeV at (0, 0) and 25 GeV at (0.3, -0.4): Delta 0.5, kt 12.5, z 0.2
    [(values, parent)] = trees_of(massless((100, 0, 0), (25, 0.3, -0.4)), np.array([2]))
    mass = np.sqrt(2 * 100 * 25 * (np.cosh(0.3) - np.cos(0.4)))
    expected = [*np.log([12.5, 0.5, 0.2, mass]), np.arctan(0.3 / -0.4)]
    np.testing.assert_allclose(values[:, 0], expected, atol=1e-6)
    assert parent.tolist() == [-1]


def test_the_azimuth_goes_round_at_pi():
    [(values, _)] = trees_of(massless((100, 0, 3.1), (25, 0.1, -3.1)), np.array([2]))
    d_phi = 2 * np.pi - 6.2
    assert values[1, 0] == pytest.approx(np.log(np.hypot(0.1, d_phi)), abs=1e-6)
    assert values[4, 0] == pytest.approx(np.arctan(0.1 / d_phi), abs=1e-6)


@pytest.mark.parametrize(
    "particles",
    [
        massless((10, 0, 0), (10, 0, 0), (10, 0, 0)),
        massless((10, 0, 0), (1e-30, 0.1, 0)),
        np.zeros((4, 3)),
        np.concatenate([massless((10, 0, 0), (5, 0.1, 0.2)), np.zeros((4, 2))], axis=1),
        # along the beam, and at rest
        np.array([[10, 0, 0, 10], [0, 0, 50, 50], [0, 0, 0, 1], [1, 0, 3000, 3000]]).T,
        # momenta that cancel
        np.array([[10, 0, 0, 10], [-10, 0, 0, 10], [0, 1, 0, 1]]).T,
        # energies of less than the momentum
        np.array([[10, 0, 5, 0], [10, 1, 5, 0], [3, 0, 1, 3.1]]).T,
        massless((1e15, 0, 0), (1e-15, 8, 3)),
    ],
)
def test_logarithms_are_finite_for_any_momenta(particles):
    particles = particles.astype(float)
    [(values, parent)] = trees_of(particles, np.array([particles.shape[1]]))
    assert np.isfinite(values).all()
    assert (values[1] >= np.log(1e-5) - 1e-6).all()
    assert (values[4] > -np.pi / 2).all()
    assert (values[4].astype(float) <= np.pi / 2).all()
    assert len(parent) == values.shape[1]


def test_particles_without_a_direction_are_in_no_splitting():
    momentum = np.concatenate([massless((10, 0, 0), (5, 0.1, 0.2)), np.zeros((4, 2))], axis=1)
    [(values, _)] = trees_of(momentum, np.array([4]))
    assert values.shape == (5, 1)


def test_jets_that_have_no_tree_are_counted_by_their_reason():
    good = massless((100, 0, 0), (1, 0.1, 0))
    nan = good.copy()
    nan[2, 1] = np.nan
    negative = good.copy()
    negative[3, 0] *= -1
    momentum = np.concatenate([good, nan, negative, good[:, :1], good], axis=1)
    counts = np.array([2, 2, 0, 2, 1, 2])
    trees = lund_trees(momentum, counts, NO_CUTS, "lund")
    assert trees.counts.tolist() == [1, 0, 0, 0, 0, 1]
    assert trees.totals.jets == 6
    assert trees.totals.without_constituents == 1
    assert trees.totals.unusable == 2
    assert trees.totals.cut_empty == 0
    # ln kt = ln 0.1
    trees = lund_trees(momentum, counts, LundCuts(ln_kt_min=-2.0), "lund")
    assert trees.totals.cut_empty == 2
    assert trees.totals.splittings == 0


def test_momenta_that_cancel_to_nothing_make_no_tree():
    # their sum has neither direction nor energy, and FastJet gives it up
    momenta = [[10, 0, 0, 0], [-10, 0, 0, 0], [0, 1, 0, 1]]
    branches = Declustering("lund").branches(momenta)
    assert branches is None or len(branches) == 2
