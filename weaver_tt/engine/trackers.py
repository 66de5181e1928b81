"""Who is told how a run goes: the console, TensorBoard, nobody; several behind one interface."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn

from weaver_tt.distributed import is_main
from weaver_tt.errors import ConfigError
from weaver_tt.log import format_metrics, log
from weaver_tt.network import import_python_file
from weaver_tt.options import TrainOptions

USER_FUNCTION = "get_tensorboard_custom_fn"  # in the file of --tensorboard-custom-fn
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

    def epoch(self, values: Mapping[str, float], number: int, figures: Figures | None = None) -> None:
        """Metrics of an epoch; ``figures`` draws its figures when called."""

    def finish(self, settings: Mapping[str, Any], best: Mapping[str, float]) -> None:
        """The run is over: its settings and the metrics of its best epoch."""

    def close(self) -> None:
        """Nothing more will be told."""

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.end()
        self.close()


class NullTracker(Tracker):
    """Tells nobody."""


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
            self._bar = tqdm(total=1.0, initial=progress, desc=title, bar_format=layout, leave=False, dynamic_ncols=True, disable=None)
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

    def epoch(self, values: Mapping[str, float], number: int, figures: Figures | None = None) -> None:
        """One line; what became of the rows has been logged in words."""
        log.info("epoch %d: %s", number, format_metrics({name: value for name, value in values.items() if not name.startswith("rows_")}))


class TensorBoard(Tracker):
    """Scalars per step (``step/...``) and per epoch, figures, and hparams in ``folder``; of short epochs not every one has figures."""

    PATIENCE = 20  # drawing takes at most one part in this many of the time

    def __init__(self, folder: str) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import

        self.writer = SummaryWriter(folder)
        self._drawn, self._cost = -math.inf, 0.0  # when figures were drawn last, and the seconds that it took

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """``step/NAME`` over steps."""
        for name, value in values.items():
            self.writer.add_scalar(f"step/{name}", value, step)

    def epoch(self, values: Mapping[str, float], number: int, figures: Figures | None = None) -> None:
        """Scalars and figures over epochs."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, number)
        if figures is not None and (start := time.perf_counter()) - self._drawn >= self.PATIENCE * self._cost:
            from weaver_tt.figures.base import style  # draws: takes a second to import

            with style():
                for name, figure in figures().items():
                    self.writer.add_figure(name, figure, number)
            self._drawn, self._cost = time.perf_counter(), time.perf_counter() - start
        self.writer.flush()

    def finish(self, settings: Mapping[str, Any], best: Mapping[str, float]) -> None:
        """Settings with the metrics that they led to."""
        simple = {name: value if isinstance(value, bool | int | float | str) else str(value) for name, value in settings.items()}
        self.writer.add_hparams(simple, {f"best/{name}": value for name, value in best.items()}, run_name=".")

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()


class UserFunction(Tracker):
    """Calls ``get_tensorboard_custom_fn`` of a user's file (``--tensorboard-custom-fn``), with Weaver's arguments.

    ``f(tb_writer=, model_output=, model=, epoch=, i_batch=, mode=)``: ``mode`` is ``train`` or ``eval``; ``model_output`` what the module last
    returned; ``i_batch`` the step at each reading of the meters in training, and -1 at the end of each pass over data.
    """

    def __init__(self, path: str, writer: Any, module: nn.Module) -> None:
        """ConfigError where ``path`` is no python file with that function."""
        self._function = getattr(import_python_file(Path(path), "--tensorboard-custom-fn"), USER_FUNCTION, None)
        if self._function is None:
            raise ConfigError(f"--tensorboard-custom-fn {path}: has no function {USER_FUNCTION}")
        self._writer, self._module = writer, module
        self._mode, self._epoch, self._output = "", 0, None
        self._hook = module.register_forward_hook(self._remember)

    def _remember(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._output = output

    def begin(self, stage: str, epoch: int, progress: float = 0.0) -> None:
        """Note mode and epoch."""
        self._mode, self._epoch, self._output = "train" if stage == "train" else "eval", epoch, None

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """Call it for a step."""
        self._call(step)

    def end(self) -> None:
        """Call it for the whole pass."""
        self._call(-1)
        self._output = None

    def _call(self, batch: int) -> None:
        if self._output is not None:
            with torch.no_grad():
                self._function(
                    tb_writer=self._writer, model_output=self._output, model=self._module, epoch=self._epoch, i_batch=batch, mode=self._mode
                )

    def close(self) -> None:
        """Leave the module alone."""
        self._hook.remove()


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

    def epoch(self, values: Mapping[str, float], number: int, figures: Figures | None = None) -> None:
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


def tensorboard_folder(choice: str | None, prefix: str, before: str | None = None) -> str | None:
    """What ``--tensorboard`` means: None for ``off``, ``PREFIX_tensorboard`` where nothing is said, a path as it is.

    A name without a slash is Weaver's comment: the folder is then ``runs/DATE_HOST`` and it, so that ``tensorboard --logdir runs`` shows all runs;
    a resumed run goes on in the folder that it had ``before``.
    """
    if choice == "off":
        return None
    if choice is None:
        return f"{prefix}_tensorboard"
    if os.sep in choice:
        return choice
    if before is not None and before.endswith(choice):
        return before
    return str(Path("runs") / f"{datetime.now():%b%d_%H-%M-%S}_{socket.gethostname()}{choice}")


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
