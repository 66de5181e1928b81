"""Spectra of the reweighting variables before and after, for each class, from an epoch's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mplhep
import numpy as np
from matplotlib.figure import Figure

from weaver_tt.figures.base import Array, line_color, line_style, style

# from this ratio of the outer edges on, the axis of a positive variable is logarithmic
LOG_AXIS_RATIO = 20.0
# (variable, class, before | after | square, bin) -> sum
SpectrumSums = Mapping[tuple[str, str, str, int], float]


def reweighting_figure(
    sums: SpectrumSums, variables: Mapping[str, Sequence[float]], classes: Sequence[str]
) -> Figure:
    """A row of panels for each variable, ``before`` beside ``after``.

    The share of the rows of a class in each bin; bins need not be equally wide.
    """
    with style():
        figure = Figure(figsize=(11, 4.2 * len(variables)), layout="constrained")
        panels = figure.subplots(len(variables), 2, squeeze=False, sharey="row")
        for row, (variable, edges) in zip(panels, variables.items(), strict=True):
            for axes, what in zip(row, ("before", "after"), strict=True):
                _panel(axes, sums, variable, edges, classes, what)
            row[0].set_ylabel("share of the class in the bin")
        columns = 1 + len(classes) // 6
        panels[0, 1].legend(frameon=False, loc="upper right", ncols=columns)
    return figure


def spectrum(
    sums: SpectrumSums, variable: str, name: str, what: str, bins: int
) -> tuple[Array, Array]:
    """Share of class ``name`` in each bin and its statistical error, (bins,) each.

    Zeros for a class without rows.
    """
    values = _values_in_bins(sums, variable, name, what, bins)
    # before reweighting all weights are 1: sum w^2 = sum w
    squares = values
    if what != "before":
        squares = _values_in_bins(sums, variable, name, "square", bins)
    total = values.sum() or 1.0
    return values / total, np.sqrt(squares) / abs(total)


def _values_in_bins(sums: SpectrumSums, variable: str, name: str, what: str, bins: int) -> Array:
    values = [sums.get((variable, name, what, number), 0.0) for number in range(bins)]
    return np.array(values)


def _panel(
    axes: Any,
    sums: SpectrumSums,
    variable: str,
    edges: Sequence[float],
    classes: Sequence[str],
    what: str,
) -> None:
    bins = len(edges) - 1
    is_filled = False
    for number, name in enumerate(classes):
        share, error = spectrum(sums, variable, name, what, bins)
        is_filled = is_filled or share.max() > 0
        mplhep.histplot(
            share,
            bins=np.asarray(edges),
            yerr=error,
            ax=axes,
            label=name,
            edges=False,
            color=line_color(number),
            linewidth=2,
            linestyle=line_style(number),
        )
    axes.set(title=f"{what} reweighting", xlabel=variable, xlim=(edges[0], edges[-1]))
    # zeros alone cannot be drawn on a logarithmic axis
    if is_filled:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    if edges[0] > 0 and edges[-1] / edges[0] > LOG_AXIS_RATIO:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
