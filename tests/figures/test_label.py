"""The label above figures."""

import matplotlib.image
import pytest
from matplotlib.figure import Figure

from weaver_tt.figures.base import make_axes, save_figure, style
from weaver_tt.figures.label import HEIGHT, add_label, labelled
from weaver_tt.options.figures import LabelOptions

LABEL = LabelOptions(label="IDEA", label_simulation=True, label_text="my", label_energy="240 GeV")


def texts_of(figure):
    (line,) = [axes for axes in figure.axes if axes.get_label() == "label"]
    return [text.get_text() for text in [*line.texts, *line.artists] if text.get_text()]


def drawn():
    with style():
        figure, axes = make_axes("x", "y", (4, 3))
        axes.set_title("a title")
    return figure


def test_experiment_words_and_energy_stand_above_the_panels():
    figure = drawn()
    with labelled(LABEL), style():
        area = add_label(figure)
    assert sorted(texts_of(figure)) == ["240 GeV", "IDEA", "Simulation my"]
    assert area.bounds == pytest.approx((0, 0, 4, 3 + HEIGHT))
    # as wide as what is below
    panel, line = (axes.get_position() for axes in figure.axes)
    assert (line.x0, line.x1) == pytest.approx((panel.x0, panel.x1))
    assert line.y0 == pytest.approx(1)


def test_without_a_label_a_figure_is_left_as_it_is():
    figure = drawn()
    assert add_label(figure) is None
    with labelled(LABEL), labelled():
        assert add_label(figure) is None
    assert len(figure.axes) == 1


def test_a_figure_that_is_written_again_has_one_label(tmp_path):
    figure = drawn()
    for words in ("first", "second"):
        with labelled(LabelOptions(label="IDEA", label_text=words)):
            save_figure(figure, tmp_path / "figure")
    assert sorted(texts_of(figure)) == ["IDEA", "second"]


def test_the_label_has_room_of_its_own_in_the_file(tmp_path):
    heights = []
    for label in (LabelOptions(), LABEL):
        with labelled(label):
            png, _ = save_figure(drawn(), tmp_path / "figure")
        pixels = matplotlib.image.imread(png)[..., :3].min(2)  # (height, width)
        heights.append(len(pixels))
    assert heights[1] - heights[0] == pytest.approx(120 * HEIGHT, abs=1)
    above = pixels[: heights[1] - heights[0]]
    assert (above < 0.5).any()
    # nothing is cut off at its top
    assert (above[0] > 0.9).all()


def test_panels_side_by_side_have_one_label():
    with style():
        figure = Figure(figsize=(8, 3), layout="constrained")
        panels = figure.subplots(1, 2)
    with labelled(LABEL), style():
        add_label(figure)
    line = figure.axes[-1].get_position()
    assert line.x0 == pytest.approx(panels[0].get_position().x0)
    assert line.x1 == pytest.approx(panels[1].get_position().x1)
