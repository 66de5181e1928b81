"""The average Lund plane of each class of jets, and their ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from weaver_tt.figures.base import Array, style

LN_ANGLE_EDGES = np.linspace(-1, 8, 46)
LN_KT_EDGES = np.linspace(-6, 7, 66)
MAX_COLUMNS = 4
RATIO_RANGE = 10.0  # colors go from 1 / this to this


def lund_plane_figure(densities: Mapping[str, Array], jets: Mapping[str, int]) -> Figure:
    """A panel for each class, and for each but the first its ratio to the first.

    ``densities``: splittings a jet and unit of ln 1/Delta and ln kt, (X, Y) in the bins of
    ``LN_ANGLE_EDGES`` and ``LN_KT_EDGES``; ``jets``: how many each is the average of. Classes share
    one scale of colors.
    """
    names = list(densities)
    ratios = names[1:]
    most = max((float(density.max()) for density in densities.values()), default=0) or 1.0
    with style():
        figure, planes, quotients = _panels(len(names), len(ratios))
        scale = LogNorm(most / 1000, most)
        for axes, name in zip(planes, names, strict=True):
            mesh = _draw(axes, densities[name], scale, "viridis")
            axes.set_title(f"{name}, {jets[name]:,} jets")
        figure.colorbar(
            mesh,
            ax=planes,
            label=r"splittings / jet / (d ln 1/$\Delta$ d ln $k_t$)",
        )
        ratio_scale = LogNorm(1 / RATIO_RANGE, RATIO_RANGE)
        for axes, name in zip(quotients, ratios, strict=True):
            first = densities[names[0]]
            both = (first > 0) & (densities[name] > 0)
            ratio = np.divide(densities[name], first, out=np.zeros_like(first), where=both)
            mesh = _draw(axes, ratio, ratio_scale, "RdBu_r")
            axes.set_title(f"{name} / {names[0]}")
        if ratios:
            figure.colorbar(mesh, ax=quotients, label="ratio")
    return figure


def _panels(planes: int, ratios: int) -> tuple[Figure, list[Any], list[Any]]:
    """A figure with panels for so many planes and ratios, in one row or each in rows of its own."""
    together = planes + ratios
    if together <= MAX_COLUMNS:
        rows, columns = 1, together
        first_ratio = planes
    else:
        rows_of_planes = -(-planes // MAX_COLUMNS)
        rows, columns = rows_of_planes - (-ratios // MAX_COLUMNS), MAX_COLUMNS
        first_ratio = rows_of_planes * MAX_COLUMNS
    figure = Figure(figsize=(5.2 * columns + 0.6, 4.6 * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
    for axes in panels[::columns]:
        axes.set_ylabel(r"ln ($k_t$ / GeV)")
    shown = panels[:planes], panels[first_ratio : first_ratio + ratios]
    for axes in panels:
        if not any(axes in part for part in shown):
            axes.remove()
    return figure, *shown


def _draw(axes: Any, values: Array, scale: LogNorm, colors: str) -> Any:
    """A map of values (X, Y); bins with 0 stay white."""
    axes.set_xlabel(r"ln 1/$\Delta$")
    axes.set_xlim(LN_ANGLE_EDGES[0], LN_ANGLE_EDGES[-1])
    axes.set_ylim(LN_KT_EDGES[0], LN_KT_EDGES[-1])
    shown = np.ma.masked_less_equal(values, 0).T
    return axes.pcolormesh(LN_ANGLE_EDGES, LN_KT_EDGES, shown, norm=scale, cmap=colors)
