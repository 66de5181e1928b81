"""An input variable of a network for each class: its values in the files, and after scaling.

There may be hundreds of them, so that these figures are made of few and light parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from weaver_tt.figures.base import Array, line_color, line_style, per_bin, style

# histogram and the sum of squared weights of each class, below, in and above the bins: (B + 2,)
Histograms = Mapping[str, tuple[Array, Array]]

# inches; set by hand, as to work out a layout takes as long as all the rest of a figure
PANEL = (4.5, 3.5)
LEFT, RIGHT, BOTTOM, TOP = 0.98, 0.15, 0.85, 0.18

SHARE = "share of the class"
PEAK = 50.0  # from this ratio of the highest bin to the median on, the axis is logarithmic


def input_figure(
    label: str,
    edges: Array,
    before: Histograms,
    scaled_edges: Array | None = None,
    after: Histograms | None = None,
) -> Figure:
    """The shapes of all classes, each normalised to one, before and perhaps after scaling.

    ``label`` is that of the axis before scaling. A variable that is taken as it is has one panel.
    The part of a class beyond the bins is not drawn, and counts in its norm.
    """
    with style():
        panels = 1 if after is None else 2
        figure = Figure()
        axes = figure.subplots(1, panels, squeeze=False)[0]
        _draw(axes[0], edges, before)
        # of whole numbers each one is a bin
        share = SHARE if _are_whole(edges) else per_bin(SHARE, edges, label)
        axes[0].set(xlabel=label, ylabel=share)
        if after is not None:
            assert scaled_edges is not None
            _draw(axes[1], scaled_edges, after)
            axes[1].set(xlabel="what the network is given", ylabel=per_bin(SHARE, scaled_edges, ""))
        legend = figure.legend(
            *axes[0].get_legend_handles_labels(),
            frameon=False,
            loc="upper right",
            borderaxespad=0,
        )
        _lay_out(figure, panels, legend)
    return figure


def _lay_out(figure: Figure, panels: int, legend: Any) -> None:
    """Panels of a fixed size beside each other, and the legend to the right of them."""
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


def _are_whole(edges: Array) -> bool:
    """Whether the bins are those of whole numbers, from -0.5 to 0.5 and so on."""
    return bool(np.allclose(edges % 1, 0.5) and np.allclose(np.diff(edges), 1))


def _draw(axes: Any, edges: Array, histograms: Histograms) -> None:
    """The line of each class, with its statistical errors."""
    filled: list[float] = []
    middle = (edges[1:] + edges[:-1]) / 2
    for number, (name, (sums, squares)) in enumerate(histograms.items()):
        # a class without rows, or whose weights cancel, has no shape
        total = abs(sums.sum()) or 1.0
        shares = sums[1:-1] / total
        filled += shares[shares > 0].tolist()
        errors = np.sqrt(squares[1:-1]) / total
        color = line_color(number)
        axes.stairs(
            shares, edges, label=name, color=color, linestyle=line_style(number), linewidth=1.6
        )
        # one broken line for all errors
        ends = np.stack([shares - errors, shares + errors, np.full(len(shares), np.nan)], axis=1)
        axes.plot(np.repeat(middle, 3), ends.ravel(), color=color, linewidth=1)
    axes.set_xlim(edges[0], edges[-1])
    # marks on two sides are half of the work
    axes.tick_params(which="both", top=False, right=False)
    # the factor of its numbers, such as 1e6, stands above the label
    axes.xaxis.labelpad = 15
    if _are_whole(edges):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.xaxis.set_minor_locator(NullLocator())
    widths = np.diff(edges)
    if edges[0] > 0 and widths[-1] > 2 * widths[0]:
        axes.set_xscale("log")
    # of a narrow peak with long tails nothing else would be seen
    if filled and max(filled) > PEAK * np.median(filled):
        axes.set_yscale("log")
        # an error that reaches to 0 has no end on this axis
        axes.set_ylim(bottom=min(filled) / 3)
    else:
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
