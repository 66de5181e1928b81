"""Bars at the bottom of a terminal: how far a pass over data is, and how far the whole is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from weaver_tt.data.rows.batch import Batch
from weaver_tt.system.terminal import short_time

REDRAW_EVERY = 0.2  # seconds
WIDEST = 30  # characters of a bar
COLUMNS = 5  # title, bar, share, time left, remarks
OTHERS = 42  # characters of the columns beside bar and remarks, with the space between them
MARGIN = 4  # characters that are left free behind bars


class Bars:
    """A bar of the running pass and, of several ``epochs``, one of all of them.

    Drawn by whoever moves them, without a thread. Lines that are printed meanwhile, by whomever,
    come above them.
    """

    def __init__(
        self,
        console: Console,
        epochs: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.remark = ""  # beside the bar of the pass
        self._console = console
        self._epochs = epochs
        self._clock = clock
        self._live: Live | None = None
        self._drawn = -REDRAW_EVERY
        self._stage = ""
        self._epoch = 0
        self._rows = 0  # of this pass, so far
        self._whole = _Estimate(0, clock())
        self._pass = self._whole
        # share of an epoch's time that its training takes, once that is known
        self._training_share = 1.0
        self._training_seconds = 0.0

    def begin(self, stage: str, epoch: int, progress: float = 0.0) -> None:
        """A pass starts at ``progress`` (0 to 1)."""
        now = self._clock()
        self._stage = stage
        self._epoch = epoch
        self._rows = 0
        # of the pass before, which may have been long ago where epochs are short
        self.remark = ""
        self._pass = _Estimate(progress, now)
        if self._live is None:
            self._whole = _Estimate((epoch + progress) / self._epochs, now)
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                # what is printed into a file stays there
                redirect_stdout=sys.stdout.isatty(),
            )
            self._live.start()
        self._draw()

    def advance(self, progress: float, rows: int) -> None:
        """A batch of ``rows`` is done, and so ``progress`` (0 to 1) of the pass."""
        now = self._clock()
        self._rows += rows
        self._pass.move(progress, now)
        self._whole.move(self._share_of_all(progress), now)
        if now - self._drawn >= REDRAW_EVERY or progress >= 1:
            self._draw()

    def end(self) -> None:
        """The pass is over: others follow at once, where there are several epochs."""
        if self._epochs == 1:
            self.close()

    def close(self) -> None:
        """Take the bars away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _share_of_all(self, progress: float) -> float:
        """How much of all epochs is done, by the time that training and validation take."""
        seconds = self._pass.seconds
        if self._stage == "train":
            self._training_seconds = seconds
            done = progress * self._training_share
        else:
            if progress and self._training_seconds:
                expected = seconds / progress
                self._training_share = self._training_seconds / (self._training_seconds + expected)
            done = self._training_share + progress * (1 - self._training_share)
        return (self._epoch + done) / self._epochs

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)
            self._drawn = self._clock()

    def _picture(self) -> RenderableType:
        width = min(WIDEST, self._console.width // 4)
        bars = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(COLUMNS):
            bars.add_column(no_wrap=True)
        rate = f"{self._rows / max(self._pass.seconds, 1e-9):,.0f} rows/s"
        title = self._stage
        if self._epochs > 1:
            title = f"epoch {self._epoch} {self._stage}"
        # of a narrow terminal they are what is left out
        room = self._console.width - MARGIN - width - OTHERS
        remarks = ""
        for remark in (rate, self.remark):
            if len(remarks) + len(remark) + 2 <= room:
                remarks += f"{remark}  "
        bars.add_row(title, *self._pass.picture(width), Text(remarks.rstrip(), "dim"))
        if self._epochs > 1:
            left = f"{self._epoch + 1} of {self._epochs} epochs"
            bars.add_row(left, *self._whole.picture(width), "")
        # a line that is full would be broken by the ^C of a terminal, and a part of it would stay
        return Constrain(bars, self._console.width - MARGIN)


class _Estimate:
    """How much of something is done since ``start``, and when it will be."""

    def __init__(self, start: float, now: float) -> None:
        self._start = start
        self._done = start
        self._began = now
        self.seconds = 0.0  # so far

    def move(self, done: float, now: float) -> None:
        """So much is done (0 to 1); a share that falls is not believed."""
        self._done = max(self._done, min(done, 1.0))
        self.seconds = now - self._began

    def picture(self, width: int) -> tuple[RenderableType, str, str]:
        """A bar, the share that is done and the time left, as cells of a row."""
        bar = ProgressBar(total=1.0, completed=self._done, width=width)
        left = ""
        if self._done > self._start:
            seconds = self.seconds * (1 - self._done) / (self._done - self._start)
            left = f"{short_time(seconds)} left"
        return bar, f"{self._done:4.0%}", left


def with_bar(batches: Iterable[Batch], title: str, console: Console) -> Iterator[Batch]:
    """The ``batches``, and a bar while they are worked on."""
    bars = Bars(console)
    with closing(bars):
        bars.begin(title, 0)
        for batch in batches:
            yield batch
            bars.advance(batch.progress, batch.size)
