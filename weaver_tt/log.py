"""The project's one logger; silent until an entry point calls :func:`configure_log`."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger("weaver_tt")
log.addHandler(logging.NullHandler())


def format_metrics(values: Mapping[str, float]) -> str:
    """Metrics as ``loss 0.1, auc 0.9``; those that are not defined, such as of a class without rows, are left out."""
    return ", ".join(
        f"{name} {value:.5g}" for name, value in values.items() if not math.isnan(value)
    )


def configure_log(level: str = "INFO", file: str | None = None, *, rank: int = 0) -> None:
    """Send messages to stderr and, if ``file`` is given, to that file; ranks other than 0 stay silent below errors."""
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    log.setLevel(level if rank == 0 else "ERROR")
    log.propagate = False
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    log.addHandler(console)
    if file is not None and rank == 0:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        to_file = logging.FileHandler(file)
        to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
        log.addHandler(to_file)
