"""What a terminal shows of a search: a header, a row for each trial, and the best at the end.

Logs without a terminal have all of this in lines, and nothing here is called for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from weaver_tt.metrics.direction import Direction
from weaver_tt.options.tune import TuneRun
from weaver_tt.run.screen import prediction_command
from weaver_tt.run.tune_goals import Goals
from weaver_tt.run.tune_space import Space
from weaver_tt.system.terminal import (
    console,
    short_number,
    short_time,
    show_commands,
    show_panel,
)
from weaver_tt.system.wording import short_settings

COLUMN = 9  # characters of a metric, at least
WORDS = {
    Direction.MAX: "as large as possible",
    Direction.MIN: "as small as possible",
    Direction.ZERO: "close to 0",
}


class SearchScreen:
    """The screen of one process of a search."""

    def __init__(self, options: TuneRun, space: Space, goals: Goals) -> None:
        self._options = options
        self._space = space
        self._goals = goals
        self._console = console()
        self._has_titles = False

    def show_header(self, done: int) -> None:
        """Show what is searched for. ``done``: trials of earlier calls and other processes."""
        options = self._options
        lines = [("data", options.data.data_config), ("network", options.network.network_config)]
        for name, dimension in self._space.dimensions.items():
            lines.append((name, dimension.shown()))
        wanted = [f"{goal}, {WORDS[direction]}" for goal, direction in self._goals.items()]
        lines.append(("goal", "; ".join(wanted)))
        trials = f"{options.tune.trials:,}"
        if done:
            trials += f", {done:,} of them are there"
        lines.append(("trials", trials))
        if options.train.log is not None:
            lines.append(("log", options.train.log))
        self.show_panel(f"search {options.tune.storage}", lines)

    def show_panel(self, title: str, lines: Sequence[tuple[str, str]]) -> None:
        """Show a frame with a title."""
        show_panel(self._console, title, lines)

    def show_trial(self, trial: Any, seconds: float, is_best: bool) -> None:
        """Print the row of a trial that has ended.

        ``trial``: as the study knows it. ``is_best``: of all so far, or one of those of which none
        is better in everything.
        """
        if not self._has_titles:
            self._has_titles = True
            titles = [f"{'trial':>5}"]
            titles += [goal.rjust(self._width(goal)) for goal in self._goals]
            titles += [f"{'time':>8}    settings"]
            self._console.print(Text(" ".join(titles), "bold cyan"), soft_wrap=True)
        row = Text(f"{trial.number:>5}")
        if trial.values:
            for goal, value in zip(self._goals, trial.values, strict=True):
                row.append(f" {short_number(value):>{self._width(goal)}}")
        else:
            # pruned or failed
            width = sum(self._width(goal) + 1 for goal in self._goals)
            row.append(f"{trial.state.name.lower():>{width}}", "dim")
        row.append(f" {short_time(seconds):>8}")
        row.append(" *" if is_best else "  ", "bold green")
        settings = f"  {short_settings(trial.params)}"
        room = self._console.width - len(row)
        row.append(settings if len(settings) <= room else f"{settings[: room - 2]} …", "dim")
        self._console.print(row, soft_wrap=True)

    def show_best(self, trials: Sequence[Any], prefixes: Sequence[str]) -> None:
        """Show the best trial, or all of which none is better in everything, and what is next."""
        lines = []
        for trial, prefix in zip(trials, prefixes, strict=True):
            values = zip(self._goals, trial.values, strict=True)
            measured = ", ".join(f"{goal} {short_number(value)}" for goal, value in values)
            lines.append((f"trial {trial.number}", measured))
            lines.append(("", short_settings(trial.params)))
            lines.append(("", f"{prefix}_*"))
        title = "best trial"
        if len(trials) > 1:
            title = "best trials: none is better in everything"
        self.show_panel(title, lines)
        show_commands(self._console, next_commands(self._options, prefixes))

    @staticmethod
    def _width(goal: str) -> int:
        return max(COLUMN, len(goal))


def next_commands(options: TuneRun, prefixes: Sequence[str]) -> list[list[str]]:
    """Commands that look at the trials, and predict with the best."""
    storage = options.tune.storage
    # the file itself may have no suffix
    folder = f"{Path(storage).with_suffix('')}_report"
    commands = [["weaver-tt", "tune-report", storage, "-o", folder]]
    first, *_ = prefixes
    return [*commands, prediction_command(options, first)]
