"""Work that a thread does ahead of those who need its results."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from weaver_tt.system.generators import closed_after

SWITCH_INTERVAL = 5e-4  # seconds

T = TypeVar("T")


def read_ahead(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """``items`` in their order, made by a thread that is at most ``depth`` ahead (0: no thread).

    Its errors are raised here. The thread ends with this generator: when the items end, or when it
    is closed early, once the item that it is at is made.
    """
    if depth == 0:
        yield from items
        return
    # python lets a thread run for 5 ms before another that has finished its numerical work may go
    # on; here that is the time of a batch
    sys.setswitchinterval(min(SWITCH_INTERVAL, sys.getswitchinterval()))
    end: Any = object()
    executor = ThreadPoolExecutor(1, "weaver_tt-ahead")
    waiting: deque[Future[T]] = deque()
    with closed_after(items):
        try:
            waiting.extend(executor.submit(next, items, end) for _ in range(depth))
            while (item := waiting[0].result()) is not end:
                waiting.popleft()
                # before the item is handed on: the thread works while its consumer does
                waiting.append(executor.submit(next, items, end))
                yield item
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            # the thread must be done with the items before they are closed. It is not joined: this
            # may be the garbage collector, in a thread that is just starting and holds the lock of
            # a join
            wait(future for future in waiting if not future.cancelled())
