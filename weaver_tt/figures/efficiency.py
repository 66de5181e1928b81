"""Figures of predicted efficiencies, drawn from a meter's sums."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from weaver_tt.figures.base import COLORS, Array, binned_fractions, make_axes, mean_deviation, style
from weaver_tt.metrics.base import label_endings
from weaver_tt.metrics.efficiency import PT_EDGES, EfficiencyMeter
from weaver_tt.physics.particles import FLAVOURS

ALL_OBJECTS = "all"  # where no flavour is known


def efficiency_figures(meter: EfficiencyMeter, totals: Tensor) -> dict[str, Figure]:
    """All figures of one network, by name, from the sums of its meter over all ranks.

    ``calibration`` and, where the pT of the objects is known, ``efficiency_vs_pt``; with several
    labels each name ends in its label.
    """
    blocks = meter.blocks(totals)
    drawn = {}
    for k, end in enumerate(label_endings(meter.names)):
        calibration = blocks["calibration"][:, k]  # (4, bins)
        drawn[f"calibration{end}"] = efficiency_calibration(calibration.numpy())
        in_pt = blocks["pt"][:, k]  # (4, flavours, bins)
        if in_pt[0].any():
            by_flavour = _filled_flavours(in_pt)
            drawn[f"efficiency_vs_pt{end}"] = efficiency_vs_pt(PT_EDGES.numpy(), by_flavour)
    return drawn


def _filled_flavours(sums: Tensor) -> dict[str, Array]:
    """Flavour -> (4, bins) of ``sums`` (4, flavours, bins), without flavours that never occur."""
    found = {}
    for flavour, values in zip(FLAVOURS, sums.unbind(1), strict=True):
        if values[0].any():
            found[flavour] = values.numpy()
    if list(found) == [FLAVOURS[-1]]:
        # objects of unknown flavour are counted there, too
        return {ALL_OBJECTS: found[FLAVOURS[-1]]}
    return found


def efficiency_calibration(sums: Array) -> Figure:
    """Observed tag fraction against predicted efficiency.

    ``sums`` (4, bins) as :func:`weaver_tt.figures.base.binned_fractions` takes them.
    """
    with style():
        figure, axes = make_axes("predicted efficiency", "observed tag fraction")
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1, zorder=1)
        filled = sums[:, sums[0] != 0]
        predicted, observed, error = binned_fractions(filled)
        label = f"mean deviation {mean_deviation(filled):.3g}"
        axes.errorbar(predicted, observed, error, fmt="o", markersize=4, label=label)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.legend(frameon=False)
    return figure


def efficiency_vs_pt(edges: Array, sums: Mapping[str, Array]) -> Figure:
    """Observed (points) and predicted (lines) efficiency in bins of pT, in GeV.

    ``sums``: flavour -> (4, bins) as :func:`weaver_tt.figures.base.binned_fractions` takes them.
    """
    # the middle of a bin on a logarithmic axis
    centers = np.sqrt(edges[1:] * edges[:-1])
    with style():
        figure, axes = make_axes("$p_T$ [GeV]", "efficiency")
        for color, (flavour, values) in zip(COLORS, sums.items(), strict=False):
            filled = values[0] != 0
            x = centers[filled]
            predicted, observed, error = binned_fractions(values[:, filled])
            axes.errorbar(
                x,
                observed,
                error,
                fmt="o",
                markersize=4,
                color=color,
                label=f"{flavour}, observed",
                zorder=5,
            )
            axes.plot(x, predicted, color=color, label=f"{flavour}, predicted")
        # no efficiency lies beyond, though an error may
        lowest, highest = axes.get_ylim()
        axes.set_ylim(max(lowest, 0), min(highest, 1))
        axes.set_xscale("log")
        ticks = _ticks_between(*axes.get_xlim())
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        # matplotlib would label all of 2, 3, 4, ... on top of each other
        axes.set_xticks([], minor=True)
        # points may be anywhere; a column for each flavour: lines would come before all points
        handles, titles = axes.get_legend_handles_labels()
        order = sorted(range(len(titles)), key=lambda place: place % len(sums))
        figure.legend(
            [handles[place] for place in order],
            [titles[place] for place in order],
            frameon=False,
            loc="outside lower center",
            ncols=max(1, len(sums)),
        )
    return figure


def _ticks_between(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between ``low`` and ``high``."""
    ticks = []
    for power in range(-3, 7):
        for digit in (1, 2, 5):
            tick = digit * 10.0**power
            if low <= tick <= high:
                ticks.append(tick)
    return ticks
