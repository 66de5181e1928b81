"""Jets are filled by |eta| and pT_gen; wider bins hold what their parts held."""

import numpy as np
import pytest

from weaver_tt.applications.jet_energy.response import (
    ResponseSums,
    Survey,
    bin_of,
    measured_points,
)


def test_the_last_bin_holds_its_upper_edge() -> None:
    edges = np.array([0.0, 1, 3])
    assert bin_of(edges, np.array([-0.1, 0, 0.99, 1, 3, 3.01])).tolist() == [-1, 0, 0, 1, 1, -1]


def test_a_survey_adds_up_over_chunks() -> None:
    survey = Survey()
    survey.add({"gen_pt": np.array([50.0, 20]), "eta": np.array([-3.0, 1]), "rho": np.zeros(2)})
    survey.add({"gen_pt": np.array([400.0]), "eta": np.array([2.0]), "rho": np.array([7.0])})
    assert (survey.jets, survey.lowest_pt, survey.highest_pt, survey.highest_eta) == (3, 20, 400, 3)
    # one jet of three has a density: no pile-up, but a hard collision beside
    assert not survey.has_pileup
    survey.add({"gen_pt": np.array([30.0, 30]), "eta": np.zeros(2), "rho": np.ones(2)})
    assert survey.has_pileup


def sums_of(response: list[float], eta: list[float], gen_pt: list[float]) -> ResponseSums:
    sums = ResponseSums(eta_edges=np.array([0, 1.0, 2]), pt_edges=np.array([20.0, 100, 500]))
    pt = np.array(gen_pt)
    sums.add({"gen_pt": pt, "eta": np.array(eta), "pt": np.array(response) * pt})
    return sums


def test_cells_count_jets_and_those_outside_are_counted_apart() -> None:
    sums = sums_of([1, 1, 1, 1], eta=[0.5, -0.5, 1.5, 2.5], gen_pt=[50, 200, 200, 50])
    assert sums.jets().tolist() == [[1, 1], [0, 1]]
    assert sums.outside == 1


def test_points_are_at_the_geometric_mean_of_pt_and_have_the_mean_response() -> None:
    sums = sums_of([0.9, 0.7, 1.1], eta=[0.5, 0.5, 0.1], gen_pt=[25, 64, 200])
    # both bins of pT in one point: pT = (25 64 200)^(1/3)
    points = measured_points(sums, 0, np.array([0, 0]), "mean")
    assert points.pt == pytest.approx([(25 * 64 * 200) ** (1 / 3)])
    # histograms of log R: a mean is known to the width of their bins
    assert points.response == pytest.approx([0.9], abs=2e-3)
    assert (points.jets.tolist(), points.lowest, points.highest) == ([3], 25, 200)


def test_bins_of_eta_are_joined() -> None:
    sums = sums_of([1, 1, 1], eta=[0.5, 1.5, 1.7], gen_pt=[50, 50, 200])
    assert sums.merged_eta(np.array([0, 2.0])).jets().tolist() == [[2, 1]]
