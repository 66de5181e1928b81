"""Figures of classifiers, drawn from their summaries; several models are laid over each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from weaver_tt.figures.base import (
    Array,
    binned_fractions,
    density_label,
    legend_above,
    line_color,
    line_style,
    make_axes,
    mean_deviation,
    style,
)
from weaver_tt.figures.names import NO_NAMES
from weaver_tt.metrics.classifier_summary import ClassifierSummary, rejection_limit
from weaver_tt.metrics.many_classes import choice_in_words
from weaver_tt.metrics.resilience import ValueWithError
from weaver_tt.metrics.roc import Roc
from weaver_tt.options.figures import MAX_CLASSES

# efficiencies of the signal at which curves are drawn
EFFICIENCIES = torch.linspace(0.01, 1, 100, dtype=torch.float64)
SCORE_BINS = 40  # at most
MAX_NAMES = 24  # names along the axis of a matrix
MARKERS = "osD^v<>"
# what lies over what: bands below lines, and both below points
BANDS, POINTS = 1, 5
LEGEND_LINE = 0.3  # height of a line of a legend below the axes, in inches
TINY = 1e-300  # instead of 0 where a density is normalized
Points = tuple[Array, Array]  # values and errors


def classifier_figures(
    summary: ClassifierSummary, names: Mapping[str, str] = NO_NAMES
) -> dict[str, Figure]:
    """All figures of one model, by name; classes are called what ``names`` has for them.

    ``roc``, ``scores``, ``calibration``, ``confusion`` and, with more than two classes,
    ``auc_one_vs_one``.
    """
    drawn = {
        "roc": roc_of_classes(summary, names),
        "scores": score_distributions(summary, names),
        "calibration": score_calibration({"": summary}, names),
        "confusion": confusion_figure(summary, names),
    }
    if len(summary.names) > 2:
        drawn["auc_one_vs_one"] = area_matrix(summary, names)
    return drawn


def class_titles(summary: ClassifierSummary, names: Mapping[str, str]) -> list[str]:
    """What the classes of a summary are called."""
    return [names.get(name, name) for name in summary.names]


@dataclass(frozen=True, kw_only=True)
class RejectionCurve:
    """Rejections at ``EFFICIENCIES`` and their errors, (E,) each.

    Where no background passes they are NaN, and there are lower ``limits`` (95 %), NaN elsewhere.
    """

    values: Array
    errors: Array
    limits: Array


def rejection_curve(roc: Roc, *index: int) -> RejectionCurve:
    """The curve ``index`` among ``roc``'s."""
    values, errors = roc.rejection(EFFICIENCIES)  # (..., E) each
    value = values[index].numpy()
    limit = float(rejection_limit(roc)[index])
    return RejectionCurve(
        values=np.where(np.isfinite(value), value, np.nan),
        errors=errors[index].numpy(),
        limits=np.where(np.isinf(value), limit, np.nan),
    )


def roc_of_classes(summary: ClassifierSummary, names: Mapping[str, str] = NO_NAMES) -> Figure:
    """Rejection against efficiency; with more than two classes each against the rest.

    Of many classes those that :func:`~weaver_tt.metrics.many_classes.shown_classes` finds.
    """
    curves = {}
    titles = class_titles(summary, names)
    drawn = summary.shown_classes()
    if len(titles) == 2:
        curves[" against ".join(titles)] = rejection_curve(summary.against_rest, 0)
    else:
        for name in drawn:
            k = summary.names.index(name)
            curves[f"{titles[k]} against the rest"] = rejection_curve(summary.against_rest, k)
    figure = draw_rejections(curves)
    _say_choice(figure, drawn, summary)
    return figure


@dataclass(frozen=True, kw_only=True)
class CutPoint:
    """A selection at one cut, drawn in the colour of the curve of that number."""

    label: str
    curve: int
    efficiency: float
    rejection: float
    error: float


