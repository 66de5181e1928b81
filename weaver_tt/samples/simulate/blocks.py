"""Blocks of events on several processes -> one file.

What is in it does not depend on the number of processes.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
from tqdm import tqdm

from weaver_tt.errors import ConfigError, OutputError
from weaver_tt.formats.writers import open_writer
from weaver_tt.samples.simulate.columns import Columns, jet_columns
from weaver_tt.samples.simulate.generator import generate_events
from weaver_tt.samples.simulate.processes import SampleSettings

MAX_EMPTY_BLOCKS = 25  # blocks without a single jet after which nothing more is expected


def write_sample(
    path: str, sample: SampleSettings, jets: int, workers: int = 1, progress: bool = True
) -> int:
    """Write exactly ``jets`` jets to ``path`` (.root or .parquet); return the events they took.

    Raises:
        ConfigError: fewer than one jet or worker, a library that is missing, a window that no jet
            falls into.
        OutputError: the file cannot be written.
    """
    if jets < 1 or workers < 1:
        raise ConfigError(
            f"simulate: at least one jet and one worker are needed, got {jets} and {workers}"
        )
    events = 0
    with (
        open_writer(path) as writer,
        tqdm(total=jets, unit="jet", desc=sample.process, disable=not progress) as bar,
    ):
        for columns, number in jet_batches(sample, jets, workers):
            # the last batch may hold more jets than are still wanted
            kept = min(len(columns["jet_pt"]), jets - writer.rows)
            wanted = {name: values[:kept] for name, values in columns.items()}
            writer.write(wanted)
            bar.update(kept)
            events += number
            if writer.rows == jets:
                break
    return events


def jet_batches(sample: SampleSettings, most: int, workers: int) -> Iterator[tuple[Columns, int]]:
    """Columns of jets and the number of events they took, batch by batch, without end.

    In the order of the blocks, whatever the number of workers.
    """
    empty_blocks = 0
    for block in _blocks_in_order(sample, most, workers):
        jets = 0
        for columns, number in block:
            jets += len(columns["jet_pt"])
            yield columns, number
        empty_blocks = 0 if jets else empty_blocks + 1
        if empty_blocks == MAX_EMPTY_BLOCKS:
            low, high = sample.pthat
            events = sample.block * MAX_EMPTY_BLOCKS
            raise ConfigError(
                f"simulate: no jet of {sample.process} in {events} events with pTHat in "
                f"{low:g} to {high:g} GeV; the window is pT in {sample.pt_min:g} to "
                f"{sample.pt_max:g} GeV, |eta| < {sample.eta_max:g}"
            )


def make_block(sample: SampleSettings, block: int, most: int) -> Iterator[tuple[Columns, int]]:
    """The batches of one block; it ends early once it has ``most`` jets, all that are wanted."""
    rng = np.random.default_rng([sample.seed, block])
    jets = 0
    for particles in generate_events(sample, block):
        columns = jet_columns(particles, sample, rng)
        jets += len(columns["jet_pt"])
        yield columns, len(particles.counts)
        if jets >= most:
            return


def whole_block(sample: SampleSettings, block: int, most: int) -> list[tuple[Columns, int]]:
    """The same as a list, which a worker process can return."""
    return list(make_block(sample, block, most))


def _blocks_in_order(
    sample: SampleSettings, most: int, workers: int
) -> Iterator[Iterator[tuple[Columns, int]]]:
    """Block after block; with several workers, they are made ahead, a bounded number at a time."""
    numbers = itertools.count()
    if workers == 1:
        yield from (make_block(sample, block, most) for block in numbers)
        return
    # a fresh interpreter: Pythia, FastJet and the threads of this process do not fork well
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=end_with_parent
    )
    waiting: deque[Future[list[tuple[Columns, int]]]] = deque()
    try:
        while True:
            # twice as many as workers, so that none is idle; more would only fill the memory
            while len(waiting) < 2 * workers:
                waiting.append(pool.submit(whole_block, sample, next(numbers), most))
            yield iter(waiting.popleft().result())
    except BrokenProcessPool as error:
        raise OutputError(
            f"simulate: a worker process died ({error}); too little memory?"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """End this worker process when the process that started it has been killed.

    It would wait for work for ever.
    """
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
