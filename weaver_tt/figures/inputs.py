"""An input variable of a network for each class: its values in the files, and after scaling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mplhep
import numpy as np
from matplotlib.figure import Figure

from weaver_tt.figures.base import Array, line_color, line_style, style

# histogram and the sum of squared weights of each class, below, in and above the bins: (B + 2,)
Histograms = Mapping[str, tuple[Array, Array]]

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
        # room for the names of the classes
        figure = Figure(figsize=(5.6 * panels + 1.6, 4.4), layout="constrained")
        axes = figure.subplots(1, panels, squeeze=False)[0]
        _draw(axes[0], edges, before)
        axes[0].set_xlabel(label)
        axes[0].set_ylabel("share of the class / bin")
        if after is not None:
            assert scaled_edges is not None
            _draw(axes[1], scaled_edges, after)
            axes[1].set_xlabel("what the network is given")
        figure.legend(
            *axes[0].get_legend_handles_labels(), frameon=False, loc="outside right upper"
        )
    return figure


def _draw(axes: Any, edges: Array, histograms: Histograms) -> None:
    """The line of each class, with its statistical errors."""
    filled: list[float] = []
    for number, (name, (sums, squares)) in enumerate(histograms.items()):
        # a class without rows, or whose weights cancel, has no shape
        total = abs(sums.sum()) or 1.0
        shares = sums[1:-1] / total
        filled += shares[shares > 0].tolist()
        mplhep.histplot(
            shares,
            bins=edges,
            yerr=np.sqrt(squares[1:-1]) / total,
            ax=axes,
            label=name,
            edges=False,
            color=line_color(number),
            linestyle=line_style(number),
            linewidth=1.6,
        )
    axes.set_xlim(edges[0], edges[-1])
    widths = np.diff(edges)
    if edges[0] > 0 and widths[-1] > 2 * widths[0]:
        axes.set_xscale("log")
    # of a narrow peak with long tails nothing else would be seen
    if filled and max(filled) > PEAK * np.median(filled):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
