"""The one logger of the project; silent until an entry point calls :func:`configure_log`."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from weaver_tt.errors import OutputError

LAYOUT = "%(asctime)s %(levelname)-7s %(message)s"

log = logging.getLogger("weaver_tt")
log.addHandler(logging.NullHandler())


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
    console = logging.StreamHandler(sys.stderr)
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
