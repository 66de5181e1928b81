"""The terminal that a command runs in, drawn on with rich, which is imported only for that."""

from __future__ import annotations

import math
import re
import shlex
import sys
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from weaver_tt.log import is_terminal, log

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDEST = 100  # characters of a panel
GAP = 2  # characters between a name and its text


@cache
def console(*, stderr: bool = True) -> Console:
    """The one console, which all that is drawn shares: lines are printed above what is displayed.

    It is on stderr, as the log is; without ``stderr`` it is where results are printed. Without
    colours where ``NO_COLOR`` is set.
    """
    # takes a tenth of a second to import: only where there is a terminal
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def prints_to_terminal() -> bool:
    """Whether results, too, go to a terminal, and not into a file or to another program."""
    return is_terminal() and sys.stdout.isatty()


# --- panels and commands


def show_panel(screen: Console, title: str, lines: Sequence[tuple[str, str]]) -> None:
    """Draw a frame with a title around lines, each with a name."""
    # only where there is a terminal
    from rich.box import ROUNDED
    from rich.panel import Panel
    from rich.text import Text

    width = min(screen.width, WIDEST)
    panel = Panel(
        # within the frame and a space on either side
        _grid(lines, width - 4),
        title=Text(title, "bold not dim"),
        title_align="left",
        box=ROUNDED,
        border_style="dim",
        width=width,
    )
    screen.print(panel)


def _grid(lines: Sequence[tuple[str, str]], width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    room = width - GAP - max((len(name) for name, _ in lines), default=0)
    grid = Table.grid(padding=(0, GAP, 0, 0))
    for name, text in lines:
        wrapped = wrap_items(text, room)
        grid.add_row(Text(name, "cyan", no_wrap=True), Text(wrapped, overflow="fold"))
    return grid


def wrap_items(text: str, width: int, indent: int = 0) -> str:
    """``text`` in lines that end behind a comma where that can be: a number stays with its error.

    All but the first begin ``indent`` characters further in. What is longer is left to be broken
    elsewhere.
    """
    # a space of this kind is none to break at
    items = re.sub(r"(?<!,) ", "\N{NO-BREAK SPACE}", text)
    lines = textwrap.wrap(
        items,
        max(width, 1),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")


def report_results(
    title: str, results: Sequence[tuple[str, str]], commands: Sequence[Sequence[str]] = ()
) -> None:
    """End a command: what it has found, the files that it has made, and what may come next.

    On a terminal ``results``, texts with names, are in a frame, and ``commands`` below it are
    there to be copied. A name that begins with spaces belongs to the last one that does not, and a
    text without a name to what is above it. Elsewhere each result is a line of the log, which names
    all that it belongs to.
    """
    if is_terminal():
        show_panel(console(), title, results)
        show_commands(console(), commands)
        return
    for name, text in _with_whole_names(results):
        # a title alone is in the names of what follows
        if text:
            log.info("%s: %s", name, text)


def _with_whole_names(results: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The results, each with the name of what it belongs to before its own."""
    title = whole = ""
    for name, text in results:
        if name.startswith(" "):
            whole = f"{title}, {name.strip()}"
        elif name:
            title = whole = name
        yield whole, text


def show_commands(screen: Console, commands: Sequence[Sequence[str]]) -> None:
    """Show what may come next, without a frame: it is to be copied; nothing where it is nothing."""
    if not commands:
        return
    screen.print("next", style="bold cyan")
    for words in commands:
        screen.print(command_text(words, screen.width), soft_wrap=True, markup=False)


def print_commands(commands: Sequence[Sequence[str]]) -> None:
    """The same where results are printed; a line for each command where that is no terminal."""
    if prints_to_terminal():
        show_commands(console(stderr=False), commands)
        return
    print("next:")
    for words in commands:
        print(f"  {shlex.join(words)}")


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
    parts[0] = f"  {parts[0]}"
    # behind each line come a space and the sign that the command goes on
    return " \\\n".join(fill_lines(parts, width - 2, 6))


def fill_lines(parts: Sequence[str], width: int, indent: int) -> list[str]:
    """``parts``, which stay whole, in lines of at most ``width`` characters where that can be.

    All but the first begin ``indent`` characters further in.
    """
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 1 + len(part) > width:
            lines.append(f"{' ' * indent}{part}")
        else:
            lines[-1] += f" {part}"
    return lines


# --- numbers


def short_number(value: float) -> str:
    """A number in at most six characters, four digits of it: ``0.4312``, ``3.1e-05``, ``12.3M``."""
    size = abs(value)
    if not math.isfinite(size):
        return str(value)
    if size >= 1e6:
        for letter, unit in (("G", 1e9), ("M", 1e6)):
            if size >= unit:
                return f"{value / unit:.1f}{letter}"
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 1:
        # a count has no decimals
        return f"{value:.0f}" if value == int(value) else f"{value:.{4 - len(f'{size:.0f}')}f}"
    return f"{value:.4f}" if size >= 0.01 or size == 0 else f"{value:.1e}"


def short_time(seconds: float) -> str:
    """A time as ``0.4 s``, ``12 s``, ``3:07`` or ``1:02:45``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
