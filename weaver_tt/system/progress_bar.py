"""How far something long is: a bar on a terminal, a line in the log now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from weaver_tt.log import is_terminal, log
from weaver_tt.system.terminal import console, short_time

LINE_EVERY = 60.0  # seconds between two lines of a log
REDRAW_EVERY = 0.2  # seconds, of a bar
BAR = 30  # characters

Advance = Callable[[int], None]
"""Takes how many more are done."""


@contextmanager
def progress_bar(title: str, total: int, unit: str, is_shown: bool = True) -> Iterator[Advance]:
    """What is to be called with how many more of ``total`` things are done, each a ``unit``.

    Nothing is shown where ``is_shown`` is false.
    """
    if not is_shown:
        yield lambda number: None
    elif is_terminal():
        with _drawn_bar(title, total, unit) as advance:
            yield advance
    else:
        yield LoggedProgress(title, total, unit)


@contextmanager
def _drawn_bar(title: str, total: int, unit: str) -> Iterator[Advance]:
    # only where there is a terminal
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(BAR),
        TextColumn("{task.percentage:3.0f}%"),
        TextColumn(f"{{task.completed:,.0f}} of {{task.total:,.0f}} {unit}s"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    # without a thread of its own, which processes that are started meanwhile would inherit
    with Progress(*columns, console=console(), transient=True, auto_refresh=False) as bars:
        task = bars.add_task(title, total=total)
        drawn = time.monotonic()

        def advance(number: int) -> None:
            nonlocal drawn
            bars.advance(task, number)
            now = time.monotonic()
            if now - drawn >= REDRAW_EVERY:
                drawn = now
                bars.refresh()

        bars.refresh()
        yield advance


class LoggedProgress:
    """A line in the log, at most one in ``LINE_EVERY`` seconds."""

    def __init__(
        self, title: str, total: int, unit: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._title = title
        self._total = total
        self._unit = unit
        self._clock = clock
        self._began = clock()
        self._logged = self._began
        self._done = 0

    def __call__(self, number: int) -> None:
        """So many more are done."""
        self._done += number
        now = self._clock()
        if now - self._logged < LINE_EVERY or not 0 < self._done < self._total:
            return
        self._logged = now
        left = (now - self._began) * (self._total / self._done - 1)
        done = f"{self._done:,} of {self._total:,} {self._unit}s"
        log.info("%s: %s, %s left", self._title, done, short_time(left))
