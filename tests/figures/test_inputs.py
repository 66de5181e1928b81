"""Figures of inputs show each class normalised to one."""

import numpy as np

from weaver_tt.figures.base import style
from weaver_tt.figures.inputs import PANEL, input_figure

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


def test_errors_are_roots_of_the_squared_weights_and_axes_say_the_width_of_bins():
    sums = np.array([0.0, 4.0, 4.0, 0.0])
    figure = input_figure("$m$ [GeV]", EDGES, {"a": (sums, sums)}, EDGES / 4, {"a": (sums, sums)})
    before, after = figure.axes
    middle, ends = before.lines[0].get_data()
    # (4 +- 2) of 8, in the middle of each bin
    np.testing.assert_allclose(middle, [0.5, 0.5, 0.5, 1.5, 1.5, 1.5])
    np.testing.assert_allclose(ends, [0.25, 0.75, np.nan, 0.25, 0.75, np.nan])
    assert before.get_ylabel() == "share of the class / 1 GeV"
    assert after.get_ylabel() == "share of the class / 0.25"


def test_a_variable_that_is_taken_as_it_is_has_one_panel():
    sums = np.array([0.0, 1.0, 1.0, 0.0])
    assert len(input_figure("x", EDGES, {"a": (sums, sums)}).axes) == 1


def test_whole_numbers_have_ticks_at_themselves_alone():
    sums = np.array([0.0, 1.0, 1.0, 0.0])
    (axes,) = input_figure("isMuon", np.array([-0.5, 0.5, 1.5]), {"a": (sums, sums)}).axes
    assert axes.get_ylabel() == "share of the class"
    assert {0.0, 1.0} <= set(axes.get_xticks()) <= {-1.0, 0.0, 1.0, 2.0}
    assert not len(axes.get_xticks(minor=True))


def test_a_class_without_entries_is_drawn_as_zero():
    nothing = np.zeros(4)
    (axes,) = input_figure("x", EDGES, {"a": (nothing, nothing)}).axes
    np.testing.assert_array_equal(axes.patches[0].get_data().values, [0, 0])


def test_names_of_classes_make_the_figure_wider_and_leave_the_panels_as_they_are():
    sums = np.array([0.0, 1.0, 1.0, 0.0])

    def panel_and_width(name):
        figure = input_figure("x", EDGES, {name: (sums, sums)}, EDGES, {name: (sums, sums)})
        width, height = figure.get_size_inches()
        sizes = [axes.get_position().size * (width, height) for axes in figure.axes]
        with style():  # its fonts are those that are written
            legend = figure.legends[0].get_window_extent().x0 / figure.dpi
        right = figure.axes[1].get_position().x1 * width
        assert right <= legend < width
        return sizes, width

    (sizes, short), (same, long) = panel_and_width("b"), panel_and_width("a long name of a class")
    np.testing.assert_allclose(sizes, [PANEL, PANEL])
    np.testing.assert_allclose(same, sizes)
    assert long > short + 1
