"""Figures of classifiers, drawn from what was measured of them; several models are laid over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from weaver_tt.figures.base import COLORS, Array, binned_fractions, make_axes, style
from weaver_tt.metrics.classifier_summary import ClassifierSummary
from weaver_tt.metrics.roc import Roc

EFFICIENCIES = torch.linspace(
    0.01, 1, 100, dtype=torch.float64
)  # of the signal: where curves are drawn
SCORE_BINS = 40
MAX_PANELS = 12  # classes that get a panel of their own, or a number in a matrix
Points = tuple[Array, Array]  # values and errors


def classifier_figures(judged: ClassifierSummary) -> dict[str, Figure]:
    """All figures of one model: ``roc``, ``scores``, ``calibration``, ``confusion`` and, of several classes, ``auc_one_vs_one``."""
    made = {
        "roc": roc_of_classes(judged),
        "scores": score_distributions(judged),
        "calibration": score_calibration({"": judged}),
        "confusion": confusion_figure(judged),
    }
    return made | ({"auc_one_vs_one": area_matrix(judged)} if len(judged.names) > 2 else {})


def rejection_curve(roc: Roc, *place: int) -> Points:
    """Rejections at ``EFFICIENCIES`` and their errors of the curve at ``place`` among ``roc``'s."""
    value, error = (found[place].numpy() for found in roc.rejection(EFFICIENCIES))
    return np.where(np.isfinite(value), value, np.nan), error


def roc_of_classes(judged: ClassifierSummary) -> Figure:
    """Rejection against efficiency; with more than two classes each against the rest."""
    if len(judged.names) == 2:
        return draw_rejections(
            {" against ".join(judged.names): rejection_curve(judged.against_rest, 0)}
        )
    return draw_rejections(
        {
            f"{name} against the rest": rejection_curve(judged.against_rest, k)
            for k, name in enumerate(judged.names)
        }
    )


def draw_rejections(curves: Mapping[str, Points], ratio: str | None = None) -> Figure:
    """Rejections at ``EFFICIENCIES`` with bands of one standard deviation; ``ratio``: the curve that a lower panel divides the others by."""
    with style():
        figure, panels = _panels_above(ratio is not None)
        x = EFFICIENCIES.numpy()
        for number, (name, (value, error)) in enumerate(curves.items()):
            color = COLORS[number % len(COLORS)]
            line = "-" if number < len(COLORS) else "--"
            panels[0].plot(x, value, line, color=color, label=name)
            panels[0].fill_between(
                x,
                np.clip(value - error, 1, None),
                value + error,
                color=color,
                alpha=0.25,
                linewidth=0,
            )
            if ratio is not None:
                base = curves[ratio][0]
                panels[1].plot(x, value / base, line, color=color)
                panels[1].fill_between(
                    x,
                    (value - error) / base,
                    (value + error) / base,
                    color=color,
                    alpha=0.25,
                    linewidth=0,
                )
        panels[0].set(yscale="log", ylabel="background rejection", xlim=(0, 1))
        panels[0].set_ylim(
            1, max(10, panels[0].get_ylim()[1])
        )  # a perfect tagger has no finite rejection to draw
        panels[0].legend(frameon=False, ncols=1 if len(curves) < 8 else 2)
        if ratio is not None:
            panels[1].set(
                ylim=_around_one([value / curves[ratio][0] for value, _ in curves.values()]),
                ylabel=f"ratio to {ratio}",
            )
            panels[1].yaxis.label.set_size(11)
        panels[-1].set_xlabel("signal efficiency")
    return figure


def _panels_above(two: bool) -> tuple[Figure, list[Any]]:
    """One panel, or a large one above a small one that shares its x axis."""
    figure = Figure(figsize=(6.4, 6.4 if two else 5.2), layout="constrained")
    if not two:
        return figure, [figure.subplots()]
    panels = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.3])
    return figure, list(panels)


def _around_one(ratios: Sequence[Array]) -> tuple[float, float]:
    """Limits of a ratio's axis: the middle of what is drawn, not a few wild points."""
    together = np.concatenate(ratios)
    deviations = np.abs(together[np.isfinite(together)] - 1)
    reach = max(1.5 * float(np.quantile(deviations, 0.9)), 0.05) if len(deviations) else 0.5
    return max(0.0, 1 - reach), 1 + reach


def score_distributions(judged: ClassifierSummary) -> Figure:
    """For each class (of two, the first) the distribution of its score for entries of every class, each normalised to one."""
    columns = [0] if len(judged.names) == 2 else range(min(len(judged.names), MAX_PANELS))
    with style():
        figure, panels = _grid(len(columns))
        place = (judged.logits.sigmoid() * SCORE_BINS).long().clamp(max=SCORE_BINS - 1)
        edges = np.linspace(0, 1, SCORE_BINS + 1)
        for axes, column in zip(panels, columns, strict=True):
            sums = torch.zeros(len(judged.names), SCORE_BINS, dtype=torch.float64).index_add_(
                1, place, judged.scores[0, :, column]
            )
            for number, (name, values) in enumerate(zip(judged.names, sums.numpy(), strict=True)):
                density = values * SCORE_BINS / max(values.sum(), 1e-300)
                axes.stairs(
                    density, edges, color=COLORS[number % len(COLORS)], label=name, linewidth=1.8
                )
            axes.set_yscale("log")
            axes.minorticks_off()  # slow to draw
            axes.set(xlabel=f"score {judged.names[column]}", xlim=(0, 1))
        panels[0].set_ylabel("probability density")
        panels[0].legend(frameon=False, ncols=1 if len(judged.names) < 6 else 2)
    return figure


