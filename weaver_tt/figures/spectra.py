"""Spectra of the reweighting variables before and after, each class, from the rows that an epoch was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mplhep
import numpy as np
from matplotlib.figure import Figure

from weaver_tt.figures.base import COLORS, Array, style

LOG_AXIS_RATIO = (
    20.0  # ratio of the outer edges from which the axis of a positive variable is logarithmic
)
SpectrumSums = Mapping[
    tuple[str, str, str, int], float
]  # (variable, class, before | after | square, bin) -> sum


def reweighting_figure(
    sums: SpectrumSums, variables: Mapping[str, Sequence[float]], classes: Sequence[str]
) -> Figure:
    """A row of panels for each variable, ``before`` beside ``after``: share of the class's rows in each bin (its bins need not be equally wide)."""
    with style():
        figure = Figure(figsize=(11, 4.2 * len(variables)), layout="constrained")
        panels = figure.subplots(len(variables), 2, squeeze=False, sharey="row")
        for row, (variable, edges) in zip(panels, variables.items(), strict=True):
            for axes, what in zip(row, ("before", "after"), strict=True):
                _panel(axes, sums, variable, edges, classes, what)
            row[0].set_ylabel("share of the class in the bin")
        panels[0, 1].legend(frameon=False, loc="upper right", ncols=1 + len(classes) // 6)
    return figure


def spectrum(
    sums: SpectrumSums, variable: str, name: str, what: str, bins: int
) -> tuple[Array, Array]:
    """Share of a class in each bin and its statistical error, (bins,) each; zeros for a class without rows."""
    values = np.array([sums.get((variable, name, what, i), 0.0) for i in range(bins)])
    squares = (
        values
        if what == "before"
        else np.array([sums.get((variable, name, "square", i), 0.0) for i in range(bins)])
    )
    total = values.sum() or 1.0
    return values / total, np.sqrt(squares) / abs(total)


def _panel(
    axes: Any,
    sums: SpectrumSums,
    variable: str,
    edges: Sequence[float],
    classes: Sequence[str],
    what: str,
) -> None:
    for number, name in enumerate(classes):
        share, error = spectrum(sums, variable, name, what, len(edges) - 1)
        line = {
            "color": COLORS[number % len(COLORS)],
            "linewidth": 2,
            "linestyle": "-" if number < len(COLORS) else "--",
        }
        mplhep.histplot(
            share, bins=np.asarray(edges), yerr=error, ax=axes, label=name, edges=False, **line
        )
    axes.set(title=f"{what} reweighting", xlabel=variable, xlim=(edges[0], edges[-1]))
    if any(
        spectrum(sums, variable, name, what, len(edges) - 1)[0].max() > 0 for name in classes
    ):  # nothing cannot be drawn on such an axis
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    if edges[0] > 0 and edges[-1] / edges[0] > LOG_AXIS_RATIO:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
