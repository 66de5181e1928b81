"""How fast the data comes when nothing is done with it."""

from __future__ import annotations

import time

from weaver_tt.engine.loop import TimedBatches
from weaver_tt.engine.progress import BatchLoader
from weaver_tt.engine.trackers.base import Tracker
from weaver_tt.log import log


def measure_reading(title: str, loader: BatchLoader, tracker: Tracker) -> dict[str, float]:
    """Read an epoch and log rows, batches, rates and waits: the longest wait is as a rule that for the first batch, while a pool fills."""
    timed, longest, rows, number = TimedBatches(loader.epoch(0)), 0.0, 0, 0
    tracker.begin(f"reading {title}", 0)
    start = time.perf_counter()
    before = 0.0
    for batch in timed:
        longest, before = max(longest, timed.waited - before), timed.waited
        rows, number = rows + batch.size, number + 1
        tracker.advance(batch.progress, batch.size)
    seconds = time.perf_counter() - start
    tracker.end()
    found = {
        "rows": float(rows),
        "batches": float(number),
        "seconds": seconds,
        "waited": timed.waited,
        "longest_wait": longest,
    }
    found |= {"rows_per_second": rows / seconds, "batches_per_second": number / seconds}
    log.info("%s data: %s", title, loader.accounting.report().replace("\n", "\n  "))
    log.info(
        "%s: %d rows in %d batches in %.2f s: %.0f rows/s, %.1f batches/s; waited %.2f s, at most %.2f s for one batch",
        *(
            title,
            rows,
            number,
            seconds,
            found["rows_per_second"],
            found["batches_per_second"],
            timed.waited,
            longest,
        ),
    )
    return found
