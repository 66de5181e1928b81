"""Trackers report how a run goes: to the console, to TensorBoard, to several or to nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from weaver_tt.log import log

# draws figures by name, for trackers that show them
Figures = Callable[[], Mapping[str, Any]]
# gives tensors by name, whose values are to be shown as distributions
Tensors = Callable[[], Mapping[str, Tensor]]


Setting = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDescription:
    """What trackers say of a run beside its curves.

    ``name`` tells it apart from others, and ``group`` is the name of the run that it is a part of,
    such as of the ensemble that it is a member of. ``settings`` are what it may be better or worse
    by. ``texts`` are what made it, by the name of a file: its command, its data YAML.
    ``headline``: metrics that are shown first.
    """

    name: str
    group: str | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    headline: Sequence[str] = ()


def is_curve(name: str) -> bool:
    """Whether a value of epochs is one to draw: what became of the rows hardly ever changes.

    The log says it in words, and the history has the numbers.
    """
    return not name.startswith(("rows_", "padding_"))


class Tracker:
    """A tracker that reports nothing; subclasses override the methods whose news they report.

    Values are numbers by name, such as ``train/loss``. A tracker is a context manager, closed at
    the end of the run.
    """

    def start(self, epoch: int, steps: int) -> None:
        """The run starts, or continues in this epoch after so many steps of the optimizer."""

    def begin(self, stage: str, epoch: int, progress: float = 0.0) -> None:
        """A pass over data starts, such as ``train`` or ``validate`` in this epoch.

        A resumed pass starts at ``progress`` (0 to 1).
        """

    def advance(self, progress: float, rows: int) -> None:
        """A batch of ``rows`` is done, and so ``progress`` (0 to 1) of the pass."""

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """Metrics of the last few steps."""

    def end(self) -> None:
        """The pass is over."""

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Metrics of an epoch; ``figures`` draws its figures when called."""

    def kept(self, number: int, is_best: bool) -> None:
        """The weights of an epoch are saved; whether it is the best so far."""

    def histograms(self, tensors: Tensors, number: int) -> None:
        """How weights and gradients are distributed after an epoch; ``tensors`` gives them.

        They are the training's own: not to be changed, nor kept.
        """

    def finish(self, best: Mapping[str, float], epoch: int) -> None:
        """The run is over, with these metrics of its best ``epoch``; none where it is not known."""

    def close(self) -> None:
        """There is nothing more to report."""

    def files(self) -> list[Path]:
        """The files that this tracker has made so far."""
        return []

    def member(self, name: str) -> Tracker:
        """A tracker for one of the networks that are trained together; by default it is idle."""
        return NullTracker()

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # an error may have come in the middle of a pass
        self.end()
        self.close()


class NullTracker(Tracker):
    """A tracker that reports nothing."""


class OptionalTracker(Tracker):
    """A tracker that a run can do without: its first failure is said, and it is left alone then.

    A full disk for TensorBoard is no reason to lose a training.
    """

    def __init__(self, tracker: Tracker, name: str) -> None:
        self._tracker = tracker
        self._name = name
        self._has_failed = False

    def _attempt(self, report: Callable[..., None], *arguments: Any) -> None:
        if self._has_failed:
            return
        try:
            report(*arguments)
        except Exception as error:
            self._has_failed = True
            log.warning(
                "%s has failed and is given no more; the run goes on (%s: %s)",
                self._name,
                type(error).__name__,
                error,
            )

    def start(self, epoch: int, steps: int) -> None:
        """The run starts, or continues."""
        self._attempt(self._tracker.start, epoch, steps)

    def begin(self, stage: str, epoch: int, progress: float = 0.0) -> None:
        """A pass over data starts."""
        self._attempt(self._tracker.begin, stage, epoch, progress)

    def advance(self, progress: float, rows: int) -> None:
        """A batch is done."""
        self._attempt(self._tracker.advance, progress, rows)

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """Metrics of the last few steps."""
        self._attempt(self._tracker.interval, values, step)

    def end(self) -> None:
        """The pass is over."""
        self._attempt(self._tracker.end)

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Metrics of an epoch."""
        self._attempt(self._tracker.epoch, values, number, figures)

    def kept(self, number: int, is_best: bool) -> None:
        """The weights of an epoch are saved."""
        self._attempt(self._tracker.kept, number, is_best)

    def histograms(self, tensors: Tensors, number: int) -> None:
        """Weights and gradients after an epoch."""
        self._attempt(self._tracker.histograms, tensors, number)

    def finish(self, best: Mapping[str, float], epoch: int) -> None:
        """The run is over."""
        self._attempt(self._tracker.finish, best, epoch)

    def close(self) -> None:
        """There is nothing more to report."""
        self._attempt(self._tracker.close)

    def files(self) -> list[Path]:
        """The files of the tracker."""
        return self._tracker.files()


class MultiTracker(Tracker):
    """Several trackers as one."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = trackers

    def start(self, epoch: int, steps: int) -> None:
        """The run starts, or continues."""
        for tracker in self._trackers:
            tracker.start(epoch, steps)

    def begin(self, stage: str, epoch: int, progress: float = 0.0) -> None:
        """A pass over data starts."""
        for tracker in self._trackers:
            tracker.begin(stage, epoch, progress)

    def advance(self, progress: float, rows: int) -> None:
        """A batch is done."""
        for tracker in self._trackers:
            tracker.advance(progress, rows)

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """Metrics of the last few steps."""
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

    def kept(self, number: int, is_best: bool) -> None:
        """The weights of an epoch are saved."""
        for tracker in self._trackers:
            tracker.kept(number, is_best)

    def histograms(self, tensors: Tensors, number: int) -> None:
        """Weights and gradients after an epoch."""
        for tracker in self._trackers:
            tracker.histograms(tensors, number)

    def finish(self, best: Mapping[str, float], epoch: int) -> None:
        """The run is over."""
        for tracker in self._trackers:
            tracker.finish(best, epoch)

    def close(self) -> None:
        """There is nothing more to report."""
        for tracker in self._trackers:
            tracker.close()

    def files(self) -> list[Path]:
        """The files of all of them."""
        made: list[Path] = []
        for tracker in self._trackers:
            made += tracker.files()
        return made
