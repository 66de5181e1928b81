"""Figures of the closure of a ratio, each as PNG and PDF."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weaver_tt.applications.density_ratio.closure import RatioClosure, VariableClosure
from weaver_tt.applications.density_ratio.entries import Floats
from weaver_tt.applications.density_ratio.roles import (
    BEFORE,
    DENOMINATOR,
    ESTIMATES,
    MAP,
    NETWORK,
    NUMERATOR,
)
from weaver_tt.applications.density_ratio.shapes import Shape
from weaver_tt.figures.base import (
    density_label,
    legend_above,
    make_axes,
    per_bin,
    save_figure,
    style,
)
from weaver_tt.figures.names import NO_NAMES, without_unit

COLORS = {BEFORE: "0.6", MAP: "#3f90da", NETWORK: "#bd1f01"}
LEGEND = {
    BEFORE: "not reweighted",
    MAP: "reweighted by the map",
    NETWORK: "reweighted by the network",
}
SAMPLES = (NUMERATOR, DENOMINATOR)
# figures beside those of variables
PAIRS = "pairs"
RATIOS = "ratios"
MOST_DEVIATION = 0.5  # of the axis of ratios
RATIO_BINS = 80
PEAK = 300.0  # the highest density over the lowest from which on their axis is logarithmic
CENTRAL_RATIOS = (0.0005, 0.9995)


def draw_closure(
    closure: RatioClosure,
    folder: Path,
    names: Mapping[str, str] = NO_NAMES,
    samples: tuple[str, str] = SAMPLES,
) -> list[str]:
    """Write a figure of each variable, ``pairs`` where there are any, and ``ratios``.

    ``names``: variable -> readable name. Files of variables are named by ``file_names``.
    ``samples``: what numerator and denominator are called.

    Raises:
        OutputError: a file cannot be written.
    """
    paths: list[str] = []
    files = file_names([variable.name for variable in closure.variables])
    with style():
        for variable in closure.variables:
            label = names.get(variable.name, variable.name)
            figure = variable_figure(variable, label, samples)
            paths += save_figure(figure, folder / files[variable.name])
        if closure.pairs:
            paths += save_figure(pair_figure(closure, names), folder / PAIRS)
        paths += save_figure(ratio_figure(closure.ratios), folder / RATIOS)
    return paths


def file_names(variables: Sequence[str]) -> dict[str, str]:
    """Variable, which may be an expression -> the name of its file, without an ending.

    ``pt - gen`` is ``pt_gen``, and ``pt / gen`` beside it ``pt_gen_2``: no figure replaces another.
    """
    taken = {PAIRS, RATIOS}
    found: dict[str, str] = {}
    for variable in variables:
        stem = re.sub(r"\W+", "_", variable).strip("_")
        name = stem
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name)
        found[variable] = name
    return found


def variable_figure(
    variable: VariableClosure, label: str, samples: tuple[str, str] = SAMPLES
) -> Figure:
    """Densities in one variable, called ``label``, and below their ratio to the numerator.

    ``samples``: what numerator and denominator are called.
    """
    above, below = samples
    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.3])
    edges = variable.edges
    widths = np.diff(edges)
    for name, shape in variable.denominators.items():
        per_ndf = variable.agreements[name].per_ndf
        fit = "" if per_ndf is None else rf", $\chi^2$/ndf = {per_ndf:.2f}"
        look: dict[str, Any] = {"color": COLORS[name], "linewidth": 2, "baseline": None}
        title = f"{below}, {LEGEND[name]}{fit}"
        upper.stairs(shape.shares / widths, edges, label=title, **look)
        lower.stairs(_divide(shape.shares, variable.numerator.shares), edges, **look)
    _draw_numerator(upper, lower, variable.numerator, edges, above)
    upper.set_ylabel(density_label(label))
    _set_height(upper, variable.numerator.shares / widths)
    legend_above(upper)
    deviation = _deviation(variable)
    lower.set(
        xlabel=label,
        ylabel=f"over {above}",
        xlim=(edges[0], edges[-1]),
        ylim=(1 - deviation, 1 + deviation),
    )
    return figure


def _draw_numerator(upper: Axes, lower: Axes, numerator: Shape, edges: Floats, title: str) -> None:
    centers = (edges[1:] + edges[:-1]) / 2
    widths = np.diff(edges)
    look: dict[str, Any] = {"fmt": "o", "color": "black", "markersize": 4, "zorder": 5}
    upper.errorbar(
        centers, numerator.shares / widths, numerator.errors / widths, label=title, **look
    )
    relative = _divide(numerator.errors, numerator.shares)
    lower.errorbar(centers, np.ones(len(centers)), relative, **look)


def _set_height(axes: Axes, densities: Floats) -> None:
    """From 0; logarithmic where some densities are far above others: a value that most have."""
    highest = float(densities.max())
    above_zero = densities[densities > 0]
    if len(above_zero) and highest > PEAK * np.min(above_zero):
        lowest = float(np.min(above_zero)) / 3
        axes.set(yscale="log", ylim=(lowest, 2 * highest))
    else:
        axes.set_ylim(bottom=0)


def _divide(values: Floats, below: Floats) -> Floats:
    return values / np.where(below != 0, below, np.nan)


def _deviation(variable: VariableClosure) -> float:
    """How far the axis of ratios goes from 1."""
    farthest = 0.05
    for shape in variable.denominators.values():
        ratio = _divide(shape.shares, variable.numerator.shares)
        farthest = max(farthest, 1.2 * float(np.nanmax(np.abs(ratio - 1))))
    return min(farthest, MOST_DEVIATION)


def pair_figure(closure: RatioClosure, names: Mapping[str, str] = NO_NAMES) -> Figure:
    """chi2/ndf in each pair of variables: before, with the map, and with the network."""
    variables = [variable.name for variable in closure.variables]
    labels = [without_unit(names.get(name, name)) for name in variables]
    # each pair once: the first variable is in no row, the last one in no column
    number = len(variables) - 1
    side = min(2.4 + 0.9 * number, 5.2)
    figure = Figure(figsize=(3 * (side + 0.4), side), layout="constrained")
    for axes, estimate in zip(figure.subplots(1, 3), ESTIMATES, strict=True):
        values = np.full((number, number), np.nan)
        for (first, second), agreements in closure.pairs.items():
            per_ndf = agreements[estimate].per_ndf
            place = variables.index(second) - 1, variables.index(first)
            values[place] = np.nan if per_ndf is None else per_ndf
            if per_ndf is not None:
                axes.text(place[1], place[0], f"{per_ndf:.3g}", ha="center", va="center")
        # white where a pair agrees, full where chi2/ndf is three or more
        axes.imshow(values, vmin=1, vmax=3, cmap="Reds", alpha=0.7)
        axes.set_xticks(range(number), labels[:-1], rotation=30, ha="right")
        axes.set_yticks(range(number), labels[1:])
        axes.minorticks_off()
        axes.set_title(rf"$\chi^2$/ndf, {LEGEND[estimate]}")
    return figure


def ratio_figure(ratios: Floats) -> Figure:
    """The ratios of the denominator's entries."""
    low, high = np.quantile(ratios, CENTRAL_RATIOS)
    edges = np.linspace(min(low, 1), max(high, 1), RATIO_BINS + 1)
    figure, axes = make_axes("ratio", per_bin("entries of the denominator", edges, ""))
    counts, _ = np.histogram(np.clip(ratios, edges[0], edges[-1]), edges)
    axes.stairs(counts, edges, color=COLORS[NETWORK], linewidth=2, label="outermost: all beyond")
    axes.axvline(1, color="0.5", linewidth=1)
    axes.set_yscale("log")
    legend_above(axes)
    return figure
