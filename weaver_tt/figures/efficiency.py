"""Figures of predicted efficiencies, drawn from a meter's sums."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from weaver_tt.figures.base import COLORS, Array, binned_fractions, make_axes, style


def efficiency_calibration(sums: Array) -> Figure:
    """Observed tag fraction against predicted efficiency; ``sums`` (4, bins) as :func:`binned_fractions` takes them."""
    with style():
        figure, axes = make_axes("predicted efficiency", "observed tag fraction")
        predicted, observed, error = binned_fractions(sums)
        filled = sums[0] != 0
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
        axes.errorbar(predicted[filled], observed[filled], error[filled], fmt="o", markersize=4)
    return figure


def efficiency_vs_pt(edges: Array, sums: Mapping[str, Array]) -> Figure:
    """Observed (points) and predicted (lines) efficiency in bins of pT; ``sums``: flavour -> (4, bins) as :func:`binned_fractions` takes them."""
    with style():
        figure, axes = make_axes("$p_T$", "efficiency")
        centers = np.sqrt(edges[1:] * edges[:-1])
        for color, (flavour, values) in zip(COLORS, sums.items(), strict=False):
            predicted, observed, error = binned_fractions(values)
            filled = values[0] != 0
            axes.errorbar(
                centers[filled],
                observed[filled],
                error[filled],
                fmt="o",
                markersize=4,
                color=color,
                label=f"{flavour}, observed",
            )
            axes.plot(
                centers[filled], predicted[filled], color=color, label=f"{flavour}, predicted"
            )
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        ticks = [
            digit * 10.0**power
            for power in range(-3, 7)
            for digit in (1, 2, 5)
            if low <= digit * 10.0**power <= high
        ]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks(
            [], minor=True
        )  # matplotlib would label all of 2, 3, 4, ... on top of each other
        axes.legend(frameon=False)
    return figure
