"""Input variables of a network for each class: values in the files, and after scaling.

There may be hundreds of them. Axes with their ticks take longer to make than to draw, so that one
variable after the other is drawn on the same axes, with few ticks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import AutoMinorLocator, MaxNLocator, NullLocator

from weaver_tt.figures.base import Array, line_color, line_style, per_bin, style

# the sum of weights and of squared weights of each class, below, in and above the bins: (B + 2,)
Histograms = Sequence[tuple[Array, Array]]

# inches; set by hand, as to work out a layout takes as long as all the rest of a figure
PANEL = (4.5, 3.5)
LEFT, RIGHT, BOTTOM, TOP = 0.98, 0.15, 0.85, 0.18

SHARE = "share of the class"
AFTER = "what the network is given"
PEAK = 50.0  # from this ratio of the highest bin to the median on, the axis is logarithmic
MAX_TICKS = 6  # numbers on an axis
MARGIN = 0.05  # of the height, above what is drawn
LINE_WIDTH = 1.6


class InputFigures:
    """Figures of one variable after the other, of the same ``classes``."""

    def __init__(self, classes: Sequence[str]) -> None:
        """``classes``: what the legend calls them, in the order of the histograms."""
        self.classes = classes
        # by the number of panels
        self._figures: dict[int, Figure] = {}

    def draw(
        self,
        label: str,
        edges: Array,
        before: Histograms,
        scaled_edges: Array | None = None,
        after: Histograms | None = None,
    ) -> Figure:
        """The shapes of all classes, each normalised to one, before and perhaps after scaling.

        ``label`` is that of the axis before scaling. A variable that is taken as it is has one
        panel. The part of a class beyond the bins is not drawn, and counts in its norm.

        The figure is to be written before the next variable is drawn, which may be in the same one.
        """
        panels = 1 if after is None else 2
        with style():
            if panels not in self._figures:
                self._figures[panels] = _empty_figure(self.classes, panels)
            figure = self._figures[panels]
            # of whole numbers each one is a bin
            share = SHARE if _are_whole(edges) else per_bin(SHARE, edges, label)
            _draw(figure.axes[0], edges, before)
            figure.axes[0].set(xlabel=label, ylabel=share)
            if after is not None:
                assert scaled_edges is not None
                _draw(figure.axes[1], scaled_edges, after)
                figure.axes[1].set(xlabel=AFTER, ylabel=per_bin(SHARE, scaled_edges, ""))
        return figure


def _empty_figure(classes: Sequence[str], panels: int) -> Figure:
    """Panels of a fixed size beside each other, and the legend to the right of them."""
    figure = Figure()
    for axes in figure.subplots(1, panels, squeeze=False)[0]:
        # marks on two sides are half of the work
        axes.tick_params(which="both", top=False, right=False)
        # the factor of its numbers, such as 1e6, stands above the label
        axes.xaxis.labelpad = 15
    lines = []
    for number, name in enumerate(classes):
        lines.append(Line2D([], [], label=name, linewidth=LINE_WIDTH, **_line(number)))
    legend = figure.legend(handles=lines, frameon=False, loc="upper right", borderaxespad=0)
    width, height = PANEL
    names = legend.get_window_extent().width / figure.dpi
    whole_width = panels * (LEFT + width) + RIGHT + names + RIGHT
    whole_height = BOTTOM + height + TOP
    figure.set_size_inches(whole_width, whole_height)
    top = 1 - TOP / whole_height
    figure.subplots_adjust(
        left=LEFT / whole_width,
        right=1 - (RIGHT + names + RIGHT) / whole_width,
        bottom=BOTTOM / whole_height,
        top=top,
        wspace=LEFT / width,
    )
    legend.set_bbox_to_anchor((1 - RIGHT / whole_width, top), figure.transFigure)
    return figure


def _line(number: int) -> dict[str, Any]:
    """How the line of a class looks."""
    return {"color": line_color(number), "linestyle": line_style(number)}


def _are_whole(edges: Array) -> bool:
    """Whether the bins are those of whole numbers, from -0.5 to 0.5 and so on."""
    return bool(np.allclose(edges % 1, 0.5) and np.allclose(np.diff(edges), 1))


def _draw(axes: Any, edges: Array, histograms: Histograms) -> None:
    """The line of each class, with its statistical errors, in the place of what was there."""
    for collection in list(axes.collections):
        collection.remove()
    shapes = [_shape(sums, squares) for sums, squares in histograms]
    styles = [_line(number) for number in range(len(shapes))]
    colors = [style["color"] for style in styles]
    outlines = [_outline(edges, shares) for shares, _ in shapes]
    # one collection for all of them, whose limits nobody works out: they are set below
    lines = LineCollection(
        outlines,
        colors=colors,
        linestyles=[style["linestyle"] for style in styles],
        linewidths=LINE_WIDTH,
    )
    axes.add_collection(lines, autolim=False)
    middle = (edges[1:] + edges[:-1]) / 2
    bars = [_bars(middle, shares, errors) for shares, errors in shapes]
    axes.add_collection(LineCollection(bars, colors=colors, linewidths=1), autolim=False)
    # an axis that was logarithmic has the ticks of a linear one again
    axes.set(xscale="linear", yscale="linear")
    _set_ticks(axes, edges)
    axes.set_xlim(edges[0], edges[-1])
    _set_height(axes, np.array(shapes))


def _shape(sums: Array, squares: Array) -> tuple[Array, Array]:
    """Shares of a class in the bins, and their errors, (B,) each."""
    # a class without rows, or whose weights cancel, has no shape
    total = abs(sums.sum()) or 1.0
    return sums[1:-1] / total, np.sqrt(squares[1:-1]) / total


def _outline(edges: Array, shares: Array) -> Array:
    """The corners of a histogram, from 0 and to 0: (2 B + 2, 2)."""
    heights = np.concatenate([[0.0], np.repeat(shares, 2), [0.0]])
    return np.stack([np.repeat(edges, 2), heights], axis=1)


def _bars(middle: Array, shares: Array, errors: Array) -> Array:
    """The error bars of a class as one line that is broken between them: (3 B, 2)."""
    gaps = np.full(len(shares), np.nan)
    ends = np.stack([shares - errors, shares + errors, gaps], axis=1)
    # nothing where nothing is
    ends[errors == 0] = np.nan
    return np.stack([np.repeat(middle, 3), ends.ravel()], axis=1)


def _set_ticks(axes: Any, edges: Array) -> None:
    """Few ticks, and of whole numbers those at themselves alone."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(MAX_TICKS, steps=[1, 2, 5, 10]))
        axis.set_minor_locator(AutoMinorLocator(2))
    if _are_whole(edges):
        axes.xaxis.set_major_locator(MaxNLocator(MAX_TICKS, integer=True, min_n_ticks=1))
        axes.xaxis.set_minor_locator(NullLocator())
    widths = np.diff(edges)
    if edges[0] > 0 and widths[-1] > 2 * widths[0]:
        axes.set_xscale("log")


def _set_height(axes: Any, shapes: Array) -> None:
    """From 0, or below all errors of negative weights, to above them; perhaps logarithmic.

    ``shapes`` (classes, 2, B): shares and their errors.
    """
    shares, errors = shapes[:, 0], shapes[:, 1]
    has_negative = shares.min() < 0
    low = (shares - errors).min() if has_negative else 0.0
    high = (shares + errors).max()
    filled = shares[shares > 0]
    # of a narrow peak with long tails nothing else would be seen
    if len(filled) and filled.max() > PEAK * np.median(filled):
        axes.set_yscale("log")
        # an error that reaches to 0 has no end on this axis
        axes.set_ylim(filled.min() / 3, 2 * high)
        return
    room = MARGIN * (high - low) or 1.0
    axes.set_ylim(low - room if has_negative else 0, high + room)
