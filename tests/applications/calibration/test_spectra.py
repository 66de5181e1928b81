"""Distorted spectra against jets that are distorted one by one."""

import numpy as np
import pytest

from weaver_tt.applications.calibration.spectra import Grid, Spectra

EDGES = np.array([50.0, 70, 75, 80, 85, 90, 110])


def filled(values):
    grid = Grid(EDGES)
    spectra = Spectra(grid, 1)
    counts = np.histogram(values, grid.fine_edges)[0].astype(float)
    spectra.sums[0, 0] = counts
    spectra.squares[0, 0] = counts
    return grid, spectra


def test_undistorted_templates_are_histograms():
    values = np.random.default_rng(1).normal(80, 8, 10_000)
    grid, spectra = filled(values)
    assert spectra.template(0, grid.response(1.0, 0.0))[0] == pytest.approx(
        np.histogram(values, EDGES)[0]
    )


def test_a_distortion_is_that_of_jets_one_by_one():
    rng = np.random.default_rng(2)
    values = rng.normal(80, 8, 2_000_000)
    grid, spectra = filled(values)
    distorted = 1.02 * values * (1 + 0.05 * rng.normal(size=len(values)))
    expected = np.histogram(distorted, EDGES)[0]
    found = spectra.template(0, grid.response(1.02, 0.05**2))[0]
    # 2 million jets, of which the same are in both: errors are smaller than these
    assert np.abs(found - expected).max() < 4 * np.sqrt(expected.max())


def test_a_better_resolution_is_the_opposite_of_a_worse_one():
    grid, spectra = filled(np.random.default_rng(3).normal(80, 8, 10_000))
    nominal, worse, better = (
        spectra.template(0, grid.response(1.0, variance)) for variance in (0, 1e-3, -1e-3)
    )
    assert better - nominal == pytest.approx(nominal - worse)
    assert (worse - nominal)[0, 2] < 0


def test_jets_come_in_from_beyond_the_edges():
    grid, spectra = filled(np.full(100, 110.9))
    assert spectra.template(0, grid.response(1.0, 0.0)).sum() == 0
    assert spectra.template(0, grid.response(0.98, 0.0))[0] == pytest.approx([0] * 5 + [100])


def test_fine_bins_hold_the_edges_and_are_a_quarter_longer_on_both_sides():
    fine = Grid(EDGES).fine_edges
    assert set(EDGES) <= set(fine.tolist())
    assert (fine[0], fine[-1]) == (35, 125)
    assert (np.diff(fine) > 0).all()


def test_a_variable_around_0_is_not_smeared_at_0():
    response = Grid(np.array([-1.0, 0.0, 1.0])).response(1.0, 0.01)
    assert np.isfinite(response).all()
    assert response.min() >= 0
    assert response.sum(0).max() <= 1 + 1e-9


@pytest.mark.parametrize(
    ("low", "high", "cut"),
    [(40, 120, []), (50, 120, [50]), (40, 110, [110]), (50, 110, [50, 110])],
)
def test_an_edge_at_which_all_jets_end_is_a_cut(low, high, cut):
    _, spectra = filled(np.random.default_rng(4).uniform(low, high, 1000))
    assert spectra.cut_edges() == cut


def test_few_jets_may_end_anywhere():
    _, spectra = filled(np.linspace(50.5, 105, 60))
    # 22 of them from 50 to 70 GeV
    assert spectra.cut_edges() == []


def test_nothing_ends_at_0_by_a_cut():
    grid = Grid(np.array([0.0, 0.5, 1.0]))
    spectra = Spectra(grid, 1)
    values = np.random.default_rng(5).uniform(0, 2, 1000)
    spectra.sums[0, 0] = spectra.squares[0, 0] = np.histogram(values, grid.fine_edges)[0]
    assert spectra.cut_edges() == []
