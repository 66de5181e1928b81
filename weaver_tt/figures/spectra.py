"""Spectra of the reweighting variables before and after, for each class, from an epoch's rows.

Where they are to follow a density, that is drawn too, and the ratio to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mplhep
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, NullFormatter

from weaver_tt.figures.base import Array, legend_above, line_color, line_style, style
from weaver_tt.figures.names import NO_NAMES

# from this ratio of the outer edges on, the axis of a positive variable is logarithmic
LOG_AXIS_RATIO = 20.0
TARGET_LINE: dict[str, Any] = {"color": "0.35", "linewidth": 1.2, "linestyle": "--"}
# (variable, class, before | after | square, bin) -> sum
SpectrumSums = Mapping[tuple[str, str, str, int], float]


def reweighting_figure(
    sums: SpectrumSums,
    variables: Mapping[str, Sequence[float]],
    classes: Sequence[str],
    targets: Mapping[str, Array] | None = None,
    names: Mapping[str, str] = NO_NAMES,
) -> Figure:
    """A row of panels for each variable, ``before`` beside ``after``.

    The share of the rows of a class in each bin; bins need not be equally wide. ``targets``:
    variable -> share (bins,) that every class is to have in each bin; then there is a third panel,
    ``after`` divided by it. Variables and classes are called what ``names`` has for them.
    """
    columns = 2 if targets is None else 3
    with style():
        size = (11 if targets is None else 16.5, 4.2 * len(variables))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(variables), columns, squeeze=False)
        for row, (variable, edges) in zip(panels, variables.items(), strict=True):
            target = None if targets is None else targets[variable]
            row[1].sharey(row[0])
            for axes, what in zip(row, ("before", "after"), strict=False):
                _panel(axes, sums, variable, edges, classes, what)
                _label_axes(axes, names.get(variable, variable), edges, f"{what} reweighting")
                if target is not None:
                    _target_line(axes, edges, target)
            row[0].set_ylabel("share of the class in the bin")
            row[1].tick_params(labelleft=False)
            if target is not None:
                _closure_panel(row[2], sums, variable, edges, classes, target)
                title = "after reweighting / target"
                _label_axes(row[2], names.get(variable, variable), edges, title)
        handles, labels = panels[0, 1].get_legend_handles_labels()
        if targets is not None:
            # it is an outline, which would come first
            handles = [*handles[1:], handles[0]]
            labels = [*labels[1:], labels[0]]
        legend_above(
            panels[0, 1],
            handles=handles,
            labels=[names.get(label, label) for label in labels],
            ncols=1 + len(labels) // 6,
        )
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


def closure(sums: SpectrumSums, variable: str, name: str, target: Array) -> tuple[Array, Array]:
    """The spectrum ``after`` divided by ``target`` (bins,), which is positive, and its error."""
    share, error = spectrum(sums, variable, name, "after", len(target))
    return share / target, error / target


def _closure_panel(
    axes: Any,
    sums: SpectrumSums,
    variable: str,
    edges: Sequence[float],
    classes: Sequence[str],
    target: Array,
) -> None:
    for number, name in enumerate(classes):
        ratio, error = closure(sums, variable, name, target)
        _histogram(axes, ratio, error, edges, name, number)
    axes.axhline(1, **TARGET_LINE)


def _target_line(axes: Any, edges: Sequence[float], target: Array) -> None:
    axes.stairs(target, edges, label="target", **TARGET_LINE)


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
        _histogram(axes, share, error, edges, name, number)
    # zeros alone cannot be drawn on a logarithmic axis
    if is_filled:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        # of less than a decade, plain numbers too
        axes.yaxis.set_minor_formatter(LogFormatter())


def _histogram(
    axes: Any, values: Array, error: Array, edges: Sequence[float], name: str, number: int
) -> None:
    """The line of a class, which is the ``number``-th."""
    mplhep.histplot(
        values,
        bins=np.asarray(edges),
        yerr=error,
        ax=axes,
        label=name,
        edges=False,
        color=line_color(number),
        linewidth=2,
        linestyle=line_style(number),
    )


def _label_axes(axes: Any, label: str, edges: Sequence[float], title: str) -> None:
    axes.set(title=title, xlabel=label, xlim=(edges[0], edges[-1]))
    if edges[0] > 0 and edges[-1] / edges[0] > LOG_AXIS_RATIO:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        # of less than two decades the ticks between would be labelled too, over each other
        axes.xaxis.set_minor_formatter(NullFormatter())
