"""Figures become files, or a clear error."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weaver_tt.errors import OutputError
from weaver_tt.figures.base import (
    density_label,
    legend_above,
    line_color,
    make_axes,
    make_folder,
    mark_beyond,
    mean_deviation,
    per_bin,
    save_figure,
    style,
)
from weaver_tt.figures.label import labelled
from weaver_tt.options.figures import LabelOptions


def test_a_figure_is_saved_as_png_and_pdf(tmp_path):
    figure, axes = make_axes("x", "y", size=(1, 1))
    assert axes.get_xlabel() == "x"
    paths = save_figure(figure, tmp_path / "one.two")
    assert [Path(path).read_bytes()[:4] for path in paths] == [b"\x89PNG", b"%PDF"]


@pytest.mark.parametrize("label", ["", "IDEA"])
def test_of_few_colors_a_png_is_smaller_and_looks_alike(tmp_path, label):
    figure, axes = make_axes("x", "y", size=(4, 3))
    for number in range(5):
        axes.plot([0, 1, 2], [number, 0, 1], color=line_color(number))
    images = {}
    for few_colors in (False, True):
        with labelled(LabelOptions(label=label)):
            png, _ = save_figure(figure, tmp_path / str(few_colors), few_colors)
        images[few_colors] = Image.open(png)
    sizes = [(tmp_path / f"{few_colors}.png").stat().st_size for few_colors in (False, True)]
    assert sizes[1] < 0.6 * sizes[0]
    assert images[True].mode == "P"
    all_colors, few = (np.asarray(one.convert("RGB"), int) for one in images.values())
    assert np.abs(all_colors - few).max() < 32
    assert np.abs(all_colors - few).mean() < 2


def test_what_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make the folder"):
        make_folder(tmp_path / "file" / "folder")
    with pytest.raises(OutputError, match="cannot be written"):
        save_figure(make_axes("x", "y", size=(1, 1))[0], tmp_path / "none" / "figure")


def test_what_is_counted_in_bins_is_labelled_with_their_width():
    assert per_bin("jets", np.array([0.0, 5, 10]), "jet $p_T$ [GeV]") == "jets / 5 GeV"
    assert per_bin("jets", np.linspace(0, 1, 41), r"$\eta$") == "jets / 0.025"
    assert per_bin("jets", np.array([0.0, 5, 20]), "mass [GeV]") == "jets / bin"


def test_a_density_has_one_over_the_unit():
    assert density_label("mass [GeV]") == "probability density [1 / GeV]"
    assert density_label("score") == "probability density"


def test_the_mean_deviation_counts_bins_by_their_weight():
    # 3 entries observed at 0.5 where 0.4 is predicted, 1 at 1 where 0.6 is: (3 * 0.1 + 0.4) / 4
    sums = np.array([[3.0, 1], [1.2, 0.6], [1.5, 1], [3, 1]])
    assert mean_deviation(sums) == pytest.approx(0.175)


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("lines", [1, 4])
def test_what_is_drawn_ends_below_a_legend_above_it(scale, lines):
    with style():
        figure, axes = make_axes("x", "y", (4, 3))
        for number in range(lines):
            axes.plot([0, 1], [1 + number, 100], label=f"a line with number {number}")
        axes.set(yscale=scale, ylim=(0.5, 100))
        legend_above(axes)
        figure.draw_without_rendering()
        legend = axes.get_legend().get_window_extent()
    highest = axes.transData.transform((0, 100))[1]
    assert highest < legend.y0
    # and no more room than needed
    assert legend.y0 - highest < 0.15 * axes.get_window_extent().height
    assert axes.get_ylim()[0] == 0.5


def test_points_beyond_the_axis_are_arrows_at_its_ends():
    _, axes = make_axes("x", "y", (4, 3))
    axes.set_ylim(0.5, 1.5)
    x = np.array([1.0, 2.0, 3.0, 4.0])
    mark_beyond(axes, x, np.array([1.0, 7.0, 0.2, np.nan]), "black")
    above, below = axes.lines
    assert (above.get_marker(), above.get_xdata().tolist()) == ("^", [2.0])
    assert (below.get_marker(), below.get_xdata().tolist()) == ("v", [3.0])
    # inside of the panel, whose height is 1
    assert below.get_ydata()[0] < 0.1
    assert axes.get_ylim() == (0.5, 1.5)
