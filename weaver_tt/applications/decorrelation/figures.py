"""Figures of thresholds, each as PNG and PDF: the map, and what passes in bins of mass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from weaver_tt.applications.decorrelation.judgement import Judgement
from weaver_tt.applications.decorrelation.threshold_map import Thresholds
from weaver_tt.figures.base import legend_above, line_color, make_axes, save_figure, style
from weaver_tt.report.scores import SCORE_PREFIX

DEFAULT_PT = r"$p_T$ [GeV]"
LONGEST = 50  # letters of a label that fit beside a figure
_SCORE = re.compile(rf"\b{SCORE_PREFIX}(\w+)")  # with its class


@dataclass(frozen=True, kw_only=True)
class DdtLabels:
    """What axes say: of the discriminant, and of mass and pT with their units."""

    discriminant: str
    mass: str
    pt: str = DEFAULT_PT

    @classmethod
    def of(cls, sources: Mapping[str, str], names: Mapping[str, str]) -> DdtLabels:
        """Those of expressions by role, as ``names`` call their columns and classes."""
        mass, pt = sources["mass"], sources["pt"]
        discriminant = _SCORE.sub(
            lambda found: f"score {names.get(found[1], found[1])}", sources["discriminant"]
        )
        return cls(
            # a sum over many classes is longer than the axis
            discriminant=discriminant if len(discriminant) <= LONGEST else "the discriminant",
            mass=names.get(mass, f"{mass} [GeV]"),
            pt=names.get(pt, DEFAULT_PT),
        )


def draw_ddt(
    column: str, thresholds: Thresholds, judgement: Judgement, labels: DdtLabels, folder: Path
) -> list[str]:
    """Write ``COLUMN_map`` and ``COLUMN_efficiency`` to ``folder``; returns their paths.

    Raises:
        OutputError: a file cannot be written.
    """
    with style():
        of_map = map_figure(thresholds, labels)
        of_shares = efficiency_figure(judgement, labels)
        paths = save_figure(of_map, folder / f"{column}_map")
        return paths + save_figure(of_shares, folder / f"{column}_efficiency")


def map_figure(thresholds: Thresholds, labels: DdtLabels) -> Figure:
    """The threshold in each bin of (rho, pT)."""
    figure, axes = make_axes(r"$\rho = \ln(m^2 / p_T^2)$", labels.pt, (7.4, 5.2))
    bins = thresholds.bins
    values = thresholds.thresholds
    # one colour for one threshold in all rows of bins
    scale = Normalize(float(values.min()), float(values.max()))
    for number, pt in enumerate(pairwise(bins.pt_edges)):
        mine = values[bins.first_bins[number] : bins.first_bins[number + 1]]
        axes.pcolormesh(bins.rho_edges[number], pt, mine[None], norm=scale, cmap="viridis")
    colors = ScalarMappable(scale, "viridis")
    figure.colorbar(colors, ax=axes, label=f"threshold on {labels.discriminant}")
    percent = f"{100 * thresholds.efficiency:.10g}"
    axes.set_title(rf"{percent} % of the background pass", fontsize=13)
    return figure


def efficiency_figure(judgement: Judgement, labels: DdtLabels) -> Figure:
    """The share of the background that passes in bins of mass, before and after."""
    figure, axes = make_axes(labels.mass, r"$\varepsilon_B$")
    edges = judgement.mass_edges
    middle = (edges[1:] + edges[:-1]) / 2
    target = judgement.efficiency
    percent = f"{100 * target:.10g}"
    axes.axhline(target, color="0.5", linewidth=1, label=f"target, {percent} %")
    curves = {"plain cut": judgement.before, "decorrelated, cut at 0": judgement.after}
    highest = target
    for number, (name, found) in enumerate(curves.items()):
        label = rf"{name}: $\chi^2$/ndf = {found.chi2:.1f}/{found.ndf}"
        axes.errorbar(
            middle,
            found.shares,
            found.errors,
            np.diff(edges) / 2,
            fmt="os"[number],
            markersize=5,
            color=line_color(number),
            label=label,
        )
        highest = max(highest, float(np.nanmax(found.shares + found.errors)))
    axes.set(ylim=(0, 1.02 * highest), xlim=(edges[0], edges[-1]))
    legend_above(axes)
    return figure
