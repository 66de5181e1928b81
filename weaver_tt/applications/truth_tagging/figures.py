"""The closure's figures, each as PNG and PDF.

Source: after Figs. 6, 7 and 8 of arXiv:2004.02665.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import MaxNLocator

from weaver_tt.applications.truth_tagging.closure import REQUIREMENTS, VARIABLES, Closure
from weaver_tt.applications.truth_tagging.distributions import (
    ENTRIES_PER_BIN,
    PAIRS,
    Distribution,
    EstimateSums,
)
from weaver_tt.applications.truth_tagging.jets import Floats
from weaver_tt.applications.truth_tagging.residuals import EDGES, Residuals
from weaver_tt.figures.base import (
    density_label,
    legend_above,
    make_folder,
    mark_beyond,
    per_bin,
    save_figure,
    style,
)
from weaver_tt.physics.particles import FLAVOURS

# colors that color-blind readers can tell apart (Petroff 2021)
COLORS = {
    "direct": "black",
    "true": "#b9ac70",
    "map": "#3f90da",
    "network": "#bd1f01",
}
LEGEND = {
    "direct": "direct tagging",
    "true": "true efficiency",
    "map": "efficiency map",
    "network": "network",
}
AXIS_LABEL = {"delta_r": r"$\Delta R(j_1, j_2)$", "mass": r"$m(j_1, j_2)$ [GeV]"}
RESIDUAL_LABEL = r"$(\varepsilon_\mathrm{true} - \varepsilon) \,/\, \varepsilon_\mathrm{true}$"
TITLE = {"leading": "leading jet tagged", "both": "both leading jets tagged"}
FLAVOUR_TITLE = {"b": "b jets", "c": "c jets", "light": "light jets"}

MOST_COLUMNS = 3  # of panels
REACHES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.75)  # ends of the axis of residuals, else 1
SHARE_WITHIN_REACH = 0.98


def draw_closure(closure: Closure, folder: str) -> list[str]:
    """Write all figures to ``folder`` and return their paths.

    ``residuals`` (with truth), ``VARIABLE_REQUIREMENT`` and ``…_by_flavour``.
    """
    make_folder(folder)
    paths: list[str] = []
    with style():
        for name, figure in _figures(closure):
            paths += save_figure(figure, Path(folder) / name)
    return paths


def _figures(closure: Closure) -> Iterator[tuple[str, Figure]]:
    reference = closure.reference
    if closure.has_truth:
        yield "residuals", residual_figure(closure.residuals)
    for variable in VARIABLES:
        for requirement in REQUIREMENTS:
            name = f"{variable}_{requirement}"
            label = AXIS_LABEL[variable]
            title = TITLE[requirement]
            distribution = closure.distributions[variable][requirement]
            all_flavours = f"{title}, all flavours"
            yield name, distribution_figure(distribution, ["all"], label, all_flavours, reference)
            expected = distribution.sums[reference]
            pairs = [pair for pair in PAIRS if expected.of(pair).square.any()]
            by_flavour = distribution_figure(distribution, pairs, label, title, reference)
            yield f"{name}_by_flavour", by_flavour


def residual_figure(residuals: dict[str, Residuals]) -> Figure:
    """Relative residuals of each flavour, map and network, with mean and RMS.

    Source: arXiv:2004.02665, Fig. 6, top.
    """
    figure = Figure(figsize=(15, 5))
    figure.subplots_adjust(left=0.05, right=0.985, bottom=0.14, top=0.92, wspace=0.15)
    for number, axes in enumerate(figure.subplots(1, len(FLAVOURS))):
        _residual_panel(axes, residuals, number)
    figure.axes[0].set_ylabel(density_label(""))
    return figure


def _residual_panel(axes: Axes, residuals: dict[str, Residuals], number: int) -> None:
    """The residuals of one flavour, a histogram for each estimate."""
    flavour = FLAVOURS[number]
    reach = 0.0
    for name, of_estimate in residuals.items():
        counts = of_estimate.counts[number]
        reach = max(reach, _reach(counts))
        summary = of_estimate.summary().get(flavour)
        if summary is None:
            # no jets of this flavour
            continue
        mean = f"{summary['mean']:+.4f}"
        rms = f"{summary['rms']:.3f}"
        density = counts / of_estimate.powers[number, 0] / np.diff(EDGES)
        # the map is drawn filled, so that the network's line is seen in front of it
        is_filled = name == "map"
        axes.stairs(
            density,
            EDGES,
            color=COLORS[name],
            label=f"{LEGEND[name]}\nmean {mean}, RMS {rms}",
            linewidth=2,
            fill=is_filled,
            alpha=0.45 if is_filled else 1,
        )
    reach = reach or 1.0
    axes.set(xlim=(-reach, reach), xlabel=RESIDUAL_LABEL)
    axes.set_title(FLAVOUR_TITLE[flavour])
    axes.set_ylim(bottom=0)
    if axes.get_legend_handles_labels()[0]:
        legend_above(axes, loc="upper left")


def distribution_figure(
    distribution: Distribution, pairs: list[str], label: str, title: str, reference: str
) -> Figure:
    """One panel with a ratio pad for each flavour pair.

    Source: arXiv:2004.02665, Figs. 6 (bottom), 7 and 8.
    """
    columns = min(len(pairs), MOST_COLUMNS)
    rows = -(-len(pairs) // columns)
    width, height = (8, 7.5) if len(pairs) == 1 else (6 * columns, 6 * rows)
    figure = Figure(figsize=(width, height))
    figure.suptitle(title, y=1 - 0.2 / height)
    grid = _panel_grid(figure, rows, columns)
    for number, pair in enumerate(pairs):
        place = grid[number]
        pads = place.subgridspec(2, 1, height_ratios=[3, 1.2], hspace=0.05)
        upper = figure.add_subplot(pads[0])
        lower = figure.add_subplot(pads[1], sharex=upper)
        _draw_spectra(upper, distribution, pair, reference)
        _draw_ratios(lower, distribution, pair, reference)
        upper.tick_params(labelbottom=False)
        if place.is_first_col():
            upper.set_ylabel(per_bin("weighted events", distribution.edges, label))
            below = "truth" if reference == "true" else reference
            lower.set_ylabel(f"ratio to {below}", loc="center", fontsize=12)
        lower.set_xlabel(label, labelpad=2)
    return figure


def _panel_grid(figure: Figure, rows: int, columns: int) -> GridSpec:
    """Places of panels, with margins that are the same in inches for every size."""
    width, height = figure.get_size_inches()
    grid = figure.add_gridspec(
        rows,
        columns,
        left=0.95 / width,
        right=1 - 0.25 / width,
        bottom=0.65 / height,
        top=1 - 0.55 / height,
    )
    grid.update(hspace=0.18, wspace=0.15)
    return grid


def _draw_spectra(axes: Axes, distribution: Distribution, pair: str, reference: str) -> None:
    """Direct tagging as points, the estimates as histograms with their chi2."""
    edges = distribution.edges
    fits = distribution.chi_square(pair, reference)
    for name, sums in distribution.sums.items():
        of_pair = sums.of(pair)
        if name == "direct":
            _draw_points(axes, edges, of_pair)
            continue
        look: dict[str, Any] = {"linewidth": 2}
        if name == "true":
            look = {"fill": True, "alpha": 0.45}
        label = LEGEND[name] + _fit_text(fits[name])
        axes.stairs(of_pair.total, edges, color=COLORS[name], label=label, **look)
    # at least something where all is 0
    axes.set_ylim(0, max(axes.get_ylim()[1], 1e-9))
    axes.yaxis.set_major_locator(MaxNLocator(6, prune="lower"))
    heading = None if pair == "all" else pair.replace("l", r"$\ell$")
    legend_above(axes, title=heading)


def _draw_points(axes: Axes, edges: Floats, tagged: EstimateSums) -> None:
    """Tagged weight of the bins that have any, with its statistical error."""
    has_tags = tagged.square > 0
    errors = np.sqrt(tagged.square)
    axes.errorbar(
        _centers(edges)[has_tags],
        tagged.total[has_tags],
        errors[has_tags],
        fmt="o",
        color=COLORS["direct"],
        markersize=4,
        label=LEGEND["direct"],
        zorder=5,
    )


def _fit_text(fit: dict[str, Any]) -> str:
    """The legend's end: chi2 and degrees of freedom; nothing where there are none."""
    per_ndf = fit["chi2_per_ndf"]
    if per_ndf is None:
        return ""
    return rf", $\chi^2$/ndf = {fit['chi2']:.1f}/{fit['ndf']} = {per_ndf:.2f}"