def score_calibration(models: Mapping[str, ClassifierSummary]) -> Figure:
    """Of each class (of two, the first) the fraction of entries that are of it against its score, by model."""
    names = next(iter(models.values())).names
    columns = [0] if len(names) == 2 else range(min(len(names), MAX_PANELS))
    with style():
        figure, panels = _grid(len(columns))
        for axes, column in zip(panels, columns, strict=True):
            axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
            for number, (name, judged) in enumerate(models.items()):
                sums = judged.reliability(column).numpy()
                predicted, observed, error = (part[sums[0] > 0] for part in binned_fractions(sums))
                axes.errorbar(
                    predicted,
                    observed,
                    error,
                    fmt="o-",
                    markersize=4,
                    linewidth=1,
                    color=COLORS[number % len(COLORS)],
                    label=name,
                )
            axes.set(xlabel=f"score {names[column]}", xlim=(0, 1), ylim=(0, 1))
        panels[0].set_ylabel("observed fraction")
        if any(models):
            panels[0].legend(frameon=False, loc="upper left")
    return figure


def _grid(panels: int) -> tuple[Figure, list[Any]]:
    columns = min(panels, 4)
    rows = -(-panels // columns)
    figure = Figure(
        figsize=(6.4, 5.2) if panels == 1 else (4.2 * columns, 3.8 * rows), layout="constrained"
    )
    every = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in every[panels:]:
        unused.remove()
    return figure, every[:panels]


def confusion_figure(judged: ClassifierSummary) -> Figure:
    """Share of each true class (rows) that is predicted as each class (columns)."""
    counts = judged.confusion.numpy()
    share = counts / np.where(counts.sum(1, keepdims=True) == 0, 1, counts.sum(1, keepdims=True))
    return draw_matrix(share, judged.names, ("predicted", "true"), (0, 1), "{:.2f}")


def area_matrix(judged: ClassifierSummary) -> Figure:
    """Area under the curve of each class (rows) against each other class (columns)."""
    areas = judged.against_each.area.numpy().copy()
    np.fill_diagonal(areas, np.nan)
    return draw_matrix(areas, judged.names, ("background", "signal"), (0.5, 1), "{:.3f}")


def draw_matrix(
    values: Array,
    names: Sequence[str],
    labels: tuple[str, str],
    limits: tuple[float, float],
    text: str,
) -> Figure:
    """A coloured (K, K) matrix, with its numbers as ``text`` formats them where they are legible; NaN is left out."""
    size = float(np.clip(0.75 * len(names) + 2, 5.2, 12))
    with style():
        figure, axes = make_axes(*labels, size=(size + 1, size))
        axes.imshow(values, vmin=limits[0], vmax=limits[1], cmap="Blues")
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(length=0)
        for (row, column), value in np.ndenumerate(values) if len(names) <= MAX_PANELS else ():
            if np.isfinite(value):
                dark = value > sum(limits) / 2
                axes.text(
                    column,
                    row,
                    text.format(value),
                    ha="center",
                    va="center",
                    color="white" if dark else "black",
                    size=11,
                )
    return figure


def points_in_bins(edges: Array, points: Mapping[str, Points], labels: tuple[str, str]) -> Figure:
    """Points (bins,) with errors in bins between ``edges``, by model; the models are a little apart where they would hide each other."""
    with style():
        figure, axes = make_axes(*labels)
        centers, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
        for number, (name, (value, error)) in enumerate(points.items()):
            shift = half * 0.5 * ((number + 0.5) / len(points) - 0.5)
            color = COLORS[number % len(COLORS)]
            axes.errorbar(
                centers + shift, value, error, fmt="o", markersize=5, color=color, label=name
            )
            axes.hlines(value, edges[:-1], edges[1:], color=color, linewidth=1, alpha=0.6)
        axes.set_xlim(edges[0], edges[-1])
        low, high = (
            max(0.0, axes.get_ylim()[0]),
            axes.get_ylim()[1],
        )  # areas and rejections are never negative
        axes.set_ylim(low, high + 0.2 * (high - low))  # room for the legend
        axes.legend(frameon=False, loc="upper left", ncols=2)
    return figure


def sculpted_spectrum(
    edges: Array, models: Mapping[str, tuple[Array, Array]], label: str, cut: str
) -> Figure:
    """The background's spectrum between ``edges`` (V + 1,), all of it and what passes ``cut``, each normalised to one; below, the share that passes.

    ``models``: name -> sums of w and w^2 of all rows and of those that pass, (2, V) each. The first model's rows stand for all.
    """
    with style():
        figure, (upper, lower) = _panels_above(True)
        (every, squares), _ = next(iter(models.values()))
        width, middle = np.diff(edges), (edges[1:] + edges[:-1]) / 2
        upper.stairs(
            every / every.sum() / width,
            edges,
            fill=True,
            color="#b9b9b9",
            alpha=0.6,
            label="all background",
        )
        for number, (name, ((total, _), (passed, squares))) in enumerate(models.items()):
            color = COLORS[number % len(COLORS)]
            scale = 1 / (max(passed.sum(), 1e-300) * width)
            upper.stairs(passed * scale, edges, color=color, linewidth=1.8, label=f"{name}, {cut}")
            upper.errorbar(
                middle,
                passed * scale,
                np.sqrt(squares) * scale,
                fmt="none",
                color=color,
                linewidth=1,
            )
            filled = total > 0
            share = passed[filled] / total[filled]
            lower.errorbar(
                middle[filled],
                share,
                np.sqrt(squares[filled]) / total[filled],
                fmt="o",
                markersize=3.5,
                linewidth=1,
                color=color,
            )
        upper.set(ylabel="probability density", xlim=(edges[0], edges[-1]))
        upper.set_ylim(bottom=0)
        upper.legend(frameon=False)
        lower.set(xlabel=label, ylabel=r"$\varepsilon_B$", yscale="log")
    return figure
