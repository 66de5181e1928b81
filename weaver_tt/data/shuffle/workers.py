"""Worker processes that make an epoch's batches; the one place that calls DataLoader.

A worker sends batches that are still jagged, their arrays in shared memory.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from weaver_tt.data.rows.rows import Rows, convert_arrays
from weaver_tt.data.shuffle.stream import Stream, UnpaddedBatch
from weaver_tt.errors import WeaverError
from weaver_tt.system.signals import end_with_parent
from weaver_tt.system.stage_times import Stage
from weaver_tt.system.user_code import user_errors

PREFETCH = 2  # batches that a worker process may be ahead
SLOTS_PER_WORKER = PREFETCH + 2  # a worker's batches in flight: ahead, being used, being written
SLOT_MARGIN = 1.25  # memory of a slot / memory of the batch that it was made for
ALIGNMENT = 64  # bytes
# from Python 3.14 on, Linux would start workers from a server process: their parent, which a worker
# ends with, would be that one
START_METHOD = "fork" if sys.platform == "linux" else None
T = TypeVar("T")


class SharedSlot:
    """Shared memory that a worker process puts one batch after another into.

    Fresh memory for each batch would cost more than the copy.
    """

    def __init__(self) -> None:
        self._memory = torch.empty(0, dtype=torch.uint8)

    def fill(self, rows: Rows) -> Rows:
        """The same rows, their arrays as tensors in this slot, which the next call overwrites."""
        sizes: list[int] = []

        def note_size(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            blocks = -(-array.nbytes // ALIGNMENT)
            sizes.append(blocks * ALIGNMENT)
            return array

        # arrays that are shared come once, here and below, and in the same order
        convert_arrays(rows, note_size)
        total = sum(sizes)
        if total > self._memory.numel():
            memory = torch.empty(int(total * SLOT_MARGIN), dtype=torch.uint8)
            self._memory = memory.share_memory_()
        parts = iter(self._memory[:total].split(sizes))

        def put(array: np.ndarray[Any, Any]) -> torch.Tensor:
            source = torch.from_numpy(array)
            part = next(parts)[: array.nbytes]
            return part.view(source.dtype).view(source.shape).copy_(source)

        return convert_arrays(rows, put)


class WorkerShare(IterableDataset[Any]):
    """A worker process's share of an epoch's batches, which travel through shared memory."""

    def __init__(self, stream: Stream, epoch: int, rank: int, world: int, skip: int) -> None:
        """``skip``: so many of the first batches of all workers together come without rows."""
        self._stream = stream
        self._epoch = epoch
        self._rank = rank
        self._world = world
        self._skip = skip

    def __iter__(self) -> Iterator[UnpaddedBatch | WeaverError]:
        worker = 0
        workers = 1
        info = get_worker_info()
        if info is not None:
            worker = info.id
            workers = info.num_workers
        # workers take turns: batch b of this one is batch b * workers + worker of all, at most
        skip = max(0, -(-(self._skip - worker) // workers))
        slots = itertools.cycle([SharedSlot() for _ in range(SLOTS_PER_WORKER)])
        batches = self._stream.shuffled_batches(
            self._epoch,
            self._rank,
            self._world,
            worker,
            workers,
            skip,
            hand_over=self._stream.hands_over,
        )
        try:
            with user_errors():
                for unpadded in batches:
                    if unpadded.rows is None:
                        yield unpadded
                    else:
                        # counted with the batch, which it is a part of
                        with unpadded.times.stage(Stage.HANDING_OVER):
                            rows = next(slots).fill(unpadded.rows)
                        yield replace(unpadded, rows=rows)
        except WeaverError as error:
            # as a value: raised here, its text would be buried in a worker's traceback
            yield error


def batches_of_workers(share: WorkerShare, workers: int) -> Generator[UnpaddedBatch, None, None]:
    """The batches of all worker processes, in turn.

    Raises:
        WeaverError: a worker failed with it.
    """
    loader = DataLoader(
        share,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=PREFETCH,
        collate_fn=_identity,
        multiprocessing_context=START_METHOD,
        worker_init_fn=_begin_worker,
        # of its own: DataLoader would else draw from torch's global generator
        generator=torch.Generator(),
    )
    # memory of the slots that is mapped here: kept, it need not be mapped for each batch again
    mapped: dict[int, Any] = {}

    def as_array(tensor: torch.Tensor) -> Any:
        storage = tensor.untyped_storage()
        mapped[storage.data_ptr()] = storage
        return tensor.numpy()

    for unpadded in loader:
        if isinstance(unpadded, WeaverError):
            raise unpadded
        if unpadded.rows is None:
            yield unpadded
        else:
            yield replace(unpadded, rows=convert_arrays(unpadded.rows, as_array))


def _begin_worker(number: int) -> None:
    end_with_parent()


def _identity(item: T) -> T:
    return item
