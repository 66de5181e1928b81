"""What all figures share: style, axes, files.

Matplotlib figures without pyplot, so that nothing is kept open.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import matplotlib.style
import mplhep
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from weaver_tt.errors import OutputError
from weaver_tt.figures.label import add_label
from weaver_tt.figures.names import unit_of
from weaver_tt.system.atomic_files import writing

Array = npt.NDArray[np.float64]
# Petroff, arXiv:2107.02270
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
)
DOTS_PER_INCH = 120  # of PNG
# of the height of a panel: what is free around a legend, and how much it may take
LEGEND_MARGIN = 0.06
LARGEST_LEGEND = 0.6
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
    # cursive fonts are rarely installed, and matplotlib warns each time
    "mathtext.cal": "sans",
    # plain tick labels are faster to draw
    "axes.formatter.use_mathtext": False,
    # shorter than those of the style, which is made for one large panel
    "xtick.major.size": 7,
    "ytick.major.size": 7,
    "xtick.minor.size": 3.5,
    "ytick.minor.size": 3.5,
}


@contextmanager
def style() -> Iterator[None]:
    """The style of high-energy physics for what is drawn inside."""
    with matplotlib.style.context([mplhep.style.ATLAS, STYLE]):
        yield


def make_axes(x: str, y: str, size: tuple[float, float] = (6.4, 5.2)) -> tuple[Figure, Any]:
    """A figure of ``size`` inches with one panel and the labels of its axes."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def line_color(number: int) -> str:
    """The color of curve ``number``; colors repeat after the last one."""
    return COLORS[number % len(COLORS)]


def line_style(number: int) -> str:
    """The style of curve ``number``: dashed where its color repeats."""
    return "-" if number < len(COLORS) else "--"


def legend_above(axes: Any, **keywords: Any) -> None:
    """Add a legend, and lengthen the y axis so that all that it shows now ends below the legend.

    ``keywords`` are those of a legend; it stands at the upper right where they say nothing.
    """
    legend = axes.legend(**{"loc": "upper right", "frameon": False, **keywords})
    share = legend.get_window_extent().height / axes.get_window_extent().height
    share = min(share + LEGEND_MARGIN, LARGEST_LEGEND)
    # on a logarithmic axis, too
    scale = axes.yaxis.get_transform()
    low, high = scale.transform(axes.get_ylim())
    axes.set_ylim(top=float(scale.inverted().transform(low + (high - low) / (1 - share))))


def mark_beyond(axes: Any, x: Array, y: Array, color: str) -> None:
    """Arrows at the ends of the y axis for points that lie beyond them; NaN is no point."""
    low, high = axes.get_ylim()
    for is_beyond, marker, place in ((y > high, "^", 0.95), (y < low, "v", 0.05)):
        # the height is a share of the panel
        axes.plot(
            x[is_beyond],
            np.full(np.count_nonzero(is_beyond), place),
            marker,
            color=color,
            markersize=5,
            transform=axes.get_xaxis_transform(),
            zorder=6,
        )


def say_empty(axes: Any, why: str) -> None:
    """Say in a panel why it has no points."""
    axes.text(0.5, 0.5, why, ha="center", va="center", color="0.5", transform=axes.transAxes)


def make_folder(folder: str | Path) -> None:
    """Make a folder for results, with its parents.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make the folder: {error}") from error


def save_figure(figure: Figure, path: str | Path, few_colors: bool = False) -> list[str]:
    """Write ``path`` + .png and .pdf, each whole or not at all, below the label; returns both.

    ``few_colors``: lines alone are drawn, so that 256 colors are enough for the PNG. It is a third
    as large then.

    Raises:
        OutputError: one of them cannot be written.
    """
    paths = []
    with style():
        area = add_label(figure)
        for kind in ("png", "pdf"):
            name = f"{path}.{kind}"
            with writing(name) as file:
                _write(figure, file, kind, area, few_colors)
            # where things are has been worked out, which takes as long as to draw them
            figure.set_layout_engine("none")
            paths.append(name)
    return paths


def _write(figure: Figure, file: IO[bytes], kind: str, area: Bbox | None, few_colors: bool) -> None:
    """Write ``area`` of a figure, in inches, or the whole of it."""
    if kind == "png" and few_colors:
        drawn = io.BytesIO()
        # it is compressed below
        _draw(figure, drawn, kind, area, pil_kwargs={"compress_level": 0})
        image = Image.open(drawn).convert("RGB")
        palette = image.quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        palette.save(file, "png")
    else:
        _draw(figure, file, kind, area)


def _draw(figure: Figure, file: IO[bytes], kind: str, area: Bbox | None, **keywords: Any) -> None:
    """Draw ``area`` of a figure, in inches, or the whole of it, into a file."""
    if area is not None:
        figure.savefig(file, dpi=DOTS_PER_INCH, format=kind, bbox_inches=area, **keywords)
    # draws once, where savefig always draws twice: it looks for an area first
    elif kind == "png":
        figure.set_dpi(DOTS_PER_INCH)
        FigureCanvasAgg(figure).print_png(file, **keywords)
    else:
        FigureCanvasPdf(figure).print_pdf(file)


def per_bin(what: str, edges: Array, axis: str) -> str:
    """A label such as ``jets / 5 GeV`` for what is counted in bins, with the unit of an ``axis``.

    Of bins that are not equally wide, ``jets / bin``.
    """
    widths = np.diff(edges)
    if not np.allclose(widths, widths[0]):
        return f"{what} / bin"
    return f"{what} / {widths[0]:.3g} {unit_of(axis)}".rstrip()


def density_label(axis: str) -> str:
    """The label of a density, with the unit of what is drawn on the other ``axis``."""
    unit = unit_of(axis)
    return f"probability density [1 / {unit}]" if unit else "probability density"


def mean_deviation(sums: Array) -> float:
    """Mean of |observed - predicted| over bins, by their weight; ``sums`` as below (4, bins)."""
    weight, predicted, observed, _ = sums
    return float(np.abs(observed - predicted).sum() / weight.sum())


def binned_fractions(sums: Array) -> tuple[Array, Array, Array]:
    """Predicted and observed fraction, and the error of the observed one, (bins,) each.

    ``sums`` (4, bins): w, w * predicted, w * tag and w^2. Empty bins are NaN. The error is
    binomial, with the effective number of entries (sum w)^2 / sum w^2.
    """
    weight, weighted_prediction, weighted_tag, squares = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        predicted = weighted_prediction / weight
        observed = weighted_tag / weight
        entries = weight**2 / squares
        # negative weights may bring a fraction out of [0, 1]
        variance = np.clip(observed * (1 - observed), 0, None)
        error = np.sqrt(variance / entries)
    return predicted, observed, error
