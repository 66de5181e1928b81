"""Figures of a calibration, each as PNG and PDF: spectra after the fit, pulls, scale factors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from weaver_tt.applications.calibration.fit import is_statistical
from weaver_tt.applications.calibration.measurement import Measurement
from weaver_tt.applications.calibration.scale_factors import ScaleFactor
from weaver_tt.applications.calibration.spectra import REGIONS
from weaver_tt.applications.calibration.toys import Toys, summarise_pulls
from weaver_tt.expressions.row_values import Floats
from weaver_tt.figures.base import (
    legend_above,
    line_color,
    make_axes,
    mark_beyond,
    per_bin,
    style,
)
from weaver_tt.pages.pictures import Picture, write_picture, write_pictures

MARKERS = "osD^v<>"


def draw_calibration(
    measurements: Sequence[Measurement],
    edges: Floats,
    variable: str,
    toys: Sequence[Toys],
    folder: Path,
) -> list[Picture]:
    """Write all figures to ``folder`` as PNG and PDF; ``toys`` of each bin, or none.

    Raises:
        OutputError: one of them cannot be written.
    """
    with style():
        pictures = [
            write_picture(
                "scale_factors",
                "Scale factors with statistical errors (thick) and all errors (thin)",
                scale_factors_figure(measurements),
                folder,
            )
        ]
        for measurement in measurements:
            pictures += write_pictures(_figures(measurement, edges, variable), folder)
        for measurement, drawn in zip(measurements, toys, strict=False):
            if not drawn.pulls:
                # fits of nearly all toys are bad, which is said
                continue
            name, label = measurement.name, measurement.label
            caption = f"{label}: pulls of {drawn.number} toys, and a normal distribution"
            pictures.append(write_picture(f"toys_{name}", caption, toys_figure(drawn), folder))
    return pictures


def _figures(
    measurement: Measurement, edges: Floats, variable: str
) -> Iterator[tuple[str, str, Figure]]:
    """Name, caption and figure, of one kinematic bin."""
    name, label = measurement.name, measurement.label
    for place, region in enumerate(REGIONS):
        caption = (
            f"{label}, {region}: data and templates after the fit; below, data over their sum, "
            "with its error as a band"
        )
        figure = postfit_figure(measurement, place, edges, variable)
        yield f"postfit_{region}_{name}", caption, figure
    caption = (
        f"{label}: nuisance parameters after the fit, in standard deviations from where they were "
        "expected"
    )
    yield f"pulls_{name}", caption, pulls_figure(measurement)


def postfit_figure(measurement: Measurement, place: int, edges: Floats, variable: str) -> Figure:
    """The templates of a region on top of each other, data, and the ratio to their sum."""
    figure = Figure(figsize=(6.4, 6.2), layout="constrained")
    axes, ratio = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    fit = measurement.fit
    data = measurement.data[place]
    yields = fit.yields[:, place]  # (S, B)
    total = yields.sum(0)
    below = np.zeros_like(total)
    # the smallest at the bottom
    for number in np.argsort(yields.sum(1)):
        above = below + yields[number]
        axes.stairs(
            above,
            edges,
            baseline=below,
            fill=True,
            color=line_color(int(number)),
            label=fit.samples[number],
        )
        below = above
    middle = (edges[1:] + edges[:-1]) / 2
    error = np.sqrt(data)
    axes.errorbar(middle, data, error, fmt="o", color="black", markersize=4, label="data")
    axes.set_ylim(0, 1.02 * max(float((data + error).max()), float(total.max())))
    axes.set_ylabel(per_bin("jets", edges, variable))
    goodness = fit.goodness
    axes.set_title(
        f"{measurement.label}, {REGIONS[place]}; goodness of fit "
        f"{goodness.statistic:.1f}/{goodness.ndf}, p = {goodness.p_value:.2g}",
        fontsize=12,
    )
    legend_above(axes, ncols=2)
    filled = total > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(filled, fit.errors[place] / total, 0)
        points = np.where(filled, data / total, np.nan)
        errors = np.where(filled, error / total, np.nan)
    ratio.stairs(1 + relative, edges, baseline=1 - relative, fill=True, color="0.8")
    ratio.axhline(1, color="0.4", linewidth=1)
    ratio.errorbar(middle, points, errors, fmt="o", color="black", markersize=4)
    # bins of a few jets may lie beyond
    well_known = errors < 0.5
    reach = 0.1
    if well_known.any():
        reach = max(reach, 1.1 * float((abs(points - 1) + errors)[well_known].max()))
    ratio.set_ylim(1 - min(reach, 1.0), 1 + min(reach, 1.0))
    mark_beyond(ratio, middle, points, "black")
    ratio.set_ylabel("data / fit")
    ratio.set_xlabel(variable)
    ratio.set_xlim(edges[0], edges[-1])
    return figure


def pulls_figure(measurement: Measurement) -> Figure:
    """Nuisance parameters by name; below them the statistical ones of the simulation, by bin."""
    pulls = measurement.fit.pulls
    named = {name: pull for name, pull in pulls.items() if not is_statistical(name)}
    statistical = [pull for name, pull in pulls.items() if is_statistical(name)]
    height = 2.4 + 0.35 * len(named)
    figure = Figure(figsize=(6.4, height + 1.2), layout="constrained")
    axes, below = figure.subplots(2, 1, height_ratios=[max(len(named), 1), 4])
    _band(axes, horizontal=True)
    for row, (value, error) in enumerate(named.values()):
        axes.errorbar(value, row, xerr=error, fmt="o", color="black", markersize=5)
    axes.set_yticks(range(len(named)), list(named))
    # without scale, resolution or others there is no row
    axes.set_ylim(max(len(named), 1) - 0.5, -0.5)
    reach = max([3.0, *(abs(value) + error for value, error in named.values())])
    axes.set_xlim(-1.1 * reach, 1.1 * reach)
    axes.set_xlabel("pull")
    _band(below, horizontal=False)
    points = np.array(statistical).reshape(-1, 2)
    below.errorbar(
        np.arange(len(points)), points[:, 0], points[:, 1], fmt="o", color="black", markersize=3
    )
    below.set_xlim(-1, len(points))
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    below.xaxis.set_minor_locator(NullLocator())
    below.set_xlabel("bin (statistical errors of the simulation)")
    below.set_ylabel("pull")
    return figure


def _band(axes: Any, horizontal: bool) -> None:
    """One and two standard deviations."""
    for deviations, color in ((2, "0.93"), (1, "0.85")):
        if horizontal:
            axes.axvspan(-deviations, deviations, color=color, zorder=0)
        else:
            axes.axhspan(-deviations, deviations, color=color, zorder=0)


def scale_factors_figure(measurements: Sequence[Measurement]) -> Figure:
    """The scale factors of each category, bin by bin."""
    figure, axes = make_axes("", "scale factor", (max(6.4, 2 + 1.6 * len(measurements)), 4.8))
    axes.axhline(1, color="0.5", linewidth=1)
    categories = [one.category for one in measurements[0].scale_factors.factors]
    for number, category in enumerate(categories):
        place = np.arange(len(measurements)) + 0.16 * (number - (len(categories) - 1) / 2)
        found = [one.scale_factors.factors[number] for one in measurements]
        values = [one.value for one in found]
        color = line_color(number)
        axes.errorbar(
            place, values, [one.total for one in found], fmt="none", ecolor=color, linewidth=1
        )
        axes.errorbar(
            place,
            values,
            [one.statistical for one in found],
            fmt=MARKERS[number % len(MARKERS)],
            color=color,
            elinewidth=3,
            label=category,
        )
    _name_bins(axes, [one.label for one in measurements])
    axes.set_xlim(-0.6, len(measurements) - 0.4)
    legend_above(axes, ncols=min(len(categories), 4), loc="upper center")
    return figure


def _name_bins(axes: Any, labels: Sequence[str]) -> None:
    """Names of kinematic bins along the x axis, with nothing between them."""
    axes.set_xticks(range(len(labels)), labels)
    axes.xaxis.set_minor_locator(NullLocator())


def toys_figure(toys: Toys) -> Figure:
    """A histogram of the pulls of each parameter."""
    columns = min(len(toys.pulls), 3)
    rows = -(-len(toys.pulls) // max(columns, 1))
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    edges = np.linspace(-4, 4, 21)
    x = np.linspace(-4, 4, 200)
    for axes, (name, pulls) in zip(panels, toys.pulls.items(), strict=False):
        axes.hist(np.clip(pulls, -3.99, 3.99), edges, color=line_color(0), alpha=0.6)
        normal = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
        axes.plot(x, len(pulls) * (edges[1] - edges[0]) * normal, color="black")
        found = summarise_pulls(pulls)
        axes.set_title(
            rf"{name}: {found.mean:+.2f} $\pm$ {found.mean_error:.2f}, "
            rf"width {found.width:.2f} $\pm$ {found.width_error:.2f}",
            fontsize=11,
        )
        axes.set_xlabel("pull")
    panels[0].set_ylabel(per_bin("toys", edges, ""))
    for axes in panels[len(toys.pulls) :]:
        axes.set_visible(False)
    return figure


def draw_mistag_rates(
    factors: Sequence[ScaleFactor], labels: Sequence[str], folder: Path
) -> Picture:
    """Write ``mistag_rate`` to ``folder`` as PNG and PDF.

    Raises:
        OutputError: it cannot be written.
    """
    with style():
        caption = "Mistag rate in data and simulation; below, the scale factor"
        return write_picture("mistag_rate", caption, mistag_figure(factors, labels), folder)


def mistag_figure(factors: Sequence[ScaleFactor], labels: Sequence[str]) -> Figure:
    """Efficiencies of one category in data and simulation, bin by bin, and their ratio."""
    figure = Figure(figsize=(max(6.4, 2 + 1.6 * len(factors)), 5.6), layout="constrained")
    axes, ratio = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    place = np.arange(len(factors))
    data = ("data", [one.data for one in factors], [one.data_error for one in factors])
    simulated = ("simulation", [one.mc for one in factors], [one.mc_error for one in factors])
    for number, (name, values, errors) in enumerate((data, simulated)):
        shifted = place + 0.1 * (number - 0.5)
        axes.errorbar(
            shifted, values, errors, fmt=MARKERS[number], color=line_color(number), label=name
        )
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"mistag rate of {factors[0].category}")
    legend_above(axes)
    ratio.axhline(1, color="0.5", linewidth=1)
    ratio.errorbar(
        place,
        [one.value for one in factors],
        [one.total for one in factors],
        fmt="o",
        color="black",
    )
    ratio.set_ylabel("scale factor")
    _name_bins(ratio, labels)
    ratio.set_xlim(-0.6, len(factors) - 0.4)
    return figure
