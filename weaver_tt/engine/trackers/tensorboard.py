"""Metrics, figures, texts and settings in TensorBoard."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_tt.engine.trackers.base import Figures, RunDescription, Tensors, Tracker, is_curve
from weaver_tt.engine.trackers.epoch_figures import EpochFigures
from weaver_tt.metrics.descriptions import describe_metric
from weaver_tt.run_files import EVENT_FILE, RunFiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# what is measured on either of these, under the same names: both curves are then on one card
PASSES = ("train", "val")
# of the best epoch: a point on these cards, and the settings
BEST = "best"


class TensorBoard(Tracker):
    """What happens in a run, as TensorBoard shows it.

    ``folder`` has the metrics of steps (``step/...``) over steps, and texts. Its folders ``train``
    and ``val`` have what is known of epochs: ``headline/...``, ``loss``, ``metrics/...``,
    ``plots/...``, ``tensors/...`` and ``training/...``. TensorBoard sorts by these names, and opens
    the first two. Where epochs are short, not every one has figures.
    """

    def __init__(self, folder: str, about: RunDescription) -> None:
        # takes a second to import
        from torch.utils.tensorboard import SummaryWriter

        self._folder = Path(folder)
        self._about = about
        # other runs may write to the folder, too
        self._best_ending = "." + re.sub(r"[^\w-]+", "_", about.name)
        self._before = set(self._event_files())
        self.writer: Any = SummaryWriter(folder)
        self._of_passes: dict[str, Any] = {}
        self._first_epoch = 0  # of this process
        self._figures = EpochFigures("TensorBoard")

    def start(self, epoch: int, steps: int) -> None:
        """Write the texts; what is done again is not shown twice.

        The best epoch is that of a run that is over: a run that goes on has none.
        """
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self._first_epoch = epoch
        if epoch or steps:
            # what an interrupted process wrote after its last save
            restart = SessionLog(status=SessionLog.START)
            self.writer.file_writer.add_event(Event(step=steps + 1, session_log=restart))
        for path in (self._folder / BEST).glob(f"{EVENT_FILE}*{self._best_ending}"):
            path.unlink()
        for name, text in self._about.texts.items():
            self.writer.add_text(name, _as_markdown(text), steps)
        self.writer.flush()

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """Write ``step/NAME`` over steps."""
        for name, value in values.items():
            _add_scalar(self.writer, f"step/{name}", value, step)

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Write metrics and figures over epochs."""
        for name, value in values.items():
            if is_curve(name):
                of_pass, tag = self._place(name)
                _add_scalar(self._writer_of(of_pass), tag, value, number)
        writer = self._writer_of(_last_pass(values))

        def write(name: str, figure: Figure) -> None:
            writer.add_figure(f"plots/{name}", figure, number)

        self._figures.draw(figures, write)
        # what is there can be looked at while the run goes on
        self._flush()

    def _place(self, name: str) -> tuple[str | None, str]:
        """The pass over data, None for neither, and the tag of a value of epochs."""
        if "/" not in name:
            # the learning rate, and where the time goes
            return PASSES[0], f"training/{name}"
        of_pass, _, metric = name.partition("/")
        if of_pass in PASSES:
            return of_pass, self._tag(metric)
        return None, name

    def _tag(self, metric: str) -> str:
        """What a metric is called, by which TensorBoard sorts and groups."""
        if metric == "loss":
            return metric
        return f"headline/{metric}" if metric in self._about.headline else f"metrics/{metric}"

    def _writer_of(self, of_pass: str | None) -> Any:
        """Where the metrics of training or validation are written."""
        from torch.utils.tensorboard import SummaryWriter

        if of_pass is None:
            return self.writer
        if of_pass not in self._of_passes:
            self._of_passes[of_pass] = SummaryWriter(
                str(self._folder / of_pass), purge_step=self._first_epoch or None
            )
        return self._of_passes[of_pass]

    def _flush(self) -> None:
        for writer in (self.writer, *self._of_passes.values()):
            writer.flush()

    def histograms(self, tensors: Tensors, number: int) -> None:
        """Write the distribution of the finite values of each tensor."""
        writer = self._writer_of(PASSES[0])
        for name, tensor in tensors().items():
            values = tensor[tensor.isfinite()]
            if len(values):
                # of a type that numpy knows
                writer.add_histogram(f"tensors/{name}", values.float(), number)
        writer.flush()

    def finish(self, best: Mapping[str, float], epoch: int) -> None:
        """Write the settings with the metrics of the best epoch."""
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        metrics = {self._tag(name): value for name, value in best.items()}
        folder = str(self._folder / BEST)
        with SummaryWriter(folder, filename_suffix=self._best_ending) as writer:
            for summary in hparams(dict(self._about.settings), metrics):
                writer.file_writer.add_summary(summary)
            for tag, value in metrics.items():
                _add_scalar(writer, tag, value, epoch)

    def close(self) -> None:
        """Write what is left."""
        for writer in (self.writer, *self._of_passes.values()):
            writer.close()

    def files(self) -> list[Path]:
        """The event files that this process has made: other runs may write to the folder too."""
        return [path for path in self._event_files() if path not in self._before]

    def _event_files(self) -> list[Path]:
        """The event files of this process that are there."""
        found = []
        for folder in (self._folder, *(self._folder / part for part in (*PASSES, BEST))):
            found += sorted(folder.glob(f"{EVENT_FILE}*.{os.getpid()}.*"))
        return found


def _add_scalar(writer: Any, tag: str, value: float, place: int) -> None:
    """Write a number with a line about its metric, which its card shows behind an ``i``."""
    from torch.utils.tensorboard.summary import scalar

    summary = scalar(tag, value)
    [entry] = summary.value
    entry.metadata.summary_description = describe_metric(tag.rpartition("/")[2])
    writer.file_writer.add_summary(summary, place)


def _last_pass(values: Mapping[str, float]) -> str | None:
    """The pass over data that the figures of an epoch are of: validation where there is any."""
    found = [part for part in PASSES if any(name.startswith(f"{part}/") for name in values)]
    return found[-1] if found else None


def _as_markdown(text: str) -> str:
    """``text`` as a block of code, whatever it holds."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def tensorboard_folder(choice: str | None, prefix: str, before: str | None = None) -> str | None:
    """The folder that ``--tensorboard`` means, or None for ``off``.

    It is ``PREFIX_tensorboard`` where the option is not given, and a path as it is. A name without
    a slash is Weaver's comment: the folder is then ``runs/DATE_HOST`` followed by it, so that
    ``tensorboard --logdir runs`` shows all runs; a resumed run goes on in the folder that it had
    ``before``.
    """
    if choice == "off":
        return None
    if choice is None:
        folder = str(RunFiles(prefix).tracker_folder("tensorboard"))
        # the run asks again with this folder, where a name without a slash would be a comment
        return folder if os.sep in folder else os.path.join(os.curdir, folder)
    if os.sep in choice:
        return choice
    if before is not None and before.endswith(choice):
        return before
    date = f"{datetime.now():%b%d_%H-%M-%S}"
    return str(Path("runs") / f"{date}_{socket.gethostname()}{choice}")
