"""Figures of inputs show each class normalised to one."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from weaver_tt.figures.base import style
from weaver_tt.figures.inputs import PANEL, InputFigures

EDGES = np.array([0.0, 1.0, 2.0])


def panels_of(label, edges, sums, scaled_edges=None):
    """The panels of one class, whose weights are all 1."""
    one = [(sums, sums)]
    after = None if scaled_edges is None else one
    return InputFigures(["a"]).draw(label, edges, one, scaled_edges, after).axes


def corners_of(axes):
    """x and y of the line of the first class."""
    return axes.collections[0].get_segments()[0].T


def test_a_class_is_normalised_with_what_lies_beyond_the_bins():
    # 1 below, 2 and 4 inside, 1 above
    before, after = panels_of("x", EDGES, np.array([1.0, 2.0, 4.0, 1.0]), EDGES)
    x, y = corners_of(before)
    np.testing.assert_allclose(x, [0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(y, [0, 2 / 8, 2 / 8, 4 / 8, 4 / 8, 0])
    assert before.get_xlabel() == "x"
    assert after.get_xlabel() == "what the network is given"


def test_errors_are_roots_of_the_squared_weights_and_axes_say_the_width_of_bins():
    sums = np.array([0.0, 4.0, 4.0, 0.0])
    before, after = panels_of("$m$ [GeV]", EDGES, sums, EDGES / 4)
    _, bars = before.collections
    # (4 +- 2) of 8, in the middle of each bin
    x, y = bars.get_paths()[0].vertices.T
    np.testing.assert_allclose(x, [0.5, 0.5, 0.5, 1.5, 1.5, 1.5])
    np.testing.assert_allclose(y, [0.25, 0.75, np.nan, 0.25, 0.75, np.nan])
    assert before.get_ylabel() == "share of the class / 1 GeV"
    assert after.get_ylabel() == "share of the class / 0.25"
    # the highest error, and a twentieth of it
    np.testing.assert_allclose(before.get_ylim(), [0, 1.05 * 0.75])


def test_a_variable_that_is_taken_as_it_is_has_one_panel():
    assert len(panels_of("x", EDGES, np.array([0.0, 1.0, 1.0, 0.0]))) == 1


def test_whole_numbers_have_ticks_at_themselves_alone():
    edges = np.array([-0.5, 0.5, 1.5])
    (axes,) = panels_of("isMuon", edges, np.array([0.0, 1.0, 1.0, 0.0]))
    assert axes.get_ylabel() == "share of the class"
    assert {0.0, 1.0} <= set(axes.get_xticks()) <= {-1.0, 0.0, 1.0, 2.0}
    assert not len(axes.get_xticks(minor=True))


def test_a_class_without_entries_is_drawn_as_zero():
    (axes,) = panels_of("x", EDGES, np.zeros(4))
    np.testing.assert_array_equal(corners_of(axes)[1], 0)


def test_shares_below_zero_of_negative_weights_are_inside_of_the_axis():
    sums = np.array([0.0, -1.0, 3.0, 0.0])
    squares = np.array([0.0, 1.0, 9.0, 0.0])
    (axes,) = InputFigures(["a"]).draw("x", EDGES, [(sums, squares)]).axes
    low, high = axes.get_ylim()
    # (-1 - 1) / 2 and (3 + 3) / 2
    assert low < -1
    assert high > 3


def test_a_narrow_peak_with_long_tails_is_drawn_on_a_logarithmic_axis():
    (axes,) = panels_of("x", np.arange(4.0), np.array([0.0, 1.0, 100.0, 1.0, 0.0]))
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[0] == pytest.approx(1 / 102 / 3)


def test_a_variable_leaves_nothing_to_the_next_one():
    figures = InputFigures(["a"])
    peak = np.array([0.0, 1.0, 500.0, 1.0, 0.0])
    flat = np.array([0.0, 1.0, 1.0, 1.0, 0.0])
    wide_bins = np.array([1.0, 10.0, 100.0, 1000.0])
    figures.draw("first", wide_bins, [(peak, peak)])
    (again,) = figures.draw("second", np.arange(4.0), [(flat, flat)]).axes
    (new,) = panels_of("second", np.arange(4.0), flat)
    for axes in (again, new):
        assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "linear")
    assert again.get_ylim() == new.get_ylim()
    assert again.get_xlim() == new.get_xlim()
    np.testing.assert_array_equal(again.get_xticks(minor=True), new.get_xticks(minor=True))
    assert len(again.collections) == len(new.collections)
    assert again.get_xlabel() == "second"


def test_axes_are_made_once(monkeypatch):
    made = []
    make = Figure.subplots
    monkeypatch.setattr(Figure, "subplots", lambda *args, **kw: made.append(1) or make(*args, **kw))
    figures = InputFigures(["a"])
    one = [(np.ones(4), np.ones(4))]
    for label in ("x", "y", "z"):
        figures.draw(label, EDGES, one, EDGES, one)
        figures.draw(label, EDGES, one)
    # for one panel and for two
    assert len(made) == 2


def test_names_of_classes_make_the_figure_wider_and_leave_the_panels_as_they_are():
    one = [(np.ones(4), np.ones(4))]

    def panel_and_width(name):
        figure = InputFigures([name]).draw("x", EDGES, one, EDGES, one)
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
