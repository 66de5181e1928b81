"""Scalars, figures and hparams in TensorBoard."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from weaver_tt.engine.trackers.base import Figures, Tracker
from weaver_tt.run_files import RunFiles


class TensorBoard(Tracker):
    """Scalars per step (``step/...``) and per epoch, figures, and hparams in ``folder``; of short epochs not every one has figures."""

    PATIENCE = 20  # drawing takes at most one part in this many of the time

    def __init__(self, folder: str) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import

        self.writer = SummaryWriter(folder)
        self._drawn, self._cost = (
            -math.inf,
            0.0,
        )  # when figures were drawn last, and the seconds that it took

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """``step/NAME`` over steps."""
        for name, value in values.items():
            self.writer.add_scalar(f"step/{name}", value, step)

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Scalars and figures over epochs."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, number)
        if (
            figures is not None
            and (start := time.perf_counter()) - self._drawn >= self.PATIENCE * self._cost
        ):
            from weaver_tt.figures.base import style  # draws: takes a second to import

            with style():
                for name, figure in figures().items():
                    self.writer.add_figure(name, figure, number)
            self._drawn, self._cost = time.perf_counter(), time.perf_counter() - start
        self.writer.flush()

    def finish(self, settings: Mapping[str, Any], best: Mapping[str, float]) -> None:
        """Settings with the metrics that they led to."""
        simple = {
            name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in settings.items()
        }
        self.writer.add_hparams(
            simple, {f"best/{name}": value for name, value in best.items()}, run_name="."
        )

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()


def tensorboard_folder(choice: str | None, prefix: str, before: str | None = None) -> str | None:
    """What ``--tensorboard`` means: None for ``off``, ``PREFIX_tensorboard`` where nothing is said, a path as it is.

    A name without a slash is Weaver's comment: the folder is then ``runs/DATE_HOST`` and it, so that ``tensorboard --logdir runs`` shows all runs;
    a resumed run goes on in the folder that it had ``before``.
    """
    if choice == "off":
        return None
    if choice is None:
        return str(RunFiles(prefix).tracker_folder("tensorboard"))
    if os.sep in choice:
        return choice
    if before is not None and before.endswith(choice):
        return before
    return str(Path("runs") / f"{datetime.now():%b%d_%H-%M-%S}_{socket.gethostname()}{choice}")
