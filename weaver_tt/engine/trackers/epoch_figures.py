"""When trackers have figures of an epoch: where epochs are short, not each one is drawn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from weaver_tt.engine.trackers.base import Figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class EpochFigures:
    """Draws figures of epochs for one tracker, in a small part of the time of a run.

    ``tracker`` is named where a figure fails, which is said once; the others are still there.
    """

    # the time between figures is at least this many times the time that drawing takes
    PATIENCE = 20

    def __init__(self, tracker: str) -> None:
        self._tracker = tracker
        self._last_drawn = -math.inf  # seconds on the clock
        self._drawing_time = 0.0  # seconds

    def draw(self, figures: Figures | None, write: Callable[[str, Figure], None]) -> None:
        """Draw the figures and ``write`` each by its name; nothing where it is too early."""
        start = time.perf_counter()
        if figures is None or start - self._last_drawn < self.PATIENCE * self._drawing_time:
            return
        # matplotlib takes a second to import
        from weaver_tt.figures.attempts import attempting
        from weaver_tt.figures.base import style

        drawn: Mapping[str, Figure] = {}
        with style(), attempting("figures of an epoch"):
            drawn = figures()
        for name, figure in drawn.items():
            with style(), attempting(f"figure {name} in {self._tracker}"):
                write(name, figure)
        self._last_drawn = time.perf_counter()
        self._drawing_time = self._last_drawn - start
