"""Work for several processes, whose results come in the order of the work."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from weaver_tt.errors import OutputError
from weaver_tt.system.signals import end_with_parent

R = TypeVar("R")


def results_in_order(
    function: Callable[..., R], arguments: Iterable[tuple[Any, ...]], workers: int, command: str
) -> Generator[R, None, None]:
    """``function(*those)`` for each of the ``arguments``, in their order, by ``workers`` processes.

    Arguments may be without end: at most twice as many as workers are taken ahead. With one worker
    this process does the work itself. ``command`` is named where a process dies.

    Raises:
        OutputError: a process died.
    """
    if workers == 1:
        for those in arguments:
            yield function(*those)
        return
    # a fresh interpreter: Pythia, FastJet and the threads of this process do not fork well
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=end_with_parent
    )
    waiting: deque[Future[R]] = deque()
    try:
        for those in arguments:
            waiting.append(pool.submit(function, *those))
            # twice as many as workers, so that none is idle; more would only fill the memory
            if len(waiting) == 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise OutputError(
            f"{command}: a worker process died ({error}); too little memory?"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
