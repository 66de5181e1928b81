"""Flags of Weaver that are not needed here, and what replaces them."""

from __future__ import annotations

import argparse
from typing import Any

from weaver_tt.log import log

# Weaver's flags that our loader makes needless: number of values (None: a bare switch), and what replaces them
RETIRED: dict[str, tuple[int | None, str]] = {
    "--fetch-step": (1, "rows are shuffled in a pool of --pool-size rows, filled from all files"),
    "--fetch-step-val": (1, "validation is read in order, chunk by chunk"),
    "--fetch-by-files": (None, "work is divided by entry ranges, never by files"),
    "--data-split-num": (1, "clusters larger than their share of the pool are cut by themselves"),
    "--data-split-val": (1, "validation is read in order, chunk by chunk"),
    "--in-memory": (
        None,
        "give --pool-size as many rows as the data has to keep them all in the pool",
    ),
    "--in-memory-val": (None, "validation is read in order, chunk by chunk"),
    "--prefetch-factor": (1, "a thread or the workers read ahead by themselves"),
}


class Retired(argparse.Action):
    """Accepts a flag that means nothing here and says once what replaces it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Say it."""
        log.warning(
            "%s is not needed: %s",
            option_string,
            RETIRED[str(option_string).replace("--no-", "--")][1],
        )
