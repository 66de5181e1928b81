"""The closure figure of reweighting shows the numbers it is given."""

import numpy as np
import pytest

from weaver_tt.figures.spectra import closure, reweighting_figure, spectrum

SUMS = {
    **{("pt", "a", "before", i): value for i, value in enumerate((6.0, 3.0, 1.0))},
    **{("pt", "a", "after", i): value for i, value in enumerate((2.0, 2.0, 1.0))},
    **{("pt", "a", "square", i): value for i, value in enumerate((4.0, 2.0, 1.0))},
    ("pt", "b", "before", 1): 5.0,
}


def test_shares_and_errors_by_hand():
    share, error = spectrum(SUMS, "pt", "a", "before", 3)
    assert share.tolist() == pytest.approx([0.6, 0.3, 0.1])
    assert error.tolist() == pytest.approx((np.sqrt([6, 3, 1]) / 10).tolist())
    share, error = spectrum(SUMS, "pt", "a", "after", 3)
    assert share.tolist() == pytest.approx([0.4, 0.4, 0.2])
    assert error.tolist() == pytest.approx((np.sqrt([4, 2, 1]) / 5).tolist())
    assert spectrum(SUMS, "pt", "c", "after", 3)[0].tolist() == [0, 0, 0]


def test_a_row_of_panels_for_each_variable_and_a_line_for_each_class():
    figure = reweighting_figure(
        SUMS, {"pt": (1.0, 10.0, 100.0, 1000.0), "mass": (0.0, 1.0)}, ["a", "b"]
    )
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == [
        "before reweighting",
        "after reweighting",
    ] * 2
    assert [axes.get_xlabel() for axes in figure.axes] == ["pt", "pt", "mass", "mass"]
    assert [axes.get_xscale() for axes in figure.axes] == ["log", "log", "linear", "linear"]
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["a", "b"]


def test_a_target_is_drawn_beside_the_spectra_with_their_ratio_to_it():
    target = np.array([0.5, 0.25, 0.25])
    # after: shares 0.4, 0.4, 0.2
    ratio, error = closure(SUMS, "pt", "a", target)
    assert ratio.tolist() == pytest.approx([0.8, 1.6, 0.8])
    assert error.tolist() == pytest.approx((np.sqrt([4, 2, 1]) / 5 / target).tolist())
    figure = reweighting_figure(SUMS, {"pt": (0.0, 1.0, 2.0, 3.0)}, ["a", "b"], {"pt": target})
    figure.canvas.draw()
    before, after, ratios = figure.axes
    assert ratios.get_title() == "after reweighting / target"
    for axes in (before, after):
        [line] = [patch for patch in axes.patches if patch.get_label() == "target"]
        assert line.get_data().values.tolist() == [0.5, 0.25, 0.25]
    assert [text.get_text() for text in after.get_legend().get_texts()] == ["a", "b", "target"]