def draw_rejections(
    curves: Mapping[str, RejectionCurve], ratio: str | None = None, points: Sequence[CutPoint] = ()
) -> Figure:
    """Rejections at ``EFFICIENCIES`` with bands of one standard deviation.

    Where not one background entry passes, a dotted line is the lower limit of the rejection.

    ``ratio``: the curve that a lower panel divides the others by; ``points`` stand beside curves.
    """
    x = EFFICIENCIES.numpy()
    with style():
        figure, panels = _panels_above(ratio is not None)
        upper = panels[0]
        for number, (name, curve) in enumerate(curves.items()):
            color = line_color(number)
            upper.plot(x, curve.values, line_style(number), color=color, label=name)
            upper.plot(x, curve.limits, ":", color=color)
            # the axis is logarithmic, and no rejection is below 1
            lowest = np.clip(curve.values - curve.errors, 1, None)
            _draw_band(upper, x, lowest, curve.values + curve.errors, color)
        if any(np.isfinite(curve.limits).any() for curve in curves.values()):
            upper.plot([], [], ":", color="0.4", label="lower limit (95 %)")
        for number, point in enumerate(points):
            upper.errorbar(
                point.efficiency,
                point.rejection,
                point.error,
                fmt=MARKERS[number % len(MARKERS)],
                markersize=6,
                color=line_color(point.curve),
                markeredgecolor="black",
                label=point.label,
                zorder=POINTS,
            )
        upper.set(yscale="log", ylabel="background rejection", xlim=(0, 1))
        # the curve of very few entries may be flat
        upper.set_ylim(1, max(10, upper.get_ylim()[1]))
        upper.legend(frameon=False, ncols=1 if len(curves) < 8 else 2)
        if ratio is not None:
            _draw_ratios(panels[1], curves, ratio)
        panels[-1].set_xlabel("signal efficiency")
    return figure


def _draw_ratios(axes: Any, curves: Mapping[str, RejectionCurve], reference: str) -> None:
    """Each curve divided by that of ``reference``; the errors are those of the curve alone."""
    x = EFFICIENCIES.numpy()
    base = curves[reference].values
    ratios = []
    for number, curve in enumerate(curves.values()):
        color = line_color(number)
        ratio = curve.values / base
        error = curve.errors / base
        axes.plot(x, ratio, line_style(number), color=color)
        _draw_band(axes, x, ratio - error, ratio + error, color)
        ratios.append(ratio)
    axes.set(ylim=_around_one(ratios), ylabel=f"ratio to {reference}")
    axes.yaxis.label.set_size(11)


def _draw_band(axes: Any, x: Array, low: Array, high: Array, color: str) -> None:
    axes.fill_between(x, low, high, color=color, alpha=0.25, linewidth=0, zorder=BANDS)


def _panels_above(two: bool) -> tuple[Figure, list[Any]]:
    """One panel, or a large one above a small one that shares its x axis."""
    height = 6.4 if two else 5.2
    figure = Figure(figsize=(6.4, height), layout="constrained")
    if not two:
        return figure, [figure.subplots()]
    panels = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.3])
    return figure, list(panels)


def _around_one(ratios: Sequence[Array]) -> tuple[float, float]:
    """Limits of the axis of a ratio: of most of what is drawn, not of a few wild points."""
    together = np.concatenate(ratios)
    finite = together[np.isfinite(together)]
    if len(finite):
        deviation = float(np.quantile(np.abs(finite - 1), 0.9))
        reach = max(1.5 * deviation, 0.05)
    else:
        reach = 0.5
    return max(0.0, 1 - reach), 1 + reach


