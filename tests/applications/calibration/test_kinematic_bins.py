"""Bins, their names, and where a jet belongs."""

import numpy as np
import pytest

from weaver_tt.applications.calibration.kinematic_bins import Axis, KinematicBins, parse_axis
from weaver_tt.errors import ConfigError

PT = Axis("jet_pt", np.array([300.0, 400, 600]))
ETA = Axis("abs(jet_eta)", np.array([0.0, 1, 2.5]))
BINS = KinematicBins((PT, ETA))


def test_the_last_axis_runs_fastest_and_an_edge_belongs_to_the_bin_above():
    pt = np.array([300.0, 399, 400, 600, 299, 500])
    eta = np.array([0.0, 1, 2, 0, 0, 2.5])
    assert BINS.find([pt, eta], 6).tolist() == [0, 1, 3, -1, -1, -1]


def test_bins_have_labels_and_names_of_files():
    assert len(BINS) == 4
    assert BINS.label(1) == "jet_pt 300 to 400, abs(jet_eta) 1 to 2.5"
    assert BINS.name(1) == "jet_pt_300_400_abs_jet_eta_1_2_5"


def test_without_axes_all_jets_are_in_one_bin():
    bins = KinematicBins()
    assert (len(bins), bins.label(0), bins.name(0)) == (1, "all jets", "all_jets")
    assert bins.find([], 3).tolist() == [0, 0, 0]


def test_an_axis_is_an_expression_and_its_edges():
    axis = parse_axis(["jet_pt", "300", "4e2"])
    assert axis.source == "jet_pt"
    assert axis.edges.tolist() == [300, 400]


@pytest.mark.parametrize("words", [["jet_pt"], ["jet_pt", "3"], ["jet_pt", "3", "nan"]])
def test_edges_must_increase(words):
    with pytest.raises(ConfigError, match=r"--bins-in jet_pt.*expected two or more numbers that"):
        parse_axis(words)
