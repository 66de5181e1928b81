"""What a training or a prediction measured, as files: ``PREFIX_metrics.json`` and ``PREFIX_figures/NAME.png`` and ``.pdf``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.log import log
from weaver_tt.run_files import RunFiles
from weaver_tt.system.atomic_files import write_text


def write_results(outcome: EpochMetrics, prefix: str | Path, figures: bool = True) -> None:
    """Write metrics (null where they are not finite) and, by task, their details and figures; nothing where nothing was measured.

    OutputError when they cannot be written.
    """
    if not outcome:
        return
    files = RunFiles(str(prefix))
    write_text(
        files.metrics,
        json.dumps(
            {"metrics": finite_or_none(outcome), **outcome.details()}, indent=1, allow_nan=False
        )
        + "\n",
    )
    drawn = outcome.figures() if figures else {}
    if drawn:
        from weaver_tt.figures.base import (
            make_folder,
            save_figure,
        )  # matplotlib only where something is drawn

        folder = files.figures
        make_folder(folder)
        for name, figure in drawn.items():
            save_figure(figure, folder / name)
        log.info("figures in %s", folder)


def finite_or_none(values: Mapping[str, float]) -> dict[str, float | None]:
    """The same for JSON, which knows no NaN and no infinity: None in their stead."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