def score_distributions(
    summary: ClassifierSummary, names: Mapping[str, str] = NO_NAMES, asked: Sequence[str] = ()
) -> Figure:
    """Distributions of the score of each class (of two, the first), normalized to one.

    A panel for each score, with a line for the entries of each true class; of many classes, one for
    its own class and one for all others. ``asked``: the classes that get a panel.
    """
    titles = class_titles(summary, names)
    drawn = summary.shown_classes(asked)
    columns = _columns_with_panels(summary, drawn)
    edges, index = _score_bins(summary)
    widths = np.diff(edges)
    with style():
        figure, panels = _grid(len(columns))
        for axes, column in zip(panels, columns, strict=True):
            weights = summary.scores[0, :, column]  # (K, B)
            sums = torch.zeros(len(titles), len(widths), dtype=torch.float64)
            sums.index_add_(1, index, weights)
            lines = dict(zip(titles, sums.numpy(), strict=True))
            if len(titles) > MAX_CLASSES:
                own = sums[column]
                lines = {"its class": own.numpy(), "the others": (sums.sum(0) - own).numpy()}
            for number, (name, values) in enumerate(lines.items()):
                density = values / widths / max(values.sum(), TINY)
                axes.stairs(density, edges, color=line_color(number), label=name, linewidth=1.8)
            axes.set_yscale("log")
            axes.set(xlabel=f"score {titles[column]}", xlim=(0, 1))
        panels[0].set_ylabel("probability density")
        panels[0].legend(frameon=False, ncols=1 if len(lines) < 6 else 2)
        _say_choice(figure, drawn, summary)
    return figure


def _score_bins(summary: ClassifierSummary) -> tuple[Array, torch.Tensor]:
    """Edges (E + 1,) of bins of a score, and in which of them each bin of the histograms is, (B,).

    About ``SCORE_BINS`` equal ones. They end where bins of the histograms do, which are wide where
    classes are many: a bin that holds no whole one would be a gap.
    """
    borders = summary.borders.sigmoid()  # (B + 1,)
    equal = torch.linspace(0, 1, SCORE_BINS + 1, dtype=borders.dtype)
    nearest = (borders[:, None] - equal).abs().argmin(0).unique()  # (E + 1,)
    # the border of a very large score is 1 as well, as it is rounded
    nearest[-1] = len(borders) - 1
    every = torch.arange(len(borders) - 1)
    return borders[nearest].numpy(), torch.searchsorted(nearest[1:], every, right=True)


def score_calibration(
    models: Mapping[str, ClassifierSummary],
    names: Mapping[str, str] = NO_NAMES,
    asked: Sequence[str] = (),
) -> Figure:
    """Share of the entries of each class (of two, the first) against its score, by model.

    With the mean deviation of both from each other, in each panel. ``asked``: the classes that get
    a panel.
    """
    first = next(iter(models.values()))
    titles = class_titles(first, names)
    drawn = first.shown_classes(asked)
    columns = _columns_with_panels(first, drawn)
    with style():
        figure, panels = _grid(len(columns))
        for axes, column in zip(panels, columns, strict=True):
            axes.plot([0, 1], [0, 1], color="grey", linewidth=1, zorder=BANDS)
            for number, (name, summary) in enumerate(models.items()):
                sums = summary.reliability(column).numpy()  # (4, bins)
                filled = sums[:, sums[0] > 0]
                predicted, observed, error = binned_fractions(filled)
                deviation = f"{mean_deviation(filled):.3g}"
                axes.errorbar(
                    predicted,
                    observed,
                    error,
                    fmt="o-",
                    markersize=4,
                    linewidth=1,
                    color=line_color(number),
                    label=f"{name}: {deviation}" if name else deviation,
                    zorder=POINTS,
                )
            axes.set(xlabel=f"score {titles[column]}", xlim=(0, 1), ylim=(0, 1.02))
            axes.set_yticks(np.linspace(0, 1, 6))
            legend_above(
                axes,
                loc="upper left",
                title="mean deviation",
                alignment="left",
                handlelength=1,
                ncols=_legend_columns(len(models)),
            )
        panels[0].set_ylabel("observed fraction")
        _say_choice(figure, drawn, first)
    return figure


