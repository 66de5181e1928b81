"""Make the trackers that the options ask for.

To add a tracker, write one module beside this one with a subclass of :class:`Tracker` and a
function that finds its folder, give ``TrainOptions`` an option for the folder, and enter both
here: in ``FOLDERS`` and in ``make_tracker``. Ensembles, cross-validation and resumed runs then
find its folder as they find TensorBoard's; ``RunFiles.tracker_folder`` gives its usual name. One
that keeps many runs in a place of its own is an :class:`ExperimentTracker`, in ``EXPERIMENTS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import nn

from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.trackers.base import (
    MultiTracker,
    NullTracker,
    OptionalTracker,
    RunDescription,
    Tracker,
)
from weaver_tt.engine.trackers.console import Console
from weaver_tt.engine.trackers.experiment import (
    ExperimentTracker,
    TrackedRun,
    read_tracked_runs,
)
from weaver_tt.engine.trackers.history import History
from weaver_tt.engine.trackers.mlflow import MLflow
from weaver_tt.engine.trackers.tensorboard import TensorBoard, tensorboard_folder
from weaver_tt.engine.trackers.terminal import Terminal
from weaver_tt.engine.trackers.user_function import UserFunction
from weaver_tt.engine.trackers.wandb import WandB
from weaver_tt.errors import ConfigError, OutputError, WeaverError, nearest
from weaver_tt.log import has_quiet_terminal, is_terminal
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system.distributed import is_main
from weaver_tt.system.optional_imports import require_module
from weaver_tt.system.terminal import console
from weaver_tt.tasks.base import Task

FOLDERS: dict[str, Callable[[str | None, str, str | None], str | None]] = {
    "tensorboard": tensorboard_folder,
}
"""Option that names a tracker's folder -> function (its value, prefix, folder before a resume).

The function gives the folder, or None for no such tracker.
"""

EXPERIMENTS: dict[str, type[ExperimentTracker]] = {
    tracker.name: tracker for tracker in (MLflow, WandB)
}
"""Trackers of ``--tracker``, by name."""


def make_console(options: TrainOptions, task: Task | None = None) -> Tracker:
    """What the terminal and the log show; ranks other than 0 report nothing.

    ``task``: what a training learns; without one it is a trial, which has no epochs.
    """
    if not is_main():
        return NullTracker()
    headline = [] if task is None else task.headline_metrics
    if not is_terminal():
        return Console(headline)
    bars = None
    if options.progress:
        # rich takes a tenth of a second to import: only where there is a terminal
        from weaver_tt.engine.trackers.bars import Bars

        bars = Bars(console(), 1 if task is None else options.num_epochs)
    has_table = task is not None and not has_quiet_terminal()
    return Terminal(console(), headline, bars=bars, has_table=has_table)


def with_progress(batches: Iterator[Batch], title: str) -> Iterator[Batch]:
    """The ``batches``, with a bar on a terminal; ranks other than 0 show nothing."""
    if not is_main() or not is_terminal():
        return batches
    # rich takes a tenth of a second to import: only where there is a terminal
    from weaver_tt.engine.trackers.bars import with_bar

    return with_bar(batches, title, console())


def make_tracker(
    options: TrainOptions, prefix: str, about: RunDescription, module: nn.Module | None = None
) -> Tracker:
    """The table of the epochs, TensorBoard with the user's function, and those of ``--tracker``.

    Ranks other than 0 report nothing.

    Raises:
        OutputError: the folder of TensorBoard cannot be written to, or a run of a tracker cannot
            be begun.
    """
    if not is_main():
        return NullTracker()
    path = RunFiles(prefix).history
    trackers: list[Tracker] = [OptionalTracker(History(path), f"the table of epochs, {path},")]
    trackers.append(make_tensorboard(options, prefix, about, module))
    for name in parse_trackers(options.tracker):
        trackers.append(_begin_run(name, options, prefix, about))
    return MultiTracker(trackers)


def make_tensorboard(
    options: TrainOptions, prefix: str, about: RunDescription, module: nn.Module | None = None
) -> Tracker:
    """TensorBoard, and the user's function that writes to it.

    Ranks other than 0 report nothing.

    Raises:
        OutputError: the folder of TensorBoard cannot be written to.
    """
    folder = tensorboard_folder(options.tensorboard, prefix)
    if folder is None or not is_main():
        return NullTracker()
    try:
        board = TensorBoard(folder, about)
    except OSError as error:
        raise OutputError(f"--tensorboard {folder}: cannot be written: {error}") from error
    tracker = OptionalTracker(board, f"TensorBoard in {folder}")
    # Weaver hands its TensorBoard writer to the function, which has no other place to write to
    if options.tensorboard_custom_fn and module is not None:
        function = UserFunction(options.tensorboard_custom_fn, board.writer, module)
        return MultiTracker([tracker, function])
    return tracker


def parse_trackers(text: str) -> list[str]:
    """``--tracker mlflow,wandb`` as names.

    Raises:
        ConfigError: there is no such tracker.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in EXPERIMENTS:
            raise ConfigError(f"--tracker {name!r}; {nearest(name, EXPERIMENTS)}")
    return list(dict.fromkeys(names))


def check_trackers(text: str) -> None:
    """Check that there are the trackers of ``--tracker``, and their packages.

    Raises:
        ConfigError: there is no such tracker, or its package is not installed.
    """
    for name in parse_trackers(text):
        require_module(name, name, f"train --tracker {name}")


def _begin_run(name: str, options: TrainOptions, prefix: str, about: RunDescription) -> Tracker:
    """A tracker with the run of this training, new or that of the training that is continued."""
    files = RunFiles(prefix)
    earlier = _run_to_continue(name, options, files)
    try:
        tracker = EXPERIMENTS[name](about, files, earlier)
    except WeaverError:
        raise
    # each package has errors of its own: no network, no key, a store of another version
    except Exception as error:
        which = f"the run {earlier.run} of {files.tracked_runs}" if earlier else "a run"
        raise OutputError(
            f"--tracker {name}: {which} cannot be opened ({error}); train without it, or see "
            "docs/trackers.md"
        ) from error
    return OptionalTracker(tracker, f"--tracker {name}")


def _run_to_continue(name: str, options: TrainOptions, files: RunFiles) -> TrackedRun | None:
    """The run of a tracker that the training goes on with; None for a new one.

    With ``--load-epoch``, a training that goes back to an earlier epoch than the tracker knows
    takes another course, which is another run.
    """
    if not options.resume and options.load_epoch is None:
        return None
    earlier = read_tracked_runs(files.tracked_runs).get(name)
    if earlier is None or options.load_epoch is None:
        return earlier
    return earlier if earlier.epoch <= options.load_epoch else None
