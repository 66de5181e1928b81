"""Measure how fast the data can be read when nothing is done with it."""

from __future__ import annotations

import time

from weaver_tt.engine.loop import TimedBatches
from weaver_tt.engine.progress import BatchLoader
from weaver_tt.engine.throughput import Measurement, format_shares
from weaver_tt.engine.trackers.base import Tracker
from weaver_tt.log import log


def measure_reading(title: str, loader: BatchLoader, tracker: Tracker) -> dict[str, float]:
    """Read an epoch; log and return rows, batches, rates, and the time spent waiting in seconds.

    The longest wait is as a rule that for the first batch, while the shuffle pool fills.
    """
    rows = 0
    number = 0
    longest_wait = 0.0
    waited_before = 0.0
    batches = TimedBatches(loader.epoch(0))
    tracker.begin(f"reading {title}", 0)
    start = time.perf_counter()
    for batch in batches:
        longest_wait = max(longest_wait, batches.waited - waited_before)
        waited_before = batches.waited
        rows += batch.size
        number += 1
        tracker.advance(batch.progress, batch.size)
    seconds = time.perf_counter() - start
    tracker.end()

    log.info("%s data: %s", title, loader.accounting.report().replace("\n", "\n  "))
    log.info(
        "%s: %d rows in %d batches in %.2f s: %.0f rows/s, %.1f batches/s; "
        "waited %.2f s, at most %.2f s for one batch",
        title,
        rows,
        number,
        seconds,
        rows / seconds,
        number / seconds,
        batches.waited,
        longest_wait,
    )
    shares = Measurement(seconds, number, loader.times).data_shares()
    log.info("%s: the time to make the batches: %s", title, format_shares(shares))
    return {
        "rows": float(rows),
        "batches": float(number),
        "seconds": seconds,
        "waited": batches.waited,
        "longest_wait": longest_wait,
        "rows_per_second": rows / seconds,
        "batches_per_second": number / seconds,
    }
