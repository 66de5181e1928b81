"""Who is told how a run goes: the console, TensorBoard, nobody; several behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

Figures = Callable[[], Mapping[str, Any]]


class Tracker:
    """Tells nobody; the others override what they tell. Values are numbers by name; TensorBoard groups ``train/loss`` by what is before the slash."""

    def begin(self, stage: str, epoch: int, progress: float = 0.0) -> None:
        """A pass over data starts: ``train``, ``validate`` ... in this epoch (at ``progress`` of it, when resumed)."""

    def advance(self, progress: float, rows: int) -> None:
        """A batch of ``rows`` is done, and ``progress`` (0 to 1) of the pass."""

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """Readings of the last few steps."""

    def end(self) -> None:
        """The pass is over."""

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Metrics of an epoch; ``figures`` draws its figures when called."""

    def finish(self, settings: Mapping[str, Any], best: Mapping[str, float]) -> None:
        """The run is over: its settings and the metrics of its best epoch."""

    def close(self) -> None:
        """Nothing more will be told."""

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()
        self.close()


class NullTracker(Tracker):
    """Tells nobody."""


class MultiTracker(Tracker):
    """Tells each of ``trackers``."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = trackers

    def begin(self, stage: str, epoch: int, progress: float = 0.0) -> None:
        """A pass over data starts."""
        for tracker in self._trackers:
            tracker.begin(stage, epoch, progress)

    def advance(self, progress: float, rows: int) -> None:
        """A batch is done."""
        for tracker in self._trackers:
            tracker.advance(progress, rows)

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """Readings of the last few steps."""
        for tracker in self._trackers:
            tracker.interval(values, step)

    def end(self) -> None:
        """The pass is over."""
        for tracker in self._trackers:
            tracker.end()

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Metrics of an epoch."""
        for tracker in self._trackers:
            tracker.epoch(values, number, figures)

    def finish(self, settings: Mapping[str, Any], best: Mapping[str, float]) -> None:
        """The run is over."""
        for tracker in self._trackers:
            tracker.finish(settings, best)

    def close(self) -> None:
        """Nothing more will be told."""
        for tracker in self._trackers:
            tracker.close()
