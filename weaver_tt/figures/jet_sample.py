"""What is in a sample of jets to calibrate: spectrum, flavours, a jet, shapes, the target.

Figures 6.1 to 6.4 of D. Holmberg, "Jet energy corrections with graph neural network regression".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from weaver_tt.figures.base import Array, line_color, per_bin, style

LARGEST_MARKER = 900.0  # points^2, of the hardest constituent
SMALLEST_MARKER = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstituentsOfJet:
    """One jet: its pT, and by collection the (eta, phi, pT) of what is in it, (3, M)."""

    pt: float
    parts: Mapping[str, Array]


def spectrum_figure(
    jets: Array, pt_edges: Array, eta_edges: Array, flavours: Mapping[str, float]
) -> Figure:
    """Numbers of jets in (pT, eta), (bins in pT, bins in eta), and of each flavour."""
    with style():
        figure = Figure(figsize=(12, 5.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        # empty bins stay white
        shown = np.where(jets > 0, jets, np.nan)
        most = max(float(jets.max()), 2.0)
        mesh = left.pcolormesh(
            pt_edges, eta_edges, shown.T, norm=LogNorm(vmin=1, vmax=most), rasterized=True
        )
        figure.colorbar(mesh, ax=left, label="jets")
        left.set(xscale="log", xlabel=r"$p_T^{gen}$ [GeV]", ylabel=r"$\eta^{gen}$")
        left.set_ylim(eta_edges[0], eta_edges[-1])
        left.xaxis.set_major_formatter("{x:g}")
        colors = [line_color(number) for number in range(len(flavours))]
        right.bar(list(flavours), list(flavours.values()), color=colors)
        right.set(xlabel="flavour", ylabel="jets")
        right.tick_params(axis="x", which="both", bottom=False, top=False)
    return figure


def cloud_figure(jet: ConstituentsOfJet) -> Figure:
    """The constituents of one jet in (eta, phi), areas of markers proportional to pT."""
    with style():
        figure = Figure(figsize=(7.2, 6), layout="constrained")
        axes = figure.subplots()
        most = max(float(part[2].max(initial=0)) for part in jet.parts.values())
        for number, (name, (eta, phi, pt)) in enumerate(jet.parts.items()):
            size = np.maximum(pt / most * LARGEST_MARKER, SMALLEST_MARKER)
            axes.scatter(
                eta,
                phi,
                s=size,
                marker="o^s"[number % 3],
                facecolors=line_color(number),
                edgecolors="white",
                linewidths=0.5,
                alpha=0.7,
                label=f"{name} ({len(pt)})",
            )
        axes.set(xlabel=r"$\eta$", ylabel=r"$\phi$", title=f"jet of {jet.pt:.0f} GeV")
        # wide enough that markers do not touch the frame
        axes.margins(0.12)
        legend = axes.legend(frameon=False)
        # of a size that is told apart, whatever is drawn first
        for handle in legend.legend_handles:
            if isinstance(handle, PathCollection):
                handle.set_sizes([60.0])
    return figure


def shapes_figure(shapes: Mapping[str, tuple[Array, Mapping[str, Array]]]) -> Figure:
    """Distributions side by side: label of the axis -> edges, and entries by flavour."""
    with style():
        figure = Figure(figsize=(4.9 * len(shapes), 4.6), layout="constrained")
        panels = figure.subplots(1, len(shapes), squeeze=False)[0]
        for axes, (label, (edges, flavours)) in zip(panels, shapes.items(), strict=True):
            _draw_shares(axes, edges, flavours)
            axes.set(xlabel=label, xlim=(edges[0], edges[-1]), ylim=(0, None))
            axes.set_ylabel(per_bin("share of jets", edges, label))
        panels[-1].legend(frameon=False)
    return figure


def target_figure(edges: Array, flavours: Mapping[str, Array], window: float) -> Figure:
    """Distribution of the target by flavour; jets outside of the window do not count."""
    with style():
        figure = Figure(figsize=(7.2, 5.4), layout="constrained")
        axes = figure.subplots()
        _draw_shares(axes, edges, flavours)
        for side in (-window, window):
            axes.axvline(side, color="0.5", linestyle=":", linewidth=1.2)
        axes.set(
            xlabel=r"$\log(p_T^{gen} / p_T^{reco})$",
            ylabel=per_bin("share of jets", edges, ""),
            xlim=(edges[0], edges[-1]),
            yscale="log",
        )
        axes.legend(frameon=False)
    return figure


def _draw_shares(axes: Any, edges: Array, flavours: Mapping[str, Array]) -> None:
    """Steps of each flavour, its sum scaled to 1; a flavour without jets is not drawn."""
    for number, (name, entries) in enumerate(flavours.items()):
        total = entries.sum()
        if total:
            color = line_color(number)
            axes.stairs(entries / total, edges, label=name, color=color, linewidth=2)
