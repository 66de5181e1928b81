"""What trackers share that keep the runs of many trainings in one place."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from weaver_tt.engine.trackers.base import Figures, RunDescription, Tracker, is_curve
from weaver_tt.engine.trackers.epoch_figures import EpochFigures
from weaver_tt.run_files import RunFiles
from weaver_tt.system.file_shapes import TEXT, WHOLE, NamesTo
from weaver_tt.system.json_files import read_json, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# where runs are kept together, unless the tracker's own variable says otherwise
PROJECT = "weaver_tt"
TRACKED_RUNS = NamesTo({"run": TEXT, "epoch": WHOLE, "step": WHOLE})


@dataclass(slots=True)
class TrackedRun:
    """The run of a tracker that a training reports to, and the last epoch and step it was given."""

    run: str
    epoch: int = -1
    step: int = 0


class ExperimentTracker(Tracker):
    """A tracker of many runs, one of which is that of this training.

    Which one is kept in ``PREFIX_trackers.json``, with how far it has been given: a training that
    is continued goes on there, and an epoch that it does again after an interruption is not shown
    twice.
    """

    name: ClassVar[str]
    """Of the tracker, of its package and of the extra that installs it."""

    def __init__(
        self, about: RunDescription, files: RunFiles, earlier: TrackedRun | None = None
    ) -> None:
        """Begin a run, or go on with the ``earlier`` one."""
        self.about = about
        self.run_files = files
        run = self._open(None if earlier is None else earlier.run)
        self._tracked = earlier or TrackedRun(run)
        self._figures = EpochFigures(self.name)
        self._is_finished = False
        self._is_closed = False
        self._save()

    @abstractmethod
    def _open(self, run: str | None) -> str:
        """Begin a run with its settings and texts, or go on with ``run``; its identity."""

    @abstractmethod
    def _log(self, values: Mapping[str, float], axis: str, number: int) -> None:
        """Write finite numbers at ``number`` of the ``axis``: epoch or step."""

    @abstractmethod
    def _show(self, name: str, figure: Figure, number: int) -> None:
        """Write a figure of an epoch, before the numbers of that epoch."""

    @abstractmethod
    def _summarize(self, best: Mapping[str, float], epoch: int) -> None:
        """Write the metrics of the best epoch, by which runs are compared."""

    @abstractmethod
    def _close(self, is_finished: bool) -> None:
        """End the run; one that is not finished was interrupted, or has failed."""

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """Write ``step/NAME`` over steps."""
        if step > self._tracked.step:
            named = {f"step/{name}": value for name, value in values.items()}
            self._tracked.step = step
            self._log(finite(named), "step", step)

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Write metrics and figures over epochs."""
        if number > self._tracked.epoch:
            named = {}
            for name, value in values.items():
                if is_curve(name):
                    named[name if "/" in name else f"training/{name}"] = value
            self._tracked.epoch = number
            self._figures.draw(figures, lambda name, figure: self._show(name, figure, number))
            self._log(finite(named), "epoch", number)
            self._save()

    def finish(self, best: Mapping[str, float], epoch: int) -> None:
        """Write the metrics of the best epoch."""
        if best:
            self._summarize(finite({f"best/{name}": value for name, value in best.items()}), epoch)
        self._is_finished = True

    def close(self) -> None:
        """End the run."""
        if not self._is_closed:
            self._is_closed = True
            self._save()
            self._close(self._is_finished)

    def _save(self) -> None:
        """Keep which run it is, and how far it has been given."""
        runs = read_tracked_runs(self.run_files.tracked_runs)
        runs[self.name] = self._tracked
        write_json(self.run_files.tracked_runs, {name: asdict(run) for name, run in runs.items()})


def read_tracked_runs(path: Path) -> dict[str, TrackedRun]:
    """The run of each tracker by the tracker's name, of a training; none where there is no file.

    Raises:
        DataError: it cannot be read, or is no such file.
    """
    if not path.is_file():
        return {}
    content = read_json(path, TRACKED_RUNS)
    return {
        name: TrackedRun(run["run"], run["epoch"], run["step"]) for name, run in content.items()
    }


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """The ``values`` that are finite: a rejection that nobody can measure yet is no point."""
    return {name: value for name, value in values.items() if math.isfinite(value)}
