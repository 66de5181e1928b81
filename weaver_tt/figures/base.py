"""What all figures share: style, axes, files. Matplotlib figures without pyplot, so nothing is kept open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.style
import mplhep
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from weaver_tt.errors import OutputError

Array = npt.NDArray[np.float64]
COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)  # Petroff, arXiv:2107.02270
STYLE = {
    "font.size": 13,
    "axes.labelsize": 15,
    "axes.titlesize": 14,
    "legend.fontsize": 11.5,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "figure.figsize": (8, 7),
    "savefig.bbox": "standard",
    "axes.formatter.limits": (-3, 5),
    "mathtext.cal": "sans",  # cursive fonts are rarely there, and matplotlib says so each time
    "axes.formatter.use_mathtext": False,  # plain tick labels and no minor ticks: four times as fast to draw
    "xtick.minor.visible": False,
    "ytick.minor.visible": False,
}


@contextmanager
def style() -> Iterator[None]:
    """High-energy physics' looks for what is drawn inside."""
    with matplotlib.style.context([mplhep.style.ATLAS, STYLE]):
        yield


def make_axes(x: str, y: str, size: tuple[float, float] = (6.4, 5.2)) -> tuple[Figure, Any]:
    """A figure of ``size`` inches with one panel and the labels of its axes."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def make_folder(folder: str | Path) -> None:
    """Make a folder for results, with its parents; OutputError where that fails."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make the folder: {error}") from error


def save_figure(figure: Figure, path: str | Path) -> list[str]:
    """Write ``path`` + .png and .pdf; returns both. OutputError where they cannot be written."""
    paths = [f"{path}.png", f"{path}.pdf"]
    try:
        with style():
            for name in paths:
                figure.savefig(name, dpi=120)
    except OSError as error:
        raise OutputError(f"{path}: cannot write the figure: {error}") from error
    return paths


def binned_fractions(sums: Array) -> tuple[Array, Array, Array]:
    """Sums (4, bins) of w, w * predicted, w * tag and w^2 -> predicted and observed fraction and the latter's error, (bins,), NaN where empty.

    The error is binomial, with the effective number of entries (sum w)^2 / sum w^2.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        predicted, observed = sums[1] / sums[0], sums[2] / sums[0]
        entries = sums[0] ** 2 / sums[3]
        error = np.sqrt(np.clip(observed * (1 - observed), 0, None) / entries)
    return predicted, observed, error
