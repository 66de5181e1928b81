"""The CPU time of this process, for what would take minutes where nothing bounds it."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cpu_seconds_below(bound: float) -> Iterator[None]:
    """Check that what is done inside takes less; the machine may have other things to do.

    Garbage is collected afterwards: the objects of all tests before would be looked through.
    """
    collects = gc.isenabled()
    gc.disable()
    start = time.process_time()
    try:
        yield
        seconds = time.process_time() - start
    finally:
        if collects:
            gc.enable()
    assert seconds < bound
