"""Performance against resilience: what is drawn where."""

import math

import pytest

from weaver_tt.figures.resilience import TOP, ResiliencePoint, resilience_figure
from weaver_tt.metrics.resilience import Resilience, ValueWithError


def point(label, performance, resilience, error=0.5):
    return ResiliencePoint(
        label=label,
        performance=ValueWithError(performance, 0.1),
        resilience=Resilience(resilience, error, 20.0),
    )


def test_points_of_a_line_are_joined_in_their_order_and_named():
    lines = {
        "five": [point("none", 6.0, 2.0), point("1", 4.0, 8.0, error=1000.0)],
        "three": [point("none", 5.0, 3.0)],
    }
    figure = resilience_figure({"30 %": lines, "50 %": lines})
    assert len(figure.axes) == 2
    for axes in figure.axes:
        assert axes.lines[0].get_xydata().tolist() == [[6.0, 2.0], [4.0, 8.0]]
        assert [text.get_text() for text in axes.texts] == ["none", "1", "none"]
        # a large error does not hide the points
        assert axes.get_ylim() == pytest.approx((1.0, 16.0))
        assert "performance" in axes.get_xlabel()
    assert "resilience" in figure.axes[0].get_ylabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["five", "three"]


def test_an_unlimited_resilience_is_an_arrow_and_an_unknown_one_is_left_out():
    lines = {
        "five": [point("same", 6.0, math.inf, math.nan), point("unknown", math.nan, math.nan)],
    }
    (axes,) = resilience_figure({"50 %": lines}).axes
    empty, arrow = (line.get_xydata().tolist() for line in axes.lines)
    assert empty == []
    assert arrow == [[6.0, TOP]]
    assert axes.lines[1].get_marker() == "^"
    assert [text.get_text() for text in axes.texts] == ["same"]
    assert axes.get_ylim() == pytest.approx((0.5, 2.0))
