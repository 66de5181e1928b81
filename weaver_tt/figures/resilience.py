"""Performance of taggers against their resilience, a panel for each signal efficiency."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

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
        every = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, (title, lines) in zip(every, panels.items(), strict=True):
            for number, (name, points) in enumerate(lines.items()):
                look = {"color": line_color(number), "linestyle": line_style(number)}
                # on both sides in turn, as points of two lines may be close to each other
                _draw_line(axes, points, name, look, labels_right=number % 2 == 0)
            axes.set_title(title)
            axes.set_xlabel(r"performance $\varepsilon_S$ / √$\varepsilon_B$")
            axes.margins(x=0.2)
        every[0].set_ylabel(r"resilience $\zeta$")
        # a cut may make a tagger ten times as resilient
        every[0].set_yscale("log")
        every[0].set_ylim(*_limits(panels))
        every[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        every[0].yaxis.set_major_formatter("{x:g}")
        every[0].yaxis.set_minor_locator(NullLocator())
        handles, names = every[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 4))
    return figure


def _limits(panels: Mapping[str, Lines]) -> tuple[float, float]:
    """Room below and above all points; errors may be far larger, and do not count."""
    finite = []
    for lines in panels.values():
        for points in lines.values():
            values = [point.resilience.value for point in points]
            finite += [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.5, 2.0
    return min(finite) / 2, 2 * max(finite)


def _draw_line(
    axes: Any,
    points: Sequence[ResiliencePoint],
    name: str,
    look: Mapping[str, str],
    labels_right: bool,
) -> None:
    color = look["color"]
    drawn = [point for point in points if math.isfinite(point.performance.value)]
    finite = [point for point in drawn if math.isfinite(point.resilience.value)]
    # empty where no point is known, so that the legend of all panels is the same
    axes.errorbar(
        [point.performance.value for point in finite],
        [point.resilience.value for point in finite],
        xerr=[point.performance.error for point in finite],
        yerr=[point.resilience.error for point in finite],
        fmt="o",
        markersize=5,
        elinewidth=1,
        label=name,
        **look,
    )
    for point in finite:
        place = (point.performance.value, point.resilience.value)
        axes.annotate(
            point.label,
            place,
            (6, 6) if labels_right else (-6, -14),
            textcoords="offset points",
            ha="left" if labels_right else "right",
            fontsize=10.5,
            color=color,
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
