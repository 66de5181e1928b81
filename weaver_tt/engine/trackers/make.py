"""Make the trackers that the options ask for.

To add a tracker, write one module beside this one with a subclass of :class:`Tracker` and a
function that finds its folder, give ``TrainOptions`` an option for the folder, and enter both
here: in ``FOLDERS`` and in ``make_tracker``. Ensembles, cross-validation and resumed runs then
find its folder as they find TensorBoard's; ``RunFiles.tracker_folder`` gives its usual name.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from weaver_tt.engine.trackers.base import MultiTracker, NullTracker, OptionalTracker, Tracker
from weaver_tt.engine.trackers.console import Console
from weaver_tt.engine.trackers.history import History
from weaver_tt.engine.trackers.tensorboard import TensorBoard, tensorboard_folder
from weaver_tt.engine.trackers.user_function import UserFunction
from weaver_tt.errors import OutputError
from weaver_tt.options.train import TrainOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system.distributed import is_main

FOLDERS: dict[str, Callable[[str | None, str, str | None], str | None]] = {
    "tensorboard": tensorboard_folder,
}
"""Option that names a tracker's folder -> function (its value, prefix, folder before a resume).

The function gives the folder, or None for no such tracker.
"""


def make_console(options: TrainOptions) -> Tracker:
    """What the terminal and the log show; ranks other than 0 report nothing."""
    return Console(options.progress) if is_main() else NullTracker()


def make_tracker(options: TrainOptions, prefix: str, module: nn.Module | None = None) -> Tracker:
    """The table of the epochs, and TensorBoard and the user's function as ``options`` ask for.

    Ranks other than 0 report nothing.

    Raises:
        OutputError: the folder of TensorBoard cannot be written to.
    """
    if not is_main():
        return NullTracker()
    path = RunFiles(prefix).history
    trackers: list[Tracker] = [OptionalTracker(History(path), f"the table of epochs, {path},")]
    folder = tensorboard_folder(options.tensorboard, prefix)
    if folder is not None:
        try:
            board = TensorBoard(folder)
        except OSError as error:
            raise OutputError(f"--tensorboard {folder}: cannot be written: {error}") from error
        trackers.append(OptionalTracker(board, f"TensorBoard in {folder}"))
        # Weaver hands its TensorBoard writer to the function, which has no other place to write to
        if options.tensorboard_custom_fn and module is not None:
            trackers.append(UserFunction(options.tensorboard_custom_fn, board.writer, module))
    return MultiTracker(trackers)
