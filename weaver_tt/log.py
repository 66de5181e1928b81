"""The one logger of the project; silent until an entry point calls :func:`configure_log`."""

from __future__ import annotations

import logging
import math
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from weaver_tt.errors import OutputError

LAYOUT = "%(asctime)s %(levelname)-7s %(message)s"

# given as ``extra``: a terminal shows this in another form, such as a row of a table
SHOWN_OTHERWISE = {"shown_otherwise": True}
# colours of ANSI terminals, by level
COLORS = {"WARNING": "33", "ERROR": "1;31"}
INDENT = 17  # characters before a message on a terminal: the time and the level

log = logging.getLogger("weaver_tt")
log.addHandler(logging.NullHandler())

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler


def is_terminal() -> bool:
    """Whether messages go to a terminal, which can show tables and bars; else they are lines."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def shown_when_new(what: str, value: object) -> dict[str, object]:
    """Given as ``extra``: a terminal shows this if ``value`` is another one than the last time.

    ``what`` it is of; files have it each time.
    """
    return {"shown_when_new": (what, value)}


class TerminalHandler(_StreamHandler):
    """Messages on a terminal: without those that it shows in another form, or has shown.

    They go wherever stderr leads at the moment: above what is displayed at the bottom. Inside of
    :func:`quiet_terminal` there are warnings and errors alone.
    """

    is_quiet = False

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._last: dict[str, object] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message is to be shown."""
        if hasattr(record, "shown_otherwise"):
            return False
        if self.is_quiet and record.levelno < logging.WARNING:
            return False
        new = getattr(record, "shown_when_new", None)
        if new is not None:
            what, value = new
            if self._last.get(what) == value:
                return False
            self._last[what] = value
        return bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Show the message."""
        self.stream = sys.stderr
        super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """The message behind the time and the level, in colour for a warning and an error.

        Long lines are broken between words; all but the first begin below the message.
        """
        text = super().format(record)
        if record.exc_info is None:
            text = text.replace("\n", f"\n{' ' * INDENT}")
        text = wrap_lines(text, terminal_width(), " " * INDENT)
        color = COLORS.get(record.levelname)
        # set to anything but nothing, as https://no-color.org has it
        if color is None or os.environ.get("NO_COLOR"):
            return text
        named = f"\x1b[{color}m{record.levelname}\x1b[0m"
        return text.replace(record.levelname, named, 1)


@contextmanager
def quiet_terminal() -> Iterator[None]:
    """Inside, a terminal is told warnings and errors alone; who is inside shows how far it is.

    Files have everything.
    """
    before = TerminalHandler.is_quiet
    TerminalHandler.is_quiet = True
    try:
        yield
    finally:
        TerminalHandler.is_quiet = before


def has_quiet_terminal() -> bool:
    """Whether this is inside of :func:`quiet_terminal`."""
    return TerminalHandler.is_quiet


def terminal_width() -> int:
    """Characters in a line of the terminal that messages go to."""
    try:
        # one of 0 columns does not know its width
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def wrap_lines(text: str, width: int, indent: str = "") -> str:
    """``text`` with lines of at most ``width`` characters where that can be.

    Words stay whole: a path or a flag can be copied. What is broken goes on behind ``indent``, or
    two characters further in than it began.
    """
    lines = []
    for line in text.split("\n"):
        if len(line) <= width:
            lines.append(line)
            continue
        start = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(
            line,
            width,
            subsequent_indent=f"{start}  " if start else indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


@contextmanager
def messages_of(name: str) -> Iterator[None]:
    """Inside, messages begin with ``name``, such as that of one of several networks."""

    def add_name(record: logging.LogRecord) -> bool:
        record.msg = f"{name}: {record.getMessage()}"
        record.args = ()
        return True

    log.addFilter(add_name)
    try:
        yield
    finally:
        log.removeFilter(add_name)


def format_metrics(values: Mapping[str, float]) -> str:
    """Metrics as ``loss 0.1, auc 0.9``.

    Metrics that are not defined, such as those of a class without rows, are left out.
    """
    defined = {name: value for name, value in values.items() if not math.isnan(value)}
    return ", ".join(f"{name} {value:.5g}" for name, value in defined.items())


@contextmanager
def quiet_log() -> Iterator[None]:
    """Nothing but errors is logged inside."""
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def configure_log(level: str = "INFO", file: str | None = None, *, rank: int = 0) -> None:
    """Send messages to stderr and, if it is given, to ``file``.

    Ranks other than 0 write errors only, and only to stderr.

    Raises:
        OutputError: ``file`` cannot be written.
    """
    # a second call, when the name of the run and so its log file is known, starts afresh
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    log.setLevel(level if rank == 0 else "ERROR")
    log.propagate = False
    console = TerminalHandler() if is_terminal() else logging.StreamHandler(sys.stderr)
    console.setFormatter(logging.Formatter(LAYOUT, "%H:%M:%S"))
    log.addHandler(console)
    if file is not None and rank == 0:
        to_file = open_log_file(file)
        to_file.setFormatter(logging.Formatter(LAYOUT))
        log.addHandler(to_file)


def open_log_file(file: str) -> logging.FileHandler:
    """A handler that appends to ``file``, whose folder is made.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        return logging.FileHandler(file)
    except OSError as error:
        raise OutputError(f"log {file}: cannot be written: {error.strerror or error}") from error
