"""Figures of classifiers show the numbers they are given."""

import numpy as np
import pytest
import torch

from weaver_tt.figures import classification as figures
from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.classification import ClassificationMeter
from weaver_tt.options.figures import MAX_CLASSES


def summarize(names, output, target):
    """The summary of unweighted entries."""
    ones = torch.ones(len(output))
    meter = ClassificationMeter(names)
    meter.update(Scored(torch.tensor(output), torch.tensor(target), ones, ones), None)
    return meter.summarize(meter.totals())


TWO = summarize(["top", "qcd"], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.85, 0.15]], [0, 0, 1, 1])
THREE = summarize(["a", "b", "c"], [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]], [0, 1, 1])


def texts(axes):
    """What is written in a panel."""
    return [text.get_text() for text in axes.texts]


def test_confusion_shares_are_per_true_class():
    assert texts(figures.confusion_figure(TWO).axes[0]) == ["1.00", "0.00", "0.50", "0.50"]
    assert texts(figures.confusion_figure(THREE).axes[0])[-3:] == [
        "0.00",
        "0.00",
        "0.00",
    ]  # a class without entries


def test_areas_of_pairs_leave_out_the_diagonal_and_what_is_unknown():
    assert texts(figures.area_matrix(THREE).axes[0]) == ["1.000", "1.000"]


def curves_of(figure):
    """The names of the curves, without what limits look like."""
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    return [text for text in texts if not text.startswith("lower limit")]


def test_two_classes_have_one_curve_more_have_one_each():
    assert curves_of(figures.roc_of_classes(TWO)) == ["top against qcd"]
    assert len(curves_of(figures.roc_of_classes(THREE))) == 3


def test_a_curve_is_the_rejection():
    value = figures.rejection_curve(TWO.against_rest, 0).values
    assert value[-1] == pytest.approx(2.0)  # all of the signal is above 0.3
    assert value[74] == pytest.approx(2.0)  # between 0.8 and 0.9: one of two passes
    assert np.isnan(value[20])  # none passes


def test_a_perfect_tagger_has_the_lower_limit_of_its_rejection():
    scores = [[0.9, 0.1]] * 3 + [[0.2, 0.8]] * 30
    perfect = summarize(["top", "qcd"], scores, [0] * 3 + [1] * 30)
    axes = figures.roc_of_classes(perfect).axes[0]
    # of 30 rows none is seen in 5 % of the cases where 3.0 are expected
    limits = axes.lines[1].get_ydata()
    assert np.nanmin(limits) == np.nanmax(limits) == pytest.approx(30 / 2.9957, rel=1e-4)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["top against qcd", "lower limit (95 %)"]
    low, high = axes.get_ylim()
    assert low == 1
    assert high > limits[0]


def test_points_lie_over_bands_and_lines():
    curve = figures.rejection_curve(TWO.against_rest, 0)
    point = figures.CutPoint(label="cut", curve=0, efficiency=0.5, rejection=2, error=1)
    axes = figures.draw_rejections({"net": curve}, points=[point]).axes[0]
    (band,) = (one for one in axes.collections if one.get_alpha() == 0.25)
    (marker,) = (line for line in axes.lines if line.get_marker() == "o")
    assert band.get_zorder() < axes.lines[0].get_zorder() < marker.get_zorder()


def test_curves_are_divided_by_the_reference():
    line = np.linspace(100, 1, 100)

    def curve_of(values):
        return figures.RejectionCurve(values=values, errors=line / 10, limits=np.full(100, np.nan))

    panels = figures.draw_rejections(
        {"old": curve_of(line), "new": curve_of(2 * line)}, ratio="old"
    ).axes
    assert [curve.get_ydata()[0] for curve in panels[1].lines] == [1.0, 2.0]
    assert panels[1].get_ylabel() == "ratio to old"


def test_scores_are_densities_of_each_class():
    (axes,) = figures.score_distributions(TWO).axes
    top = axes.patches[0].get_data()
    assert (top.values * np.diff(top.edges)).sum() == pytest.approx(1)
    assert len(figures.score_distributions(THREE).axes) == 3


def test_calibration_lays_models_over_each_other():
    (axes,) = figures.score_calibration({"old": TWO, "new": TWO}).axes
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [text.partition(":")[0] for text in texts] == ["old", "new"]
    assert axes.get_legend().get_title().get_text() == "mean deviation"


