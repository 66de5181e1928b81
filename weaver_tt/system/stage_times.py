"""Where the time of a pass over data goes: seconds by stage, counted where the work is done.

A stage is entered once for a chunk, a batch or an expression, never once for a row. While a stage
runs inside another one, the time is that of the inner one alone. Each thread has its own clock;
what it has counted travels with the chunks and batches that it makes, through threads and
processes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from enum import Enum
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


class Stage(Enum):
    """What a batch goes through, in order. Values are the names in messages."""

    READING = "reading"
    DECOMPRESSING = "decompressing"
    # of formats that do both in one call
    READING_AND_DECOMPRESSING = "reading and decompressing"
    # selections, new variables, labels and weights
    EXPRESSIONS = "expressions"
    SCALING = "scaling"
    BATCHING = "batching"
    # from a worker process to the one that trains
    HANDING_OVER = "handing over"
    # of what makes batches, for chunks that are read
    CHUNKS = "waiting for chunks"
    # of the consumer, for all of the above
    WAITING = "waiting for data"
    PADDING = "padding"
    TRANSFER = "transfer"
    # of a prediction
    WRITING = "writing"
    # of a rank that is done with a step, for those that are not
    OTHER_RANKS = "waiting for other ranks"


class StageTimes:
    """Seconds by stage, bytes copied to the device, and seconds by the source of an expression."""

    def __init__(self) -> None:
        self.seconds: dict[Stage, float] = {}
        self.expressions: dict[str, float] = {}
        self.bytes_moved = 0

    def add(self, other: StageTimes) -> None:
        """Add the times of ``other`` to these."""
        for stage, seconds in other.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        for source, seconds in other.expressions.items():
            self.expressions[source] = self.expressions.get(source, 0.0) + seconds
        self.bytes_moved += other.bytes_moved

    def since(self, before: StageTimes) -> StageTimes:
        """What has come to these times since a :meth:`copy` of them, ``before``."""
        later = StageTimes()
        for stage, seconds in self.seconds.items():
            later.seconds[stage] = seconds - before.seconds.get(stage, 0.0)
        for source, seconds in self.expressions.items():
            later.expressions[source] = seconds - before.expressions.get(source, 0.0)
        later.bytes_moved = self.bytes_moved - before.bytes_moved
        return later

    def copy(self) -> StageTimes:
        """The same times, which stay as they are."""
        copied = StageTimes()
        copied.add(self)
        return copied

    def take(self) -> StageTimes:
        """These times, which begin at zero again."""
        taken = StageTimes()
        taken.seconds, self.seconds = self.seconds, {}
        taken.expressions, self.expressions = self.expressions, {}
        taken.bytes_moved, self.bytes_moved = self.bytes_moved, 0
        return taken

    def stage(self, stage: Stage) -> _Running:
        """``with times.stage(...)``: the time inside counts here, for ``stage``."""
        return _Running(self, stage)

    def over(self, stage: Stage, items: Iterator[T]) -> Iterator[T]:
        """The ``items``; the time until each of them comes counts for ``stage``."""
        end: Any = object()
        while True:
            with self.stage(stage):
                item = next(items, end)
            if item is end:
                return
            yield item


class _Clock(threading.local):
    """The stages that are running in this thread, the innermost last.

    A forked process begins with those that were running where it was forked: they go on counting
    there, in times of its own that nobody looks at.
    """

    def __init__(self) -> None:
        self.running: list[_Running] = []
        self.latest = 0.0  # when the latest of them began or ended

    def count(self) -> None:
        """Count the time until now for the innermost stage."""
        now = time.perf_counter()
        if self.running:
            self.running[-1].count(now - self.latest)
        self.latest = now


_clock = _Clock()


class _Running:
    """A stage that is running; without ``times`` it counts nowhere."""

    __slots__ = ("expression", "stage", "times")

    def __init__(self, times: StageTimes | None, stage: Stage, expression: str = "") -> None:
        self.times = times
        self.stage = stage
        self.expression = expression

    def __enter__(self) -> None:
        if self.times is not None:
            _clock.count()
            _clock.running.append(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.times is not None:
            _clock.count()
            _clock.running.pop()

    def count(self, seconds: float) -> None:
        assert self.times is not None
        of_stages = self.times.seconds
        of_stages[self.stage] = of_stages.get(self.stage, 0.0) + seconds
        if self.expression:
            of_expressions = self.times.expressions
            of_expressions[self.expression] = of_expressions.get(self.expression, 0.0) + seconds


def stage(stage: Stage, expression: str = "") -> _Running:
    """``with stage(...)``: the time inside counts where that of the stage around it counts.

    Where no stage is running, it counts nowhere. ``expression``: its source, where it is one.
    """
    times = _clock.running[-1].times if _clock.running else None
    return _Running(times, stage, expression)


def count_bytes_moved(number: int) -> None:
    """So many bytes go to the device, in the stage that is running."""
    if _clock.running:
        times = _clock.running[-1].times
        assert times is not None
        times.bytes_moved += number
