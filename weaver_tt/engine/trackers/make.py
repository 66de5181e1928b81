"""The trackers that the options ask for."""

from __future__ import annotations

from torch import nn

from weaver_tt.engine.trackers.base import MultiTracker, NullTracker, Tracker
from weaver_tt.engine.trackers.console import Console
from weaver_tt.engine.trackers.tensorboard import TensorBoard, tensorboard_folder
from weaver_tt.engine.trackers.user_function import UserFunction
from weaver_tt.options.train import TrainOptions
from weaver_tt.system.distributed import is_main

FOLDERS = {"tensorboard": tensorboard_folder}
"""Option that names a tracker's folder -> what it means: the folder, or None for no such tracker."""


def make_tracker(options: TrainOptions, prefix: str, module: nn.Module | None = None) -> Tracker:
    """Console, TensorBoard and the user's function on ``module`` as ``options`` ask for; nothing on ranks other than 0."""
    if not is_main():
        return NullTracker()
    trackers: list[Tracker] = [Console(options.progress)]
    if folder := tensorboard_folder(options.tensorboard, prefix):
        trackers.append(board := TensorBoard(folder))
        if options.tensorboard_custom_fn and module is not None:
            trackers.append(UserFunction(options.tensorboard_custom_fn, board.writer, module))
    return MultiTracker(trackers)
