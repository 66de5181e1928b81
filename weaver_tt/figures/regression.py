"""Figures of a regression, drawn from a meter's sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from weaver_tt.figures.base import Array, density_label, make_axes, style
from weaver_tt.figures.names import NO_NAMES, without_unit
from weaver_tt.metrics.regression import (
    CoverageMeter,
    PullMeter,
    RegressionMeter,
    bin_edges,
    histogram_quantiles,
)

SHOWN = (0.005, 0.995)  # quantiles between which a distribution is drawn
DRAWN_BINS = 60
PROFILE_POINTS = 30
PULLS_SHOWN = 5.0


def regression_figures(
    meter: RegressionMeter, totals: Tensor, names: Mapping[str, str] = NO_NAMES
) -> dict[str, Figure]:
    """All figures of the targets of a meter, by name, from its sums over all ranks.

    ``prediction_vs_target``, ``residuals`` and, where it has a sense, ``response``; their names end
    as those of the metrics do. On axes, targets are called what ``names`` has for them.
    """
    blocks = meter.blocks(totals.cpu())
    drawn = {}
    for k, (target, end) in enumerate(zip(meter.names, meter.endings, strict=True)):
        name = names.get(target, target)
        residuals = blocks["residuals"][k].numpy()
        if not residuals.sum() > 0:
            continue
        drawn[f"prediction_vs_target{end}"] = prediction_vs_target(
            name, blocks["profiles"][k].numpy()
        )
        drawn[f"residuals{end}"] = distribution(f"predicted - true {name}", residuals)
        response = meter.response_quantiles(totals, k)
        if response is not None:
            label = f"predicted / true {without_unit(name)}"
            if meter.is_logarithm(k):
                label = f"response, exp(predicted - true {without_unit(name)})"
            counts = blocks["responses"][k].numpy()
            drawn[f"response{end}"] = response_distribution(label, counts, response)
    return drawn


def prediction_vs_target(name: str, profile: Array) -> Figure:
    """Mean and spread (bars) of the prediction in bins of the true value of equal weight.

    ``profile`` (4, BINS): w, w * true, w * predicted and w * predicted^2 in bins of the truth.
    """
    weight, true, predicted, squares = merge_neighbours(profile, PROFILE_POINTS)
    mean = predicted / weight
    spread = np.sqrt(np.clip(squares / weight - mean**2, 0, None))
    with style():
        figure, axes = make_axes(f"true {name}", f"predicted {name}")
        axes.errorbar(true / weight, mean, spread, fmt="o", markersize=4)
        axes.axline((float(mean[0]), float(mean[0])), slope=1, color="grey", linewidth=1)
    return figure


def merge_neighbours(sums: Array, number: int) -> Array:
    """Sums (Q, bins) in up to ``number`` groups of neighbours, of about the same first sum.

    Groups whose first sum is not above 0 are left out: (Q, groups).
    """
    shares = np.cumsum(np.clip(sums[0], 0, None))
    group = np.minimum(shares / shares[-1] * number, number - 1).astype(int)  # (bins,)
    merged = np.zeros((len(sums), number))
    for own, total in zip(sums, merged, strict=True):
        np.add.at(total, group, own)
    return merged[:, merged[0] > 0]


def distribution(label: str, counts: Array) -> Figure:
    """A histogram of BINS bins as a density, with its median and central 68 %."""
    low, median, high = histogram_quantiles(counts, [0.16, 0.5, 0.84])
    first, last = histogram_quantiles(counts, SHOWN)
    with style():
        figure, axes = make_axes(label, density_label(label))
        _draw_density(axes, *_rebinned(bin_edges(), counts, first, last))
        _mark(axes, low, median, high)
    return figure


def response_distribution(
    label: str, counts: Array, quantiles: tuple[float, float, float]
) -> Figure:
    """The distribution of a response, from a histogram of its logarithm."""
    first, last = np.exp(histogram_quantiles(counts, SHOWN).clip(-20, 20))
    with style():
        figure, axes = make_axes(label, density_label(label))
        edges = np.exp(bin_edges().clip(-20, 20))
        _draw_density(axes, *_rebinned(edges, counts, first, last))
        _mark(axes, *quantiles)
    return figure


def _rebinned(edges: Array, counts: Array, first: float, last: float) -> tuple[Array, Array]:
    """Edges of equal bins from ``first`` to ``last``, and the density in each of them."""
    if not last > first:
        # all entries lie in one bin
        first, last = first - 0.5, first + 0.5
    drawn = np.linspace(first, last, DRAWN_BINS + 1)
    below = np.concatenate([[0.0], counts.cumsum()]) / counts.sum()
    return drawn, np.diff(np.interp(drawn, edges, below)) / np.diff(drawn)


def _draw_density(axes: Any, edges: Array, density: Array) -> None:
    axes.stairs(density, edges, fill=True, alpha=0.5)


def _mark(axes: Any, low: float, median: float, high: float) -> None:
    """Lines at the median and at both ends of the central 68 %, and their numbers."""
    half = (high - low) / 2
    axes.axvline(median, color="black", linewidth=1)
    for end in (low, high):
        axes.axvline(end, color="grey", linewidth=1, linestyle="--")
    axes.set_title(f"median {median:.4g}, half of the central 68 %: {half:.3g}")


def pull_figure(meter: PullMeter, totals: Tensor, names: Mapping[str, str] = NO_NAMES) -> Figure:
    """The distribution of pulls beside a normal one of mean 0 and width 1."""
    name = without_unit(names.get(meter.name, meter.name))
    values = meter.values(totals.cpu())
    counts = meter.blocks(totals.cpu())["pulls"][0].numpy()
    with style():
        label = f"pull, (predicted - true {name}) / width"
        figure, axes = make_axes(label, density_label(label))
        edges, density = _rebinned(bin_edges(), counts, -PULLS_SHOWN, PULLS_SHOWN)
        _draw_density(axes, edges, density)
        shown = np.linspace(-PULLS_SHOWN, PULLS_SHOWN, 201)
        normal = np.exp(-(shown**2) / 2) / np.sqrt(2 * np.pi)
        axes.plot(shown, normal, color="black", linewidth=1, label="normal, width 1")
        axes.legend()
        mean, width = (values[f"pull_{kind}{meter.end}"] for kind in ("mean", "width"))
        axes.set_title(f"mean {mean:.3g}, width {width:.3g}")
    return figure


def coverage_figure(
    meter: CoverageMeter, totals: Tensor, names: Mapping[str, str] = NO_NAMES
) -> Figure:
    """The share of true values below each quantile, against the quantile."""
    name = without_unit(names.get(meter.name, meter.name))
    values = meter.values(totals.cpu())
    observed = [values[f"coverage@{quantile:g}{meter.end}"] for quantile in meter.quantiles]
    with style():
        figure, axes = make_axes("quantile", f"share of true {name} below it")
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1, zorder=1)
        axes.plot(meter.quantiles, observed, "o", markersize=5)
        axes.set(xlim=(0, 1), ylim=(0, 1))
    return figure