def _columns_with_panels(summary: ClassifierSummary, drawn: Sequence[str]) -> list[int]:
    """Scores that get a panel: of two classes, the second score follows from the first."""
    columns = [summary.names.index(name) for name in drawn]
    return columns[:1] if len(summary.names) == 2 else columns


def _say_choice(figure: Figure, drawn: Sequence[str], summary: ClassifierSummary) -> None:
    """Say above a figure that not each class is drawn."""
    words = choice_in_words(drawn, summary.names)
    if words:
        figure.suptitle(words, fontsize=12)


def _grid(panels: int) -> tuple[Figure, list[Any]]:
    """A figure with so many panels, four in a row."""
    columns = min(panels, 4)
    rows = -(-panels // columns)
    size = (6.4, 5.2) if panels == 1 else (4.2 * columns, 3.8 * rows)
    figure = Figure(figsize=size, layout="constrained")
    every = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in every[panels:]:
        unused.remove()
    return figure, every[:panels]


def confusion_figure(summary: ClassifierSummary, names: Mapping[str, str] = NO_NAMES) -> Figure:
    """Share of each true class (rows) that is predicted as each class (columns)."""
    weights = summary.confusion.numpy()  # (K, K)
    of_class = weights.sum(1, keepdims=True)
    # the row of a class without entries stays 0
    of_class = np.where(of_class == 0, 1, of_class)
    axes_labels = ("predicted", "true")
    titles = class_titles(summary, names)
    return draw_matrix(weights / of_class, titles, axes_labels, (0, 1), "{:.2f}")


def area_matrix(summary: ClassifierSummary, names: Mapping[str, str] = NO_NAMES) -> Figure:
    """Area under the curve of each class (rows) against each other class (columns)."""
    areas = summary.against_each.area.numpy().copy()
    # a class against itself means nothing
    np.fill_diagonal(areas, np.nan)
    titles = class_titles(summary, names)
    return draw_matrix(areas, titles, ("background", "signal"), (0.5, 1), "{:.3f}")


def draw_matrix(
    values: Array,
    names: Sequence[str],
    labels: tuple[str, str],
    limits: tuple[float, float],
    text: str,
) -> Figure:
    """A colored (K, K) matrix; NaN is left out.

    With its numbers, as ``text`` formats them, where they are legible, and a scale of colors where
    they are not. Of many names each n-th stands at the axes, ``MAX_NAMES`` or fewer.
    """
    size = float(np.clip(0.75 * len(names) + 2, 5.2, 12))
    with style():
        figure, axes = make_axes(*labels, size=(size + 1, size))
        image = axes.imshow(values, vmin=limits[0], vmax=limits[1], cmap="Blues")
        step = -(-len(names) // MAX_NAMES)
        places = range(0, len(names), step)
        turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(places, names[::step], **turned)
        axes.set_yticks(places, names[::step])
        # a name that stands for its neighbours too needs a mark where it belongs
        axes.tick_params(length=0 if step == 1 else 4)
        axes.minorticks_off()
        if len(names) <= MAX_CLASSES:
            _write_numbers(axes, values, sum(limits) / 2, text)
        else:
            figure.colorbar(image, shrink=0.8)
    return figure


def _write_numbers(axes: Any, values: Array, middle: float, text: str) -> None:
    """Write the finite values into the cells, in white where the cell is dark: above ``middle``."""
    for (row, column), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        color = "white" if value > middle else "black"
        number = text.format(value)
        axes.text(column, row, number, ha="center", va="center", color=color, size=11)


def _legend_columns(models: int) -> int:
    """Two where a legend would be as high as half of the panel."""
    return 1 if models < 4 else 2


def _places(edges: Array, number: int, models: int) -> Array:
    """Where in each bin the points of the ``number``-th of so many models stand, (bins,).

    In the middle half of the bin, side by side, so that they do not hide each other.
    """
    middle = (edges[1:] + edges[:-1]) / 2
    return middle + np.diff(edges) / 2 * ((number + 0.5) / models - 0.5)


def points_in_bins(
    edges: Array,
    points: Mapping[str, Points],
    labels: tuple[str, str],
    largest: float = math.inf,
) -> Figure:
    """Points (bins,) with errors in bins between ``edges``, by model, side by side.

    ``largest``: what no value is above; beside the legend there are no ticks then.
    """
    with style():
        figure, axes = make_axes(*labels)
        for number, (name, (value, error)) in enumerate(points.items()):
            color = line_color(number)
            x = _places(edges, number, len(points))
            axes.errorbar(
                x, value, error, fmt="o", markersize=5, color=color, label=name, zorder=POINTS
            )
            axes.hlines(
                value, edges[:-1], edges[1:], color=color, linewidth=1, alpha=0.6, zorder=BANDS
            )
        axes.set_xlim(edges[0], edges[-1])
        # areas and rejections are never negative
        axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))
        legend_above(axes, loc="upper left", ncols=2)
        if math.isfinite(largest):
            low, high = axes.get_ylim()
            for is_minor in (False, True):
                ticks = axes.get_yticks(minor=is_minor)
                kept = ticks[(ticks >= low) & (ticks <= min(high, largest))]
                axes.set_yticks(kept, minor=is_minor)
    return figure


