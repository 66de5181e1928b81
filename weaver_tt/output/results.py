"""Metrics of a training or a prediction as files.

``PREFIX_metrics.json``, and ``PREFIX_figures/NAME.png`` and ``.pdf``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weaver_tt.data.accounting import BadFile
from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.log import log
from weaver_tt.run_files import RunFiles
from weaver_tt.system.atomic_files import write_text
from weaver_tt.tasks.base import Task


def write_results(
    metrics: EpochMetrics,
    task: Task,
    prefix: str | Path,
    figures: bool = True,
    bad_files: Sequence[BadFile] = (),
) -> list[Path]:
    """Write metrics with their details and, with ``figures``, what ``task`` draws of them.

    Metrics that are not finite become null. ``bad_files``, whose rows are missing, stand beside
    them. Nothing is written where nothing was measured and nothing is missing. Returns the files
    that were written.

    Raises:
        OutputError: a file cannot be written.
    """
    if not metrics and not bad_files:
        return []
    # whoever reads the file need not accept NaN, which JSON does not know
    files = RunFiles(str(prefix))
    content = {"metrics": finite_or_none(metrics), **metrics.details()}
    if bad_files:
        content["bad_files"] = list(bad_files)
    text = json.dumps(content, indent=1, allow_nan=False)
    write_text(files.metrics, text + "\n")
    written = [files.metrics]
    if metrics and figures:
        written += _write_figures(task.figures(metrics.meters, metrics.totals), files.figures)
    return written


def _write_figures(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``NAME.png`` and ``NAME.pdf`` of each figure; no folder where there is none."""
    if not figures:
        return []
    # matplotlib takes a second to import: only where something is drawn
    from weaver_tt.figures.base import make_folder, save_figure

    make_folder(folder)
    written = []
    for name, figure in figures.items():
        written += [Path(path) for path in save_figure(figure, folder / name)]
    log.info("figures in %s", folder)
    return written


def finite_or_none(values: Mapping[str, float]) -> dict[str, float | None]:
    """The values for JSON, which knows neither NaN nor infinity: None in their place."""
    finite: dict[str, float | None] = {}
    for name, value in values.items():
        finite[name] = value if math.isfinite(value) else None
    return finite
