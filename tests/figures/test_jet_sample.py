"""Figures of a sample of jets."""

import numpy as np
import pytest

from weaver_tt.figures.jet_sample import (
    LARGEST_MARKER,
    SMALLEST_MARKER,
    ConstituentsOfJet,
    cloud_figure,
    shapes_figure,
    spectrum_figure,
    target_figure,
)


def test_empty_bins_of_the_spectrum_stay_white_and_bars_are_numbers_of_jets():
    figure = spectrum_figure(
        np.array([[0.0, 3.0]]), np.array([10.0, 100]), np.array([-1.0, 0, 1]), {"b": 2, "g": 5}
    )
    left, right = figure.axes[:2]
    (mesh,) = left.collections
    assert mesh.get_array().filled(-1).ravel().tolist() == [-1, 3]
    assert [bar.get_height() for bar in right.patches] == [2, 5]


def test_markers_of_a_jet_are_proportional_to_pt():
    parts = {
        "charged": np.array([[0.0, 0.1], [0.0, 0.1], [50.0, 25.0]]),
        "neutral": np.array([[0.2], [0.2], [0.01]]),
        "secondary vertices": np.empty((3, 0)),
    }
    (axes,) = cloud_figure(ConstituentsOfJet(pt=75.0, parts=parts)).axes
    sizes = [points.get_sizes().tolist() for points in axes.collections]
    assert sizes == [[LARGEST_MARKER, LARGEST_MARKER / 2], [SMALLEST_MARKER], []]
    assert axes.get_title() == "jet of 75 GeV"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["charged (2)", "neutral (1)", "secondary vertices (0)"]


def test_shapes_are_shares_and_flavours_without_jets_are_not_drawn():
    edges = np.array([0.0, 1, 2])
    entries = {"uds": np.array([1.0, 3]), "g": np.array([0.0, 0])}
    (axes,) = shapes_figure({"width": (edges, entries)}).axes
    (steps,) = axes.patches
    assert steps.get_data().values.tolist() == [0.25, 0.75]
    assert axes.get_xlabel() == "width"


def test_the_window_of_the_target_is_marked():
    edges = np.linspace(-1.5, 1.5, 4)
    (axes,) = target_figure(edges, {"uds": np.array([1.0, 5, 1])}, 1.0).axes
    assert sorted(line.get_xdata()[0] for line in axes.lines) == pytest.approx([-1, 1])
    (steps,) = axes.patches
    assert steps.get_data().values.sum() == pytest.approx(1)
