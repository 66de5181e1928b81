"""Figures of inputs show each class normalised to one."""

import numpy as np

from weaver_tt.figures.inputs import input_figure

EDGES = np.array([0.0, 1.0, 2.0])


def test_a_class_is_normalised_with_what_lies_beyond_the_bins():
    # 1 below, 2 and 4 inside, 1 above
    sums = np.array([1.0, 2.0, 4.0, 1.0])
    figure = input_figure("x", EDGES, {"a": (sums, sums)}, EDGES, {"a": (sums, sums)})
    before, after = figure.axes
    heights = [patch.get_data().values for patch in before.patches]
    np.testing.assert_allclose(heights[0], [2 / 8, 4 / 8])
    assert before.get_xlabel() == "x"
    assert after.get_xlabel() == "what the network is given"


def test_a_variable_that_is_taken_as_it_is_has_one_panel():
    sums = np.array([0.0, 1.0, 1.0, 0.0])
    assert len(input_figure("x", EDGES, {"a": (sums, sums)}).axes) == 1


def test_a_class_without_entries_is_drawn_as_zero():
    nothing = np.zeros(4)
    (axes,) = input_figure("x", EDGES, {"a": (nothing, nothing)}).axes
    np.testing.assert_array_equal(axes.patches[0].get_data().values, [0, 0])
