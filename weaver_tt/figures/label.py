"""The label above figures: experiment, "Simulation", free text and energy.

A command sets it once for all that it draws, as matplotlib's style is set, and it is drawn where a
figure is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from weaver_tt.options.figures import LabelOptions

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

HEIGHT = 0.42  # inches
NAME = "label"  # of the axes that it is written on

NO_LABEL = LabelOptions()
_labels = [NO_LABEL]  # the last one counts


@contextmanager
def labelled(label: LabelOptions = NO_LABEL) -> Iterator[None]:
    """Figures that are written inside have this label."""
    _labels.append(label)
    try:
        yield
    finally:
        _labels.pop()


def add_label(figure: Figure) -> Bbox | None:
    """Add the label on top of a figure; returns what is to be written then, in inches.

    None where there is no label: the figure as it is. Its layout is settled afterwards.
    """
    label = _labels[-1]
    if not label.is_given:
        return None
    # a figure may be written again
    for axes in figure.axes:
        if axes.get_label() == NAME:
            axes.remove()
    # these take half a second to import: only where something is drawn
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.transforms import Bbox
    from mplhep.label import exp_label

    # mplhep before 1.1 asks the canvas how large texts are, which that of a bare figure cannot say
    FigureCanvasAgg(figure)
    # where the panels are
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    boxes = [axes.get_position() for axes in figure.axes]
    left = min(box.x0 for box in boxes)
    right = max(box.x1 for box in boxes)
    # labels stand above axes: these are a line on the upper edge of the figure, so that neither
    # titles nor legends are in the way
    line = figure.add_axes((left, 1, right - left, 0.001), label=NAME)
    line.axis("off")
    exp_label(exp=label.label, llabel=label.left, rlabel=label.right, loc=0, ax=line)
    width, height = figure.get_size_inches()
    return Bbox([[0, 0], [width, height + HEIGHT]])