def test_points_of_models_stand_apart():
    value = np.array([0.5, 0.6])
    axes = figures.points_in_bins(
        np.array([0.0, 1.0, 3.0]), {"old": (value, value), "new": (value, value)}, ("pt", "AUC")
    ).axes[0]
    first, second = (line.get_xdata() for line in axes.lines if line.get_marker() == "o")
    assert (first < second).all()
    assert first[0] > 0
    assert second[-1] < 3


def test_beyond_the_largest_value_there_is_no_tick():
    points = {"new": (np.array([0.97, 0.99]), np.array([0.01, 0.02]))}
    edges = np.array([0.0, 1.0, 3.0])
    axes = figures.points_in_bins(edges, points, ("pt", "AUC"), largest=1).axes[0]
    # the legend is there
    assert axes.get_ylim()[1] > 1.02
    for is_minor in (False, True):
        assert len(axes.get_yticks(minor=is_minor)) > 3
        assert axes.get_yticks(minor=is_minor).max() <= 1


def test_of_very_many_classes_those_with_most_entries_are_drawn():
    names = [f"label_{number}" for number in range(188)]
    scores = np.full((3, 188), 0.001)
    scores[0, 0] = scores[1, 100] = scores[2, 100] = 0.813
    many = summarize(names, scores.tolist(), [0, 100, 100])
    # two classes have entries, and the first of the others fill up
    curves = curves_of(figures.roc_of_classes(many))
    assert len(curves) == MAX_CLASSES
    assert [curves[0], curves[-1]] == ["label_0 against the rest", "label_100 against the rest"]
    figure = figures.score_distributions(many)
    assert figure.get_suptitle() == "12 of 188 classes"
    panels = figure.axes
    assert [axes.get_xlabel() for axes in panels][-2:] == ["score label_10", "score label_100"]
    lines = [text.get_text() for text in panels[0].get_legend().get_texts()]
    assert lines == ["its class", "the others"]
    # the entry of class 0 has the score 0.813, the other two 0.001: each is in one bin
    for patch, score in zip(panels[0].patches, (0.813, 0.001), strict=True):
        density, edges, _ = patch.get_data()
        (filled,) = np.flatnonzero(density)
        assert edges[filled] < score < edges[filled + 1]
        assert density[filled] * (edges[filled + 1] - edges[filled]) == pytest.approx(1)


def test_scores_of_many_classes_which_are_counted_in_wide_bins_leave_no_gaps():
    # 20 entries in each of 40 equal bins, where one of 188 classes has 33 bins of another width
    score = (np.arange(800) + 0.5) / 800
    output = np.repeat(((1 - score) / 187)[:, None], 188, axis=1)
    output[:, 0] = score
    names = [f"label_{number}" for number in range(188)]
    many = summarize(names, output.tolist(), [0] * 800)
    own = figures.score_distributions(many, asked=["label_0"]).axes[0].patches[0]
    density, edges, _ = own.get_data()
    assert (edges[0], edges[-1]) == (0, 1)
    # evenly distributed: some entries at the border of a bin fall on its other side
    np.testing.assert_allclose(density, 1, atol=0.1)


def test_scores_of_few_classes_are_in_forty_bins_of_nearly_one_width():
    edges = figures.score_distributions(THREE).axes[0].patches[0].get_data().edges
    np.testing.assert_allclose(edges, np.linspace(0, 1, 41), atol=0.003)


def test_the_classes_that_are_asked_for_have_panels():
    panels = figures.score_calibration({"": THREE}, asked=["c"]).axes
    assert [axes.get_xlabel() for axes in panels] == ["score c"]


def test_a_matrix_of_very_many_classes_has_a_scale_and_each_eighth_name():
    names = [f"label_{number}" for number in range(188)]
    values = np.eye(188)
    figure = figures.draw_matrix(values, names, ("predicted", "true"), (0, 1), "{:.2f}")
    axes, scale = figure.axes
    # 188 names in steps of 8 are 24
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert (len(labels), labels[:2], labels[-1]) == (24, ["label_0", "label_8"], "label_184")
    assert axes.get_xticks()[-1] == 184
    assert not axes.texts
    assert scale.get_ylim() == (0, 1)
