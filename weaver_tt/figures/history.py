"""The metrics of a training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from weaver_tt.figures.base import line_color, style

PASSES = {"train/": "training", "val/": "validation"}
LEARNING_RATE = "learning_rate"
MAX_PANELS = 12
COLUMNS = 3
FEW_EPOCHS = 40  # up to which each has its point


def draw_history(epochs: Mapping[int, Mapping[str, float]], best_epoch: int) -> Figure:
    """A panel for each metric of training and validation, and one for the learning rate.

    ``epochs``: number -> values by name, such as ``train/loss``. The best epoch is marked. Numbers
    of rows and shares of time are no metrics; of very many metrics the first ones are shown.
    """
    names: dict[str, None] = {}
    for values in epochs.values():
        for name in values:
            of_pass = name.partition("/")[0] + "/"
            if of_pass in PASSES and not name.removeprefix(of_pass).startswith("rows_"):
                names[name.removeprefix(of_pass)] = None
    panels = [*list(names)[: MAX_PANELS - 1], LEARNING_RATE]
    rows = -(-len(panels) // COLUMNS)
    with style():
        figure = Figure(figsize=(4.2 * COLUMNS, 3.1 * rows), layout="constrained")
        axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for name, panel in zip(panels, axes, strict=False):
            _draw_metric(panel, name, epochs, best_epoch)
        for panel in axes[len(panels) :]:
            panel.set_visible(False)
        axes[0].legend()
    return figure


def _draw_metric(
    axes: Any, name: str, epochs: Mapping[int, Mapping[str, float]], best_epoch: int
) -> None:
    """One metric of both passes against the epoch."""
    marker = "o" if len(epochs) <= FEW_EPOCHS else None
    curves = {f"{of_pass}{name}": title for of_pass, title in PASSES.items()}
    if name == LEARNING_RATE:
        curves = {LEARNING_RATE: ""}
        axes.set_yscale("log")
    for number, (key, title) in enumerate(curves.items()):
        known = {epoch: values[key] for epoch, values in epochs.items() if key in values}
        if known:
            axes.plot(
                list(known),
                list(known.values()),
                color=line_color(number),
                marker=marker,
                markersize=4,
                label=title,
            )
    axes.axvline(best_epoch, color="0.6", linestyle=":", zorder=0, label="best epoch")
    # the first and the last point stand clear of the frame
    axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
    # of a single epoch, too
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("epoch")
    axes.set_ylabel(name.replace("_", " "))
