"""The closure's figures, after Figs. 6, 7 and 8 of the truth-tagging paper, each as PNG and PDF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from weaver_tt.applications.truth_tagging.closure import REQUIREMENTS, VARIABLES, Closure
from weaver_tt.applications.truth_tagging.distributions import ENTRIES_PER_BIN, PAIRS, Distribution
from weaver_tt.applications.truth_tagging.residuals import EDGES, Residuals
from weaver_tt.figures.base import make_folder, save_figure, style
from weaver_tt.physics.particles import FLAVOURS

COLORS = {
    "direct": "black",
    "true": "#b9ac70",
    "map": "#3f90da",
    "network": "#bd1f01",
}  # told apart by all eyes (Petroff 2021)
LEGEND = {
    "direct": "direct tagging",
    "true": "true efficiency",
    "map": "efficiency map",
    "network": "network",
}
AXIS_LABEL = {"delta_r": r"$\Delta R(j_1, j_2)$", "mass": r"$m(j_1, j_2)$ [GeV]"}
TITLE = {"leading": "leading jet tagged", "both": "both leading jets tagged"}
FLAVOUR_TITLE = {"b": "b jets", "c": "c jets", "light": "light jets"}


def draw_closure(closure: Closure, folder: str) -> list[str]:
    """Write all figures to ``folder`` and return their paths: ``residuals`` (with truth), ``VARIABLE_REQUIREMENT`` and ``…_by_flavour``."""
    make_folder(folder)
    with style():
        return [
            path
            for name, figure in _figures(closure)
            for path in save_figure(figure, Path(folder) / name)
        ]


def _figures(closure: Closure) -> Iterator[tuple[str, Figure]]:
    if closure.has_truth:
        yield "residuals", residual_figure(closure.residuals)
    for variable in VARIABLES:
        for requirement in REQUIREMENTS:
            distribution, name = (
                closure.distributions[variable][requirement],
                f"{variable}_{requirement}",
            )
            title = f"{TITLE[requirement]}, all flavours"
            yield (
                name,
                distribution_figure(
                    distribution, ["all"], AXIS_LABEL[variable], title, closure.reference
                ),
            )
            pairs = [
                pair for pair in PAIRS if distribution.sums[closure.reference].of(pair).square.any()
            ]
            yield (
                f"{name}_by_flavour",
                distribution_figure(
                    distribution, pairs, AXIS_LABEL[variable], TITLE[requirement], closure.reference
                ),
            )


def residual_figure(residuals: dict[str, Residuals]) -> Figure:
    """Relative residuals of each flavour, map and network, with mean and RMS (paper Fig. 6, top)."""
    figure = Figure(figsize=(15, 5))
    figure.subplots_adjust(left=0.05, right=0.985, bottom=0.14, top=0.92, wspace=0.15)
    summaries = {name: one.summary() for name, one in residuals.items()}
    for number, (flavour, axes) in enumerate(
        zip(FLAVOURS, np.atleast_1d(figure.subplots(1, len(FLAVOURS))), strict=True)
    ):
        for name, one in residuals.items():
            if flavour in summaries[name]:
                numbers = summaries[name][flavour]
                label = f"{LEGEND[name]}\nmean {numbers['mean']:+.4f}, RMS {numbers['rms']:.3f}"
                share = one.counts[number] / one.powers[number, 0] / np.diff(EDGES)
                axes.stairs(
                    share,
                    EDGES,
                    color=COLORS[name],
                    label=label,
                    linewidth=2,
                    fill=name == "map",
                    alpha=0.45 if name == "map" else 1,
                )
        reach = max((_reach(one.counts[number]) for one in residuals.values()), default=1.0)
        axes.set(
            xlim=(-reach, reach),
            xlabel=r"$(\varepsilon_\mathrm{true} - \varepsilon) \,/\, \varepsilon_\mathrm{true}$",
        )
        axes.set_title(FLAVOUR_TITLE[flavour])
        axes.set_ylim(0, axes.get_ylim()[1] * 1.35)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left", frameon=False)
    figure.axes[0].set_ylabel("share of jets per unit")
    return figure


def distribution_figure(
    distribution: Distribution, pairs: list[str], label: str, title: str, reference: str
) -> Figure:
    """One panel with a ratio pad for each flavour pair (paper Figs. 6, bottom, 7 and 8)."""
    columns = min(len(pairs), 3)
    rows = -(-len(pairs) // columns)
    width, height = (8, 7.5) if len(pairs) == 1 else (6 * columns, 6 * rows)
    figure = Figure(figsize=(width, height))
    figure.suptitle(title, y=1 - 0.2 / height)
    outer = figure.add_gridspec(
        rows,
        columns,
        left=0.95 / width,
        right=1 - 0.25 / width,
        bottom=0.65 / height,
        top=1 - 0.55 / height,
    )
    outer.update(hspace=0.18, wspace=0.15)
    for number, pair in enumerate(pairs):
        place = outer[number]
        inner = place.subgridspec(2, 1, height_ratios=[3, 1.2], hspace=0.05)
        upper = figure.add_subplot(inner[0])
        lower = figure.add_subplot(inner[1], sharex=upper)
        _panel(upper, distribution, pair, reference)
        _ratio(lower, distribution, pair, reference)
        upper.tick_params(labelbottom=False)
        if place.is_first_col():
            upper.set_ylabel("weighted events")
            lower.set_ylabel(
                f"ratio to {'truth' if reference == 'true' else reference}",
                loc="center",
                fontsize=12,
            )
        lower.set_xlabel(label, labelpad=2)
    return figure


def _panel(axes: Axes, distribution: Distribution, pair: str, reference: str) -> None:
    edges, fits = distribution.edges, distribution.chi_square(pair, reference)
    for name, sums in distribution.sums.items():
        one = sums.of(pair)
        if name == "direct":
            tagged = one.square > 0
            centers, errors = (edges[1:] + edges[:-1]) / 2, np.sqrt(one.square)
            axes.errorbar(
                centers[tagged],
                one.total[tagged],
                errors[tagged],
                fmt="o",
                color=COLORS[name],
                markersize=4,
                label=LEGEND[name],
                zorder=5,
            )
        else:
            ratio = fits[name]["chi2_per_ndf"]
            fit = (
                ""
                if ratio is None
                else rf", $\chi^2$/ndf = {fits[name]['chi2']:.1f}/{fits[name]['ndf']} = {ratio:.2f}"
            )
            filled: dict[str, Any] = (
                {"fill": True, "alpha": 0.45} if name == "true" else {"linewidth": 2}
            )
            axes.stairs(one.total, edges, color=COLORS[name], label=LEGEND[name] + fit, **filled)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1e-9) * 1.45)
    axes.yaxis.set_major_locator(MaxNLocator(6, prune="lower"))
    axes.legend(
        loc="upper right",
        frameon=False,
        title=None if pair == "all" else pair.replace("l", r"$\ell$"),
    )


def _ratio(axes: Axes, distribution: Distribution, pair: str, reference: str) -> None:
    edges = distribution.edges
    base = distribution.sums[reference].of(pair)
    shown = np.where(base.total > 0, base.total, np.nan)
    full = base.entries >= ENTRIES_PER_BIN
    deviation = 0.1 if full.any() else 0.5
    for name, sums in distribution.sums.items():
        one = sums.of(pair)
        if name == "direct":
            centers, errors = (edges[1:] + edges[:-1]) / 2, np.sqrt(one.square) / shown
            axes.errorbar(
                centers,
                one.total / shown,
                errors,
                fmt="o",
                color=COLORS[name],
                markersize=3.5,
                zorder=5,
            )
            deviation = max(deviation, 2 * np.median(errors[full]) if full.any() else 0)
        elif name != reference:
            axes.stairs(one.total / shown, edges, color=COLORS[name], linewidth=2, baseline=None)
            deviation = max(deviation, 1.25 * np.abs(one.total / shown - 1)[full].max(initial=0))
    axes.axhline(1, color=COLORS[reference], linewidth=1.2)
    deviation = min(deviation, 1.0)
    axes.set(ylim=(1 - deviation, 1 + deviation), xlim=(edges[0], edges[-1]))
    axes.yaxis.set_major_locator(MaxNLocator(4, prune="both"))


def _reach(counts: np.ndarray[Any, Any]) -> float:
    """The smallest round number such that 98 % of the entries lie between minus and plus it."""
    inside = np.abs(EDGES[:-1] + EDGES[1:]) / 2
    total = counts.sum()
    return next(
        (
            reach
            for reach in (0.1, 0.2, 0.3, 0.4, 0.5, 0.75)
            if counts[inside < reach].sum() >= 0.98 * total
        ),
        1.0,
    )
