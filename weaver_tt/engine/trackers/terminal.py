"""What a terminal shows of a training: a row of a table for each epoch, and bars below it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from weaver_tt.engine.trackers.base import Figures, Tracker
from weaver_tt.engine.trackers.console import Console as Log
from weaver_tt.system.terminal import short_number, short_time

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from weaver_tt.engine.trackers.bars import Bars

MEAN = "mean"  # of the members of an ensemble
COLUMN = 9  # characters, at least


class Terminal(Log):
    """A table of the epochs, printed row by row, above bars of the running pass and of the whole.

    With the losses, some ``headline`` metrics of the validation, and a star at each epoch that is
    the best so far. The log file has each epoch as a line.
    """

    def __init__(
        self,
        console: Console,
        headline: Sequence[str],
        *,
        bars: Bars | None = None,
        has_table: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``headline``: metrics in columns of their own, as many as find room.

        Without a table there are bars alone.
        """
        super().__init__(headline)
        self._console = console
        self._bars = bars
        self._has_table = has_table
        self._clock = clock
        self._members: dict[str, _Member] = {}
        self._has_titles = False
        self._number: int | None = None  # of an epoch that has no row yet
        self._values: Mapping[str, float] = {}
        self._began = clock()  # the epoch
        self._began_pass = clock()
        self._stage = ""
        self._rows = 0  # of this pass, so far
        self._rate = 0.0  # rows per second of the training

    def member(self, name: str) -> Tracker:
        """The tracker of one of the networks, or of the only one."""
        self._members[name] = _Member()
        return self._members[name]

    def begin(self, stage: str, epoch: int, progress: float = 0.0) -> None:
        """Show the bars."""
        self._began_pass = self._clock()
        if stage == "train":
            self._began = self._began_pass
        self._stage = stage
        self._rows = 0
        if self._bars is not None:
            self._bars.begin(stage, epoch, progress)

    def advance(self, progress: float, rows: int) -> None:
        """Move the bars."""
        self._rows += rows
        if self._bars is not None:
            self._bars.advance(progress, rows)

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """Show the loss beside the bars."""
        if self._bars is not None and "loss" in values:
            self._bars.remark = f"loss {short_number(values['loss'])}"

    def end(self) -> None:
        """Note how fast the training was."""
        if self._stage == "train":
            self._rate = self._rows / max(self._clock() - self._began_pass, 1e-9)
        self._stage = ""
        if self._bars is not None:
            self._bars.end()

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Log a line, and keep the metrics until it is known whether the epoch is the best."""
        super().epoch(values, number, figures)
        self._number = number
        self._values = values

    def kept(self, number: int, is_best: bool) -> None:
        """Print the row of the epoch, and those of the members of an ensemble."""
        self._print_epoch()

    def close(self) -> None:
        """Print a row that was not followed by a save, and take the bars away."""
        self._print_epoch()
        if self._bars is not None:
            self._bars.close()

    # --- the table

    def _print_epoch(self) -> None:
        if self._number is None or not self._has_table:
            return
        if not self._has_titles:
            self._has_titles = True
            self._console.print(self._titles(), soft_wrap=True)
        seconds = self._clock() - self._began
        # an epoch that is continued in its validation has trained on no rows here
        speed = [f"{self._rate:,.0f}" if self._rate else "", short_time(seconds)]
        if len(self._members) > 1:
            self._print_row([str(self._number), MEAN], self._values, speed)
            for name, member in self._members.items():
                if member.number == self._number:
                    # net_member-0
                    labels = ["", name.rpartition("-")[2]]
                    self._print_row(labels, member.values, ["", ""], member.is_best, "dim")
        else:
            is_best = any(member.is_best for member in self._members.values())
            self._print_row([str(self._number)], self._values, speed, is_best)
        self._number = None

    def _print_row(
        self,
        labels: Sequence[str],
        values: Mapping[str, float],
        speed: Sequence[str],
        is_best: bool = False,
        style: str = "",
    ) -> None:
        cells = list(labels)
        for name, _ in self._columns():
            cells.append(short_number(values[name]) if name in values else "")
        cells += speed
        self._console.print(self._row(cells, is_best, style), soft_wrap=True)

    def _row(self, cells: Sequence[str], is_best: bool, style: str) -> Text:
        # only where there is a terminal
        from rich.text import Text

        texts = [cell.rjust(width) for cell, (_, width) in zip(cells, self._layout(), strict=True)]
        row = Text(" ".join(texts), style, no_wrap=True)
        if is_best:
            row.append(" *", "bold green")
        return row

    def _titles(self) -> Text:
        from rich.text import Text

        titles = [title.rjust(width) for title, width in self._layout()]
        return Text(" ".join(titles), "bold cyan", no_wrap=True)

    def _layout(self) -> list[tuple[str, int]]:
        """Title and width of all columns."""
        labels = [("epoch", 5)]
        if len(self._members) > 1:
            labels.append(("member", 6))
        titles = [title for _, title in self._columns()]
        metrics = [(title, max(COLUMN, len(title))) for title in titles]
        return [*labels, *metrics, ("rows/s", 8), ("time", 8)]

    def _columns(self) -> Iterator[tuple[str, str]]:
        """Name and title of the values in the table; as many metrics as the width allows."""
        has_validation = "val/loss" in self._values
        yield "train/loss", "train loss"
        if has_validation:
            yield "val/loss", "val loss"
        of_which = "val" if has_validation else "train"
        # epoch, member, two losses, learning rate, rows/s, time, star
        room = self._console.width - (6 + 7 * (len(self._members) > 1) + 31 + 2 * 9 + 2)
        for name in self._headline:
            room -= max(COLUMN, len(name)) + 1
            if room < 0:
                break
            yield f"{of_which}/{name}", name
        yield "learning_rate", "lr"


class _Member(Tracker):
    """Keeps the metrics of one network for the table."""

    def __init__(self) -> None:
        self.values: Mapping[str, float] = {}
        self.number: int | None = None  # the latest epoch
        self.is_best = False  # whether that was the best so far

    def epoch(
        self, values: Mapping[str, float], number: int, figures: Figures | None = None
    ) -> None:
        """Keep the metrics."""
        self.values = dict(values)
        self.number = number
        self.is_best = False

    def kept(self, number: int, is_best: bool) -> None:
        """Note whether the epoch was the best so far."""
        self.is_best = is_best
