"""Figures of a search for settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from weaver_tt.figures.base import Array, line_color, make_axes, style
from weaver_tt.pages.pictures import CaptionedFigure, Picture, write_pictures
from weaver_tt.report.search import Importance, SearchRecord, is_number, shown_setting

MAX_TICKS = 6  # of choices, all are named
COLOR_MAP = "viridis"
DECADES = 30  # a larger ratio of the largest to the smallest value has a logarithmic axis

Importances = Mapping[str, Mapping[str, Importance]]  # by metric and setting
Correlations = Mapping[str, Mapping[str, float]]


def draw_search(
    search: SearchRecord, importances: Importances, correlations: Correlations, folder: Path
) -> list[Picture]:
    """Write all figures to ``folder`` as PNG and PDF.

    Raises:
        OutputError: one of them cannot be written.
    """
    with style():
        return write_pictures(_figures(search, importances, correlations), folder)


def _figures(
    search: SearchRecord, importances: Importances, correlations: Correlations
) -> Iterator[CaptionedFigure]:
    """File name, caption and figure of each."""
    for one, other in combinations(search.metrics, 2):
        caption = f"{one} and {other} of all completed trials; the line joins the Pareto front."
        yield f"pareto_{one}_{other}", caption, pareto_figure(search, one, other)
    for metric in search.metrics:
        caption = f"{metric} of each trial, and the best so far."
        if len(search.metrics) == 1:
            caption += " Crosses are trials that were pruned, at their latest value."
        yield f"history_{metric}", caption, history_figure(search, metric)
        if importances.get(metric):
            caption = (
                f"What matters for {metric}: mean and spread of the importances in forests of "
                "different seeds, and the correlation."
            )
            figure = importance_figure(importances[metric], correlations.get(metric, {}), metric)
            yield f"importance_{metric}", caption, figure
        caption = f"Each line is a trial, coloured by its {metric}; the best ones are thick."
        yield f"parallel_{metric}", caption, parallel_figure(search, metric)


def history_figure(search: SearchRecord, metric: str) -> Figure:
    """The metric of each trial, and the best so far."""
    figure, axes = make_axes("trial", metric)
    trials = search.complete
    numbers = [trial.number for trial in trials]
    values = np.array([trial.values[metric] for trial in trials])
    best = np.maximum if search.maximized[metric] else np.minimum
    axes.plot(numbers, values, "o", color=line_color(0), label="complete")
    axes.step(numbers, best.accumulate(values), where="post", color=line_color(2), label="best")
    pruned = [trial for trial in search.trials if trial.state == "pruned"]
    pruned = [trial for trial in pruned if trial.last_value is not None]
    if pruned:
        latest = [trial.last_value for trial in pruned]
        places = [trial.number for trial in pruned]
        axes.plot(places, latest, "x", color=line_color(3), label="pruned")
    axes.set_yscale(_scale(values))
    axes.set_xlim(-0.5, search.trials[-1].number + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.legend()
    return figure


def importance_figure(
    importances: Mapping[str, Importance], correlations: Mapping[str, float], metric: str
) -> Figure:
    """Bars of both measures of importance, a setting each."""
    # the most important one on top
    names = list(importances)[::-1]
    figure = Figure(figsize=(10, 1.8 + 0.45 * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    means = [importances[name].mean for name in names]
    spreads = [importances[name].spread for name in names]
    left.barh(names, means, xerr=spreads, color=line_color(0))
    left.set_xlabel(f"importance for {metric}\n(random forest)")
    left.set_xlim(0, 1)
    right.barh(names, [correlations.get(name, 0) for name in names], color=line_color(1))
    right.set_xlabel(f"linear correlation\nwith {metric}")
    right.set_xlim(-1, 1)
    right.axvline(0, color="black", linewidth=0.8)
    for axes in (left, right):
        axes.tick_params(axis="y", which="both", length=0)
    return figure


def pareto_figure(search: SearchRecord, one: str, other: str) -> Figure:
    """Two metrics against each other, with the trials that are better in none of both by another.

    Of more than two metrics, the front in these two alone is drawn.
    """
    figure, axes = make_axes(_with_arrow(search, one), _with_arrow(search, other))
    trials = search.complete
    points = np.array([[trial.values[one], trial.values[other]] for trial in trials])  # (T, 2)
    on_front = front(points, [search.maximized[one], search.maximized[other]])
    axes.plot(*points[~on_front].T, "o", color=line_color(3), label="trials")
    best = points[on_front]
    best = best[np.argsort(best[:, 0], kind="stable")]
    axes.plot(*best.T, "o-", color=line_color(2), label="Pareto front")
    for trial, point, is_best in zip(trials, points, on_front, strict=True):
        if is_best:
            axes.annotate(str(trial.number), point, (7, 7), textcoords="offset points", fontsize=11)
    axes.set(xscale=_scale(points[:, 0]), yscale=_scale(points[:, 1]))
    axes.margins(0.1)
    axes.legend()
    return figure


def _scale(values: Array) -> str:
    """The scale of an axis: logarithmic where the values span decades, as ant factors do."""
    return "log" if values.min() > 0 and values.max() / values.min() > DECADES else "linear"


def _with_arrow(search: SearchRecord, metric: str) -> str:
    """A metric and where it is best."""
    return f"{metric} ({'larger' if search.maximized[metric] else 'smaller'} is better)"


def front(points: Array, maximized: Sequence[bool]) -> Any:
    """Which of the ``points`` (T, 2) no other one beats in both: (T,) true or false."""
    # the smaller the better
    costs = np.where(maximized, -points, points)
    others = costs[None]
    no_worse = np.all(others <= costs[:, None], axis=-1)  # (T, T): the second is no worse
    better = np.any(others < costs[:, None], axis=-1)
    return ~np.any(no_worse & better, axis=1)


def parallel_figure(search: SearchRecord, metric: str) -> Figure:
    """Parallel coordinates: an axis for each setting and metric, a line for each trial."""
    trials = search.complete
    columns = {name: search.settings_of(name) for name in search.names}
    columns |= {name: [trial.values[name] for trial in trials] for name in search.metrics}
    heights = []
    ticks = []
    for name, column in columns.items():
        is_logarithmic = name in search.logarithmic
        if name in search.metrics:
            is_logarithmic = _scale(np.array(column)) == "log"
        heights_of_axis, labels = _axis(column, is_logarithmic)
        heights.append(heights_of_axis)
        ticks.append(labels)
    lines = np.array(heights).T  # (T, axes)
    values = np.array([trial.values[metric] for trial in trials])
    figure = Figure(figsize=(2.5 + 1.6 * len(columns), 5.4), layout="constrained")
    axes = figure.subplots()
    # the best in front
    order = np.argsort(values if search.maximized[metric] else -values, kind="stable")
    places = np.arange(len(columns))
    segments = [np.column_stack([places, lines[i]]) for i in order]
    widths = [2.6 if trials[i].number in search.best else 1.0 for i in order]
    # the brightest is the best
    colors = matplotlib.colormaps[COLOR_MAP if search.maximized[metric] else f"{COLOR_MAP}_r"]
    make_norm = LogNorm if _scale(values) == "log" else Normalize
    norm = make_norm(values.min(), values.max())
    collection = LineCollection(segments, cmap=colors, norm=norm, linewidths=widths, alpha=0.8)
    collection.set_array(values[order])
    axes.add_collection(collection)
    for place, labels in enumerate(ticks):
        axes.axvline(place, color="black", linewidth=0.8)
        for height, label in labels:
            axes.annotate(
                label,
                (place, height),
                (4, 0),
                textcoords="offset points",
                fontsize=9.5,
                va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
            )
    axes.set_xlim(-0.1, len(columns) - 0.6)
    axes.set_ylim(-0.05, 1.05)
    axes.set_xticks(places, list(columns), rotation=20, ha="right")
    axes.set_yticks([])
    axes.tick_params(axis="x", which="both", length=0)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    figure.colorbar(collection, ax=axes, label=metric, pad=0.02)
    return figure


def _axis(values: Sequence[Any], is_logarithmic: bool) -> tuple[Array, list[tuple[float, str]]]:
    """Heights (0 to 1) of the values on their axis, and where which labels stand."""
    choices = list(dict.fromkeys(values))
    are_numbers = all(is_number(value) for value in values)
    if are_numbers:
        choices.sort()
    if not are_numbers or len(choices) <= MAX_TICKS:
        # choices, or few numbers: evenly
        places = np.linspace(0, 1, len(choices)) if len(choices) > 1 else np.array([0.5])
        height = dict(zip(map(repr, choices), places, strict=True))
        labels = [(float(height[repr(one)]), shown_setting(one)) for one in choices]
        return np.array([height[repr(value)] for value in values]), labels
    numbers = np.array(values, dtype=float)
    if is_logarithmic:
        numbers = np.log(numbers)
    low, high = numbers.min(), numbers.max()
    labels = []
    for place in np.linspace(0, 1, MAX_TICKS - 1):
        number = low + place * (high - low)
        shown = np.exp(number) if is_logarithmic else number
        labels.append((float(place), f"{shown:.3g}"))
    return (numbers - low) / (high - low), labels