def rejection_of_sizes(points: Mapping[str, tuple[int, int, float, float]], label: str) -> Figure:
    """Rejections against numbers of parameters, with lines of one ratio of both.

    By model its number, which chooses the colour, its parameters, rejection and error.
    """
    sizes = np.array([size for _, size, _, _ in points.values()], dtype=float)
    values = np.array([value for _, _, value, _ in points.values()])
    with style():
        figure, axes = make_axes("trainable parameters", label)
        for name, (number, size, value, error) in points.items():
            color = line_color(number)
            axes.errorbar(size, value, error, fmt="o", markersize=6, color=color, label=name)
        axes.set(xscale="log", yscale="log")
        axes.set_xlim(sizes.min() / 3, sizes.max() * 3)
        axes.set_ylim(values.min() / 3, values.max() * 3)
        # white below it: lines are everywhere
        white = {"frameon": True, "framealpha": 1, "edgecolor": "none"}
        legend_above(axes, loc="upper left", ncols=_legend_columns(len(points)), **white)
        _draw_ratio_lines(axes)
    return figure


def _draw_ratio_lines(axes: Any) -> None:
    """Lines on which y / x, the ant factor, is the same, a power of ten, with its value."""
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    first = math.floor(math.log10(bottom / right))
    last = math.ceil(math.log10(top / left))
    for exponent in range(first, last + 1):
        ant = 10.0**exponent
        look = {"color": "0.75", "linewidth": 0.8, "zorder": BANDS}
        axes.plot([left, right], [ant * left, ant * right], "--", **look)
        # a little behind where the line comes in at the left or the lower border
        place = 1.2 * max(left, bottom / ant)
        if place < right / 1.5 and ant * place < top / 1.2:
            axes.text(
                place,
                ant * place,
                f"ant = {ant:g}",
                va="center",
                fontsize=9,
                color="0.5",
                zorder=BANDS,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOffPoint:
    """A selection by one tagger; ``label``, perhaps empty, stands beside it."""

    label: str
    rejection: ValueWithError  # of the background
    excess: ValueWithError  # of the divergence, in bits


def trade_off_figure(lines: Mapping[str, Sequence[TradeOffPoint]], selection: str) -> Figure:
    """The excess of the divergence in bits against the background rejection of a ``selection``.

    ``lines``: title -> points, which are joined in their order. A rejection that is not finite is
    not drawn.
    """
    with style():
        figure, axes = make_axes(
            f"background rejection at {selection}", "excess of the divergence [bits]"
        )
        axes.axhline(0, color="0.5", linewidth=1)
        rejections = []
        for number, (title, points) in enumerate(lines.items()):
            drawn = [point for point in points if math.isfinite(point.rejection.value)]
            if not drawn:
                continue
            rejections += [point.rejection.value for point in drawn]
            _draw_trade_off(axes, drawn, title, number)
        axes.set_xscale("log")
        if rejections:
            axes.set_xlim(min(rejections) / 1.5, max(rejections) * 1.5)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        # names of columns are long, and points may be anywhere
        figure.legend(frameon=False, loc="outside lower center", ncols=1)
        figure.set_figheight(figure.get_figheight() + LEGEND_LINE * len(lines))
    return figure


def _draw_trade_off(axes: Any, points: Sequence[TradeOffPoint], title: str, number: int) -> None:
    """Draw the points of a line, the ``number``-th, with errors and what stands beside each."""
    color = line_color(number)
    axes.errorbar(
        [point.rejection.value for point in points],
        [point.excess.value for point in points],
        [point.excess.error for point in points],
        [point.rejection.error for point in points],
        marker=MARKERS[number % len(MARKERS)],
        linestyle=line_style(number),
        linewidth=1,
        markersize=6,
        color=color,
        label=title,
    )
    # on both sides in turn, as points of two lines may be close to each other
    labels_right = number % 2 == 0
    for point in points:
        axes.annotate(
            point.label,
            (point.rejection.value, point.excess.value),
            (6, -12) if labels_right else (-6, 6),
            textcoords="offset points",
            ha="left" if labels_right else "right",
            fontsize=9,
            color=color,
        )


def sculpted_spectrum(
    edges: Array, models: Mapping[str, tuple[Array, Array]], label: str, selection: str
) -> Figure:
    """The spectrum of the background between ``edges`` (V + 1,) before and after a selection.

    Upper panel: all of it and what passes ``selection``, each normalized to one; lower panel: the
    share that passes.

    ``models``: name -> sums of w and w^2 of all rows and of those that pass, (2, V) each. The rows
    of the first model stand for all.
    """
    width = np.diff(edges)
    with style():
        figure, (upper, lower) = _panels_above(True)
        (every, _), _ = next(iter(models.values()))
        density = every / every.sum() / width
        upper.stairs(density, edges, fill=True, color="#b9b9b9", alpha=0.6, label="all background")
        for number, (name, (before, after)) in enumerate(models.items()):
            color = line_color(number)
            places = _places(edges, number, len(models))
            _draw_density(upper, edges, places, after, color, name)
            _draw_passing_share(lower, places, before[0], after, color)
        upper.set(ylabel=density_label(label), xlim=(edges[0], edges[-1]))
        upper.set_ylim(bottom=0)
        legend_above(upper, title=selection, ncols=_legend_columns(len(models)))
        lower.set(xlabel=label, ylabel=r"$\varepsilon_B$", yscale="log")
    return figure


def _draw_density(
    axes: Any, edges: Array, places: Array, sums: Array, color: str, label: str
) -> None:
    """Draw sums of w and w^2, (2, V), as a density with errors at ``places`` (V,)."""
    weights, squares = sums
    scale = 1 / (max(weights.sum(), TINY) * np.diff(edges))
    density = weights * scale
    error = np.sqrt(squares) * scale
    axes.stairs(density, edges, color=color, linewidth=1.8, label=label)
    axes.errorbar(places, density, error, fmt="none", color=color, linewidth=1)


def _draw_passing_share(axes: Any, places: Array, total: Array, passing: Array, color: str) -> None:
    """Draw the share of ``total`` (V,) that is in ``passing`` (2, V), sums of w and w^2."""
    filled = total > 0
    weights, squares = passing[:, filled]
    share = weights / total[filled]
    error = np.sqrt(squares) / total[filled]
    axes.errorbar(places[filled], share, error, fmt="o", markersize=3.5, linewidth=1, color=color)
