"""Figures of meters, drawn from their sums; matplotlib figures without pyplot, so nothing is kept open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]


def fractions(sums: Array) -> tuple[Array, Array, Array]:
    """Sums (4, bins) of w, w * predicted, w * tag and w^2 -> predicted and observed fraction and the latter's error, (bins,), NaN where empty.

    The error is binomial, with the effective number of entries (sum w)^2 / sum w^2.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        predicted, observed = sums[1] / sums[0], sums[2] / sums[0]
        entries = sums[0] ** 2 / sums[3]
        error = np.sqrt(np.clip(observed * (1 - observed), 0, None) / entries)
    return predicted, observed, error


def calibration(sums: Array) -> Figure:
    """Observed tag fraction against predicted efficiency; ``sums`` (4, bins) as :func:`fractions` takes them."""
    figure, axes = _axes("predicted efficiency", "observed tag fraction")
    predicted, observed, error = fractions(sums)
    filled = sums[0] != 0
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.errorbar(predicted[filled], observed[filled], error[filled], fmt="o", markersize=4)
    return figure


def efficiency_vs_pt(edges: Array, sums: Mapping[str, Array]) -> Figure:
    """Observed (points) and predicted (lines) efficiency in bins of pT; ``sums``: flavour -> (4, bins) as :func:`fractions` takes them."""
    figure, axes = _axes("$p_T$", "efficiency")
    centres = np.sqrt(edges[1:] * edges[:-1])
    for number, (flavour, values) in enumerate(sums.items()):
        predicted, observed, error = fractions(values)
        filled = values[0] != 0
        axes.errorbar(centres[filled], observed[filled], error[filled], fmt="o", markersize=4, color=f"C{number}", label=f"{flavour}, observed")
        axes.plot(centres[filled], predicted[filled], color=f"C{number}", label=f"{flavour}, predicted")
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = [digit * 10.0**power for power in range(-3, 7) for digit in (1, 2, 5) if low <= digit * 10.0**power <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)  # matplotlib would label all of 2, 3, 4, ... on top of each other
    axes.legend(frameon=False)
    return figure


def confusion(counts: Array, names: Sequence[str]) -> Figure:
    """Share of each true class (rows) that is predicted as each class (columns); ``counts`` (K, K)."""
    figure, axes = _axes("predicted", "true")
    share = counts / np.where(counts.sum(1, keepdims=True) == 0, 1, counts.sum(1, keepdims=True))
    axes.imshow(share, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    if len(names) <= 12:  # more would not be legible
        for (row, column), value in np.ndenumerate(share):
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.5 else "black")
    return figure


def _axes(x: str, y: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes
