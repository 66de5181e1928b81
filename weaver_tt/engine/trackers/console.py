"""What the terminal and the log show of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weaver_tt.engine.trackers.base import Figures, Tracker
from weaver_tt.log import format_metrics, log


class Console(Tracker):
    """A progress bar with loss, rate and ETA (on terminals only: in a log file it would be noise), and a log line for each epoch."""

    def __init__(self, bar: bool = True) -> None:
        self._show = bar
        self._bar: Any = None
        self._loss = ""

    def begin(self, stage: str, epoch: int, progress: float = 0.0) -> None:
        """A bar from 0 to 100 %."""
        from tqdm import tqdm  # only where a bar is shown

        if self._show:
            layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
            title = f"epoch {epoch} {stage}"
            self._bar = tqdm(
                total=1.0,
                initial=progress,
                desc=title,
                bar_format=layout,
                leave=False,
                dynamic_ncols=True,
                disable=None,
            )
            self._rows, self._loss = 0, ""

    def advance(self, progress: float, rows: int) -> None:
        """Move the bar; it redraws itself at most ten times a second."""
        if self._bar is None:
            return
        self._rows += rows
        if self._bar.update(progress - self._bar.n):
            rate = self._rows / max(self._bar.format_dict["elapsed"], 1e-9)
            self._bar.set_postfix_str(f"{self._loss}{rate:,.0f} rows/s", refresh=False)

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """The bar's loss."""
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
        """One line; what became of the rows has been logged in words."""
        log.info(
            "epoch %d: %s",
            number,
            format_metrics(
                {name: value for name, value in values.items() if not name.startswith("rows_")}
            ),
        )
