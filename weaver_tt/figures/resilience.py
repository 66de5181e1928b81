"""Performance of taggers against their resilience, a panel for each signal efficiency."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from weaver_tt.figures.base import line_color, line_style, style
from weaver_tt.metrics.resilience import Resilience, ValueWithError

TOP = 0.96  # of the height of a panel: where an unlimited resilience is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class ResiliencePoint:
    """One tagger at one threshold; ``label``, perhaps empty, stands beside it."""

    label: str
    performance: ValueWithError
    resilience: Resilience


Lines = Mapping[str, Sequence[ResiliencePoint]]  # title -> the points of a line, in its order


def resilience_figure(panels: Mapping[str, Lines]) -> Figure:
    """A panel for each of ``panels``, by title, with the same lines in each.

    An unlimited resilience is an arrow at the upper edge; what is not known is left out.
    """
    with style():
        figure = Figure(figsize=(0.8 + 4.6 * len(panels), 4.9), layout="constrained")
        every = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, lines) in zip(every, panels.items(), strict=True):
            for number, (name, points) in enumerate(lines.items()):
                _draw_line(axes, points, name, line_color(number), line_style(number))
            axes.set_title(title)
            axes.set_xlabel(r"performance $\varepsilon_S$ / √$\varepsilon_B$")
            axes.margins(x=0.2)
            axes.set_ylim(0, _upper_limit(lines))
        every[0].set_ylabel(r"resilience $\zeta$")
        handles, names = every[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=min(len(names), 4))
    return figure


def _upper_limit(lines: Lines) -> float:
    """Room above the highest point; errors may be far larger, and do not count."""
    every = [point.resilience.value for points in lines.values() for point in points]
    return 1.35 * max((value for value in every if math.isfinite(value)), default=1.0)


def _draw_line(
    axes: Any, points: Sequence[ResiliencePoint], name: str, color: str, dashes: str
) -> None:
    drawn = [point for point in points if math.isfinite(point.performance.value)]
    finite = [point for point in drawn if math.isfinite(point.resilience.value)]
    # empty where no point is known, so that the legend of all panels is the same
    axes.errorbar(
        [point.performance.value for point in finite],
        [point.resilience.value for point in finite],
        xerr=[point.performance.error for point in finite],
        yerr=[point.resilience.error for point in finite],
        fmt="o",
        linestyle=dashes,
        markersize=5,
        elinewidth=1,
        color=color,
        label=name,
    )
    for point in finite:
        place = (point.performance.value, point.resilience.value)
        axes.annotate(
            point.label, place, (6, 6), textcoords="offset points", fontsize=10.5, color=color
        )
    for point in drawn:
        if point.resilience.is_unlimited:
            place = (point.performance.value, TOP)
            above = axes.get_xaxis_transform()
            axes.plot(*place, "^", markersize=8, color=color, transform=above)
            axes.annotate(
                point.label,
                place,
                (6, -4),
                xycoords=above,
                textcoords="offset points",
                fontsize=10.5,
                color=color,
            )
