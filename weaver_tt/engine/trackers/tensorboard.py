"""Metrics, figures and settings in TensorBoard."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from weaver_tt.engine.trackers.base import Figures, Tensors, Tracker
from weaver_tt.run_files import RunFiles


class TensorBoard(Tracker):
    """Metrics of steps (``step/...``) and of epochs, figures, and hparams in ``folder``.

    Where epochs are short, not every one has figures.
    """

    # the time between figures is at least this many times the time that drawing takes
    PATIENCE = 20

    def __init__(self, folder: str) -> None:
        # takes a second to import
        from torch.utils.tensorboard import SummaryWriter

        self._folder = Path(folder)
        self._before = set(self._event_files())
        self.writer = SummaryWriter(folder)
        self._last_drawn = -math.inf  # seconds on the clock
        self._drawing_time = 0.0  # seconds

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """Write ``step/NAME`` over steps."""
        for name, value in values.items():
            self.writer.add_scalar(f"step/{name}", value, step)

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Write metrics and figures over epochs."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, number)
        if figures is not None:
            start = time.perf_counter()
            if start - self._last_drawn >= self.PATIENCE * self._drawing_time:
                self._write_figures(figures, number)
                self._last_drawn = time.perf_counter()
                self._drawing_time = self._last_drawn - start
        # what is there can be looked at while the run goes on
        self.writer.flush()

    def _write_figures(self, figures: Figures, number: int) -> None:
        """Draw the figures of an epoch."""
        # matplotlib takes a second to import
        from weaver_tt.figures.attempts import attempting
        from weaver_tt.figures.base import style

        drawn: Mapping[str, Any] = {}
        with style(), attempting("figures of an epoch"):
            drawn = figures()
        for name, figure in drawn.items():
            with style(), attempting(f"figure {name} in TensorBoard"):
                self.writer.add_figure(name, figure, number)

    def histograms(self, tensors: Tensors, number: int) -> None:
        """Write the distribution of the finite values of each tensor."""
        for name, tensor in tensors().items():
            values = tensor[tensor.isfinite()]
            if len(values):
                # of a type that numpy knows
                self.writer.add_histogram(name, values.float(), number)
        self.writer.flush()

    def finish(self, settings: Mapping[str, Any], best: Mapping[str, float]) -> None:
        """Write the settings with the metrics of the best epoch."""
        # hparams may be of no other types
        hparams = {}
        for name, value in settings.items():
            hparams[name] = value if isinstance(value, bool | int | float | str) else str(value)
        metrics = {f"best/{name}": value for name, value in best.items()}
        # in this folder: without a name, each call makes a folder of its own
        self.writer.add_hparams(hparams, metrics, run_name=".")

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()

    def files(self) -> list[Path]:
        """The event files that this process has made: other runs may write to the folder too."""
        return [path for path in self._event_files() if path not in self._before]

    def _event_files(self) -> list[Path]:
        """The event files of this process that are there."""
        return sorted(self._folder.glob(f"events.out.tfevents.*.{os.getpid()}.*"))


def tensorboard_folder(choice: str | None, prefix: str, before: str | None = None) -> str | None:
    """The folder that ``--tensorboard`` means, or None for ``off``.

    It is ``PREFIX_tensorboard`` where the option is not given, and a path as it is. A name without
    a slash is Weaver's comment: the folder is then ``runs/DATE_HOST`` followed by it, so that
    ``tensorboard --logdir runs`` shows all runs; a resumed run goes on in the folder that it had
    ``before``.
    """
    if choice == "off":
        return None
    if choice is None:
        folder = str(RunFiles(prefix).tracker_folder("tensorboard"))
        # the run asks again with this folder, where a name without a slash would be a comment
        return folder if os.sep in folder else os.path.join(os.curdir, folder)
    if os.sep in choice:
        return choice
    if before is not None and before.endswith(choice):
        return before
    date = f"{datetime.now():%b%d_%H-%M-%S}"
    return str(Path("runs") / f"{date}_{socket.gethostname()}{choice}")
