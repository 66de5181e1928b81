"""The figure of Lund planes: a panel for each class, and ratios to the first."""

import numpy as np

from weaver_tt.figures.lund_plane import LN_ANGLE_EDGES, LN_KT_EDGES, lund_plane_figure

SHAPE = (len(LN_ANGLE_EDGES) - 1, len(LN_KT_EDGES) - 1)


def panels(figure):
    return [axes for axes in figure.axes if axes.get_title()]


def test_each_class_has_a_panel_and_all_but_the_first_a_ratio():
    first = np.ones(SHAPE)
    second = np.full(SHAPE, 3.0)
    second[:, 0] = 0
    figure = lund_plane_figure({"QCD": first, "top": second}, {"QCD": 1000, "top": 7})
    titles = [axes.get_title() for axes in panels(figure)]
    assert titles == ["QCD, 1,000 jets", "top, 7 jets", "top / QCD"]
    ratio = panels(figure)[2].collections[0].get_array()
    assert ratio.compressed().tolist() == [3.0] * (SHAPE[0] * (SHAPE[1] - 1))
    # white where one of them has nothing
    assert ratio.mask.sum() == SHAPE[0]


def test_many_classes_stand_in_rows_and_their_ratios_below_them():
    planes = {name: np.ones(SHAPE) for name in "abcdefg"}
    figure = lund_plane_figure(planes, dict.fromkeys(planes, 1))
    drawn = panels(figure)
    assert [axes.get_title() for axes in drawn][6:8] == ["g, 1 jets", "b / a"]
    places = [axes.get_subplotspec() for axes in drawn]
    rows = [place.rowspan.start for place in places]
    assert rows == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    assert [axes.get_ylabel() != "" for axes in drawn] == [place.is_first_col() for place in places]


def test_one_class_and_no_splittings_are_drawn_too():
    figure = lund_plane_figure({"all jets": np.zeros(SHAPE)}, {"all jets": 2})
    assert len(panels(figure)) == 1
