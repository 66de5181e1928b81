"""Figures of a correction, each as PNG and PDF: response, factor, closure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from weaver_tt.applications.jet_energy.closure import (
    ETA_EDGES,
    FEWEST_JETS,
    PT_EDGES,
    TOLERANCE,
    VARIABLES,
    Closure,
)
from weaver_tt.applications.jet_energy.derive import Derived
from weaver_tt.figures.base import legend_above, line_color, save_figure, say_empty, style

CURVES_A_PANEL = 5
PT_TICKS = (20, 50, 100, 200, 500, 1000, 2000)
AXIS_LABEL = {"reco_pt": r"measured $p_T$ [GeV]", "gen_pt": r"$p_T^{gen}$ [GeV]"}
MARKERS = "osD^v<>"


def draw_correction(derived: Derived, closure: Closure, folder: Path) -> list[str]:
    """Write ``response``, ``factor`` and ``closure`` to ``folder``; returns their paths.

    Raises:
        OutputError: a file cannot be written.
    """
    paths: list[str] = []
    with style():
        for name, figure in (
            ("response", response_figure(derived, closure.center)),
            ("factor", factor_figure(derived)),
            ("closure", closure_figure(closure)),
        ):
            paths += save_figure(figure, folder / name)
    return paths


def response_figure(derived: Derived, center: str) -> Figure:
    """The measured response and its fit against pT_gen, five bins of |eta| in a panel."""
    with style():
        figure, panels = _panels(len(derived.fits))
        for number, fit in enumerate(derived.fits):
            axes = panels[number // CURVES_A_PANEL]
            color = line_color(number % CURVES_A_PANEL)
            points = fit.points
            axes.errorbar(
                points.pt,
                points.response,
                points.error,
                fmt=MARKERS[number % CURVES_A_PANEL],
                color=color,
                markersize=3,
                linewidth=0.8,
                label=_eta_label(points.eta),
                # in front of the curve and its band
                zorder=5,
            )
            log_pt = np.linspace(np.log(points.lowest), np.log(points.highest), 200)
            response = fit.response(log_pt)[0]
            error = fit.error(log_pt)
            pt = np.exp(log_pt)
            axes.plot(pt, response, color=color, linewidth=1.5)
            axes.fill_between(pt, response - error, response + error, color=color, alpha=0.2)
        ratio = r"$p_T^{offset} / p_T^{gen}$" if derived.correction.has_offset else "response"
        panels[0].set_ylabel(f"{center} {ratio}")
        _finish(panels, r"$p_T^{gen}$ [GeV]")
    return figure


def factor_figure(derived: Derived) -> Figure:
    """The factor of the response and its statistical error, in the range of the data."""
    curves = derived.correction.curves
    with style():
        figure, panels = _panels(len(curves.curves))
        for number, curve in enumerate(curves.curves):
            axes = panels[number // CURVES_A_PANEL]
            color = line_color(number % CURVES_A_PANEL)
            # just inside, where the last segment holds
            pt = np.geomspace(curve.low, curve.high * (1 - 1e-9), 200)
            factor = curve.factor(pt)
            error = curve.error(pt) * factor
            eta = curves.eta_edges[number], curves.eta_edges[number + 1]
            axes.plot(pt, factor, color=color, linewidth=2, label=_eta_label(eta))
            axes.fill_between(pt, factor - error, factor + error, color=color, alpha=0.2)
        panels[0].set_ylabel("factor")
        less = " less offset" if derived.correction.has_offset else ""
        _finish(panels, rf"measured $p_T${less} [GeV]")
    return figure


def closure_figure(closure: Closure) -> Figure:
    """Corrected pT over pT_gen in cells of |eta| and of measured and generated pT."""
    with style():
        figure = Figure(figsize=(13, 5.4), layout="constrained")
        panels = figure.subplots(1, len(VARIABLES), sharey=True)
        for axes, name in zip(panels, VARIABLES, strict=True):
            axes.axhspan(1 - TOLERANCE, 1 + TOLERANCE, color="0.92")
            axes.axhline(1, color="0.5", linewidth=1)
            cells = closure.cells(name)
            bins = len(ETA_EDGES) - 1
            for number in range(bins):
                mine = [cell for cell in cells[number::bins] if cell.has_jets()]
                if not mine:
                    continue
                middle = np.array([np.sqrt(cell.pt[0] * cell.pt[1]) for cell in mine])
                # side by side
                middle *= 1.05 ** (number - (bins - 1) / 2)
                values = np.array([cell.center(closure.center) for cell in mine])
                axes.errorbar(
                    middle,
                    values[:, 0],
                    values[:, 1],
                    fmt=MARKERS[number],
                    color=line_color(number),
                    markersize=6,
                    label=_eta_label(mine[0].eta),
                )
            for edge in PT_EDGES:
                axes.axvline(edge, color="0.85", linewidth=0.8, zorder=0)
            axes.set_xlabel(AXIS_LABEL[name])
            if not any(cell.has_jets() for cell in cells):
                say_empty(axes, f"no cell with more than {FEWEST_JETS} jets")
            _log_axis(axes)
            axes.set_xlim(PT_EDGES[0] * 0.95, PT_EDGES[-1] * 1.05)
        low, high = panels[0].get_ylim()
        reach = max(1 - low, high - 1, 2 * TOLERANCE)
        panels[0].set_ylim(1 - reach, 1 + reach)
        panels[0].set_ylabel(rf"{closure.center} $p_T^{{corr}} / p_T^{{gen}}$")
        if any(cell.has_jets() for name in VARIABLES for cell in closure.cells(name)):
            legend_above(panels[-1], ncols=3)
    return figure


def _panels(curves: int) -> tuple[Figure, Any]:
    """A figure with a panel for every few curves, side by side."""
    number = -(-curves // CURVES_A_PANEL)
    figure = Figure(figsize=(1.2 + 4.9 * number, 5), layout="constrained")
    return figure, figure.subplots(1, number, squeeze=False)[0]


def _finish(panels: Any, label: str) -> None:
    for axes in panels:
        low, high = axes.get_ylim()
        if low < 1 < high:
            axes.axhline(1, color="0.5", linewidth=1, zorder=0)
        axes.set_xlabel(label)
        _log_axis(axes)
        legend_above(axes, ncols=2, loc="upper center", fontsize=10)


def _log_axis(axes: Any) -> None:
    """pT on a logarithmic axis, with plain numbers."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = [tick for tick in PT_TICKS if low <= tick <= high]
    if len(ticks) > 1:
        axes.set_xticks(ticks)
        axes.xaxis.set_major_formatter(ScalarFormatter())


def _eta_label(eta: tuple[float, float]) -> str:
    return rf"{eta[0]:g} < |$\eta$| < {eta[1]:g}"
