"""Flags of Weaver that are not needed here, and what replaces them."""

from __future__ import annotations

import argparse
from typing import Any

from weaver_tt.log import log

ORDERED = "validation is read in order, chunk by chunk"
RETIRED: dict[str, tuple[int | None, str]] = {
    "--fetch-step": (1, "rows are shuffled in a pool of --pool-size rows, filled from all files"),
    "--fetch-step-val": (1, ORDERED),
    "--fetch-by-files": (None, "work is divided by ranges of rows, never by files"),
    "--data-split-num": (1, "clusters larger than their share of the pool are divided anyway"),
    "--data-split-val": (1, ORDERED),
    "--in-memory": (None, "with a --pool-size of as many rows as there are, all stay in memory"),
    "--in-memory-val": (None, ORDERED),
    "--prefetch-factor": (1, "a thread or the workers read ahead anyway"),
}
"""Flag -> number of its values (None: a switch), and what replaces it."""


class Retired(argparse.Action):
    """Accepts a flag that means nothing here, and says what replaces it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Log what replaces the flag."""
        flag = str(option_string).replace("--no-", "--")
        _, replacement = RETIRED[flag]
        log.warning("%s is not needed: %s", option_string, replacement)
