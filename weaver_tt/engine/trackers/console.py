"""What the terminal and the log show of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weaver_tt.engine.trackers.base import Figures, Tracker
from weaver_tt.log import format_metrics, log


class Console(Tracker):
    """A progress bar with loss, rows per second and time left, and a log line for each epoch.

    The bar is shown on terminals only; in a log file it would be noise.
    """

    def __init__(self, bar: bool = True) -> None:
        self._show_bar = bar
        self._bar: Any = None
        self._rows = 0  # of this pass, so far
        self._loss = ""

    def begin(self, stage: str, epoch: int, progress: float = 0.0) -> None:
        """Show a bar from 0 to 100 %."""
        # only where a bar is shown
        from tqdm import tqdm

        if not self._show_bar:
            return
        self._bar = tqdm(
            total=1.0,
            initial=progress,
            desc=f"epoch {epoch} {stage}",
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            leave=False,
            dynamic_ncols=True,
            disable=None,  # off where the output is no terminal
        )
        self._rows = 0
        self._loss = ""

    def advance(self, progress: float, rows: int) -> None:
        """Move the bar; it redraws itself at most ten times a second."""
        if self._bar is None:
            return
        self._rows += rows
        # true where the bar was redrawn: the text is made then only
        if self._bar.update(progress - self._bar.n):
            seconds = max(self._bar.format_dict["elapsed"], 1e-9)
            rate = self._rows / seconds
            self._bar.set_postfix_str(f"{self._loss}{rate:,.0f} rows/s", refresh=False)

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """Show the loss in the bar."""
        if "loss" in values:
            self._loss = f"loss {values['loss']:.4f}, "

    def end(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Log one line."""
        # what became of the rows has been logged in words
        metrics = {name: value for name, value in values.items() if not name.startswith("rows_")}
        log.info("epoch %d: %s", number, format_metrics(metrics))
