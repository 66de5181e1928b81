"""What a terminal shows before a training, and at its end: a header, the best epoch, what is next.

Logs without a terminal have all of this in lines, and nothing here is called for them.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from weaver_tt.data.loaders import Loader
from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.formats.file_groups import UNNAMED_GROUP
from weaver_tt.log import is_terminal
from weaver_tt.options.train import RunOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed
from weaver_tt.system.terminal import console, short_number
from weaver_tt.system.wording import counted
from weaver_tt.tasks.base import Task

if TYPE_CHECKING:
    from rich.table import Table

SAID = ("network file", "output")  # facts of a network that a header does without


@dataclass(frozen=True, slots=True)
class BestEpoch:
    """The best epoch of one network: its number and its metrics."""

    name: str
    number: int
    metrics: EpochMetrics


def has_screen() -> bool:
    """Whether this process shows a screen: on a terminal, the first of several ranks."""
    return is_terminal() and distributed.is_main()


def show_header(
    options: RunOptions,
    prefix: str,
    seed: int,
    device: str,
    facts: Sequence[tuple[str, str]],
    loaders: Mapping[str, Loader | None],
) -> None:
    """Show what is trained on what: the data with their rows, the network, and how.

    ``facts``: of the network, with names. ``loaders``: by what their rows are for.
    """
    if not has_screen():
        return
    lines = [("data", options.data.data_config)]
    for name, loader in loaders.items():
        if loader is not None:
            lines.append((name, _describe_rows(loader)))
    lines.append(("network", options.network.network_config))
    lines += [fact for fact in facts if fact[0] not in SAID]
    train = options.train
    epochs = counted(train.num_epochs, "epoch")
    lines.append(("training", f"{epochs}, batches of {options.data.batch_size:,} rows"))
    optimizer = f"{train.optimizer}, learning rate {train.start_lr:g}, {train.lr_scheduler}"
    lines.append(("optimizer", optimizer))
    if options.network.ensemble > 1:
        lines.append(("ensemble", counted(options.network.ensemble, "member")))
    lines.append(("device", f"{device}, seed {seed}"))
    lines.append(("log", str(train.log)))
    _show_panel(prefix, _grid(lines))


def _describe_rows(loader: Loader) -> str:
    """``ttbar 40,000 rows, dijet 38,000 rows, in 12 files``."""
    parts = []
    for group, rows in loader.rows_of_groups.items():
        text = counted(rows, "row")
        parts.append(text if group == UNNAMED_GROUP else f"{group} {text}")
    return f"{', '.join(parts)}, in {counted(loader.files, 'file')}"


def show_best(task: Task, prefix: str, best: Sequence[BestEpoch]) -> None:
    """Show the best epoch of each network with errors of its metrics, and where the files are."""
    if not has_screen():
        return
    is_ensemble = len(best) > 1
    lines = []
    for epoch in best:
        title = f"epoch {epoch.number}"
        if is_ensemble:
            title = f"{epoch.name.rpartition('-')[2]}: {title}"
        lines.append((title, _describe_metrics(task, epoch.metrics)))
    files = RunFiles(prefix)
    named = files.any_member if is_ensemble else files
    first = files.member(0) if is_ensemble else files
    results = {"weights": named.best, "metrics": named.metrics, "epochs": named.history}
    if first.figures.is_dir():
        results["figures"] = named.figures
    results["run card"] = files.card
    lines += [(name, str(path)) for name, path in results.items()]
    title = "best epochs of the members" if is_ensemble else "best epoch"
    _show_panel(title, _grid(lines))


def _describe_metrics(task: Task, metrics: EpochMetrics) -> str:
    """The loss and the headline metrics, with their errors where they are known."""
    errors = metrics.errors()
    parts = []
    for name in ["loss", *task.headline_metrics]:
        value = metrics.get(name, math.nan)
        if math.isnan(value):
            continue
        text = f"{name} {short_number(value)}"
        error = errors.get(name, math.nan)
        if not math.isnan(error):
            text += f" ± {error:.2g}"
        parts.append(text)
    return ", ".join(parts)


def show_next_steps(options: RunOptions, task: Task, predicted: Sequence[Path]) -> None:
    """Show the commands that predict, report and export, ready to be copied.

    ``predicted``: the files of a prediction that has followed the training already.
    """
    if not has_screen():
        return
    screen = console()
    screen.print("next", style="bold cyan")
    for command in next_commands(options, task, predicted):
        # without a frame: it is to be copied
        screen.print(command_text(command, screen.width), soft_wrap=True, markup=False)


def command_text(words: Sequence[str], width: int) -> str:
    """A command as a shell reads it, in lines of at most ``width`` characters where that can be.

    Flags stay with their values.
    """
    parts: list[str] = []
    for word in words:
        quoted = shlex.quote(word)
        if word.startswith("-") or not parts:
            parts.append(quoted)
        else:
            parts[-1] += f" {quoted}"
    lines = [f"  {parts[0]}"]
    for part in parts[1:]:
        # behind it comes a space, and perhaps the sign that the command goes on
        if len(lines[-1]) + len(part) + 3 > width:
            lines.append(f"      {part}")
        else:
            lines[-1] += f" {part}"
    return " \\\n".join(lines)


def next_commands(options: RunOptions, task: Task, predicted: Sequence[Path]) -> list[list[str]]:
    """Commands that go on with the network that has been trained, as words."""
    same = ["-c", options.data.data_config, "-n", options.network.network_config]
    same += ["-m", options.network.model_prefix]
    if options.data.custom_functions is not None:
        same += ["--custom-functions", options.data.custom_functions]
    folds = []
    if options.train.cross_validation is not None:
        folds = ["--cross-validation", options.train.cross_validation]
    commands = []
    outputs = [str(path) for path in predicted]
    if not outputs:
        outputs = ["pred.root"]
        tests = options.data.data_test or ["test.root"]
        predict = ["weaver-tt", "train", "--predict", "-t", *tests, *same, *folds]
        commands.append([*predict, "--predict-output", *outputs])
    name = Path(options.network.model_prefix).name
    commands.append(["weaver-tt", *task.judge_command(name, outputs)])
    if not folds:
        commands.append(["weaver-tt", "export", *same, "-o", "exported"])
    return commands


def _grid(lines: Sequence[tuple[str, str]]) -> Table:
    # only where there is a terminal
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, text in lines:
        grid.add_row(Text(name, "cyan", no_wrap=True), Text(text))
    return grid


def _show_panel(title: str, content: Table) -> None:
    from rich.box import ROUNDED
    from rich.panel import Panel
    from rich.text import Text

    screen = console()
    width = min(screen.width, 100)
    panel = Panel(
        content,
        title=Text(title, "bold not dim"),
        title_align="left",
        box=ROUNDED,
        border_style="dim",
        width=width,
    )
    screen.print(panel)
