"""Metrics of a training or a prediction as files.

``PREFIX_metrics.json``, and ``PREFIX_figures/NAME.png`` and ``.pdf``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weaver_tt.data.accounting import BadFile
from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.engine.trackers.history import read_history
from weaver_tt.figures.attempts import attempting
from weaver_tt.log import SHOWN_OTHERWISE, log
from weaver_tt.run_files import RunFiles
from weaver_tt.system.json_files import write_json
from weaver_tt.tasks.base import Task

HISTORY = "history"  # the figure of all epochs


def write_results(
    metrics: EpochMetrics,
    task: Task,
    prefix: str | Path,
    figures: bool = True,
    bad_files: Sequence[BadFile] = (),
) -> list[Path]:
    """Write metrics with errors and details and, with ``figures``, what ``task`` draws of them.

    Metrics that are not finite become null. ``bad_files``, whose rows are missing, stand beside
    them. Nothing is written where nothing was measured and nothing is missing. Returns the files
    that were written.

    Raises:
        OutputError: the file of metrics, or the folder of figures, cannot be written.
    """
    if not metrics and not bad_files:
        return []
    files = RunFiles(str(prefix))
    content = {"metrics": metrics, "errors": metrics.errors(), **metrics.details()}
    if bad_files:
        content["bad_files"] = list(bad_files)
    write_json(files.metrics, content)
    written = [files.metrics]
    if metrics.is_measured and figures:
        written += _write_figures(metrics, task, files.figures)
    return written


def write_history_figure(prefix: str | Path, best_epoch: int) -> list[Path]:
    """Draw the metrics of all epochs into the folder of the figures; returns what is written.

    A figure that fails is said and left out.
    """
    files = RunFiles(str(prefix))
    with attempting(f"figure {files.figures / HISTORY}"):
        epochs = read_history(files.history)
        if epochs:
            # matplotlib takes a second to import: only where something is drawn
            from weaver_tt.figures.base import make_folder, save_figure
            from weaver_tt.figures.history import draw_history

            make_folder(files.figures)
            figure = draw_history(epochs, best_epoch)
            return [Path(path) for path in save_figure(figure, files.figures / HISTORY)]
    return []


def _write_figures(metrics: EpochMetrics, task: Task, folder: Path) -> list[Path]:
    """Write ``NAME.png`` and ``NAME.pdf`` of each figure; no folder where there is none.

    A figure that fails is said and left out.
    """
    drawn: Mapping[str, Any] = {}
    with attempting("figures of the results"):
        drawn = task.figures(metrics.meters, metrics.totals)
    if not drawn:
        return []
    # matplotlib takes a second to import: only where something is drawn
    from weaver_tt.figures.base import make_folder, save_figure

    make_folder(folder)
    written = []
    for name, figure in drawn.items():
        with attempting(f"figure {folder / name}"):
            written += [Path(path) for path in save_figure(figure, folder / name)]
    log.info("figures in %s", folder, extra=SHOWN_OTHERWISE)
    return written