def _draw_ratios(axes: Axes, distribution: Distribution, pair: str, reference: str) -> None:
    """Everything over the reference; the axis is as long as filled bins need it."""
    edges = distribution.edges
    base = distribution.sums[reference].of(pair)
    # bins in which the reference expects nothing have no ratio
    below = np.where(base.total > 0, base.total, np.nan)
    filled = base.entries >= ENTRIES_PER_BIN
    deviation = 0.1 if filled.any() else 0.5
    for name, sums in distribution.sums.items():
        of_pair = sums.of(pair)
        ratio = of_pair.total / below
        if name == "direct":
            errors = np.sqrt(of_pair.square) / below
            axes.errorbar(
                _centers(edges),
                ratio,
                errors,
                fmt="o",
                color=COLORS[name],
                markersize=3.5,
                zorder=5,
            )
            if filled.any():
                deviation = max(deviation, 2 * np.median(errors[filled]))
        elif name != reference:
            axes.stairs(ratio, edges, color=COLORS[name], linewidth=2, baseline=None)
            farthest = np.abs(ratio - 1)[filled].max(initial=0)
            deviation = max(deviation, 1.25 * farthest)
    axes.axhline(1, color=COLORS[reference], linewidth=1.2)
    deviation = min(deviation, 1.0)
    axes.set(ylim=(1 - deviation, 1 + deviation), xlim=(edges[0], edges[-1]))
    direct = distribution.sums["direct"].of(pair)
    # without tags there is no point
    has_tags = direct.square > 0
    mark_beyond(axes, _centers(edges)[has_tags], (direct.total / below)[has_tags], COLORS["direct"])
    axes.yaxis.set_major_locator(MaxNLocator(4, prune="both"))


def _centers(edges: Floats) -> Floats:
    return (edges[1:] + edges[:-1]) / 2


def _reach(counts: Floats) -> float:
    """The smallest round number such that 98 % of the entries lie between minus and plus it."""
    distance = np.abs(_centers(EDGES))
    total = counts.sum()
    for reach in REACHES:
        if counts[distance < reach].sum() >= SHARE_WITHIN_REACH * total:
            return reach
    return 1.0
