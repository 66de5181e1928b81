"""The loss at learning rates that rise from step to step."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from weaver_tt.figures.base import Array, legend_above, line_color, make_axes, style


def sweep_figure(rates: Array, losses: Array, smooth: Array, suggested: float | None) -> Figure:
    """Loss against rate, its average, and the suggestion.

    ``rates`` and ``losses`` (S,); ``smooth``, the average, without the first steps, in which it
    settles.
    """
    with style():
        figure, axes = make_axes("learning rate", "loss")
        axes.set_xscale("log")
        axes.plot(rates, losses, color="0.8", label="each step")
        axes.plot(rates[len(rates) - len(smooth) :], smooth, color=line_color(0), label="average")
        if suggested is not None:
            label = f"steepest descent: {suggested:.2g}"
            axes.axvline(suggested, color=line_color(2), linestyle="--", label=label)
        shown = smooth[np.isfinite(smooth)]
        if len(shown):
            # without the divergence at the end, beside which all else would be flat
            highest = min(shown.max(), shown[0] + 0.2 * abs(shown[0]))
            margin = 0.1 * (highest - shown.min()) + 1e-12
            axes.set_ylim(shown.min() - margin, highest + margin)
        legend_above(axes)
    return figure
