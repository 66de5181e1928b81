"""Loaders of batches for training, validation and prediction; the one place that calls DataLoader.

Without worker processes a thread decodes and batches ahead while the consumer computes. Batches travel jagged and are padded by the consumer.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from weaver_tt.config.plan import Purpose, make_plan, with_extra_selection, without_reweighting
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.chunks import sample_files, select_window
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.labels import (
    ANY_LABELS,
    WantedLabels,
    check_class_variety,
    warn_of_empty_classes,
)
from weaver_tt.data.rows.padding import Padder
from weaver_tt.data.rows.rows import Rows, convert_arrays
from weaver_tt.data.scan import Scan, scan_files
from weaver_tt.data.shuffle.read_ahead import read_ahead
from weaver_tt.data.shuffle.stream import READ_AHEAD, Stream, UnpaddedBatch
from weaver_tt.errors import DataError, WeaverError
from weaver_tt.formats.file_groups import parse_groups
from weaver_tt.options.train import DataOptions

BATCHES_AHEAD = 4  # batches that the thread may be ahead
PREFETCH = 2  # batches that a worker process may be ahead
SLOTS_PER_WORKER = PREFETCH + 2  # a worker's batches in flight: ahead, being used, being written
SLOT_MARGIN = 1.25  # of a slot's memory, to that of the batch it was made for
ALIGNMENT = 64  # bytes
T = TypeVar("T")


class Loader:
    """The batches of one rank, epoch after epoch. Their tensors live in buffers that the next batch overwrites."""

    def __init__(
        self,
        stream: Stream,
        device: torch.device | str,
        *,
        shuffle: bool,
        repeat: bool = False,
        steps: int | None = None,
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
        shorten: bool = False,
    ) -> None:
        self.steps = steps  # batches in an epoch where that is fixed
        self.accounting = Accounting()  # of the running or the last epoch
        self._told = False  # which classes have no rows
        self.groups = stream.scan.groups
        self._stream = stream
        self._padder = Padder(stream.config, device, shorten)
        self._shuffle, self._repeat = shuffle, repeat  # repeat: every epoch is the same
        self._workers = workers
        self._rank, self._world = rank, world

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of epoch ``number``, without the first ``skip`` of them."""
        self.accounting = Accounting()
        self.accounting.add(self._stream.scan.accounting)
        progress = _Progress(self._workers)
        done = 0
        with closing(self._unpadded_batches(0 if self._repeat else number, skip)) as batches:
            for unpadded in batches:
                self.accounting.add(unpadded.accounting)
                share = progress.after(unpadded)
                if unpadded.number < 0:
                    continue
                done += 1
                if done > skip and unpadded.rows is not None:
                    batch = self._padder(unpadded.rows)
                    self._account_padding(unpadded.rows, batch)
                    batch.progress = (
                        max(share, done / self.steps)
                        if self.steps and not self._shuffle
                        else done / self.steps
                        if self.steps
                        else share
                    )
                    yield batch
                if done == self.steps:
                    return
        self._check()

    def _account_padding(self, rows: Rows, batch: Batch) -> None:
        """How much of a batch of similar rows is padding; groups with the same objects count once."""
        if self._stream.buckets == 1:
            return
        distinct = {id(jagged.counts): name for name, jagged in reversed(rows.objects.items())}
        for name in distinct.values():
            full = rows.size * (self._stream.config.inputs[name].length or 0)
            padded = batch.masks[name].numel()
            self.accounting.slots.update(
                {
                    (name, "objects"): batch.real[name],
                    (name, "padded"): padded,
                    (name, "full"): full,
                }
            )

    def _unpadded_batches(self, number: int, skip: int) -> Generator[UnpaddedBatch, None, None]:
        if not self._shuffle:
            return read_ahead(
                self._stream.ordered_batches(self._rank, self._world, skip), BATCHES_AHEAD
            )
        if self._workers:
            return _from_workers(
                _WorkerShare(self._stream, number, self._rank, self._world, skip), self._workers
            )
        return read_ahead(
            self._stream.shuffled_batches(number, self._rank, self._world, skip=skip), BATCHES_AHEAD
        )

    def _check(self) -> None:
        """After a full pass: was there anything, and anything to tell apart?"""
        counts = self.accounting
        if not counts.selected.total():
            selection = self._stream.plan.selection
            why = (
                f"the selection {selection.source!r} drops all of them"
                if selection is not None
                else "none is left"
            )
            raise DataError(
                f"{self._stream.config.source}: {counts.read.total()} rows were read, {why}"
            )
        if self._shuffle and not self._repeat and self._world == 1:
            check_class_variety(counts, self._stream.config, self._stream.wanted_labels)
        if self._world == 1 and not self._told:
            purpose = self._stream.plan.purpose
            warn_of_empty_classes(
                counts,
                self._stream.config,
                "training" if self._shuffle else "validation" if purpose == "train" else "test",
            )
            self._told = True


class _Progress:
    """How far an epoch is, from what its streams (one for each worker) report."""

    def __init__(self, workers: int) -> None:
        self._streams = max(1, workers)
        self._delivered: dict[int, int] = {}
        self._expected: dict[int, float] = {}
        self._highest = 0.0

    def after(self, unpadded: UnpaddedBatch) -> float:
        """Share of the epoch's rows delivered once ``unpadded`` is; never falls."""
        self._delivered[unpadded.worker], self._expected[unpadded.worker] = (
            unpadded.delivered,
            unpadded.expected,
        )
        silent = self._streams - len(self._expected)
        total = sum(self._expected.values()) * (
            1 + silent / len(self._expected)
        )  # who has not been heard is like the others
        self._highest = max(self._highest, sum(self._delivered.values()) / total if total else 0.0)
        return self._highest


class SharedSlot:
    """Shared memory that a worker process puts one batch after another into: fresh memory for each would cost more than the copy."""

    def __init__(self) -> None:
        self._memory = torch.empty(0, dtype=torch.uint8)

    def fill(self, rows: Rows) -> Rows:
        """The same rows, their arrays as tensors in this slot, which the next call overwrites."""
        sizes: list[int] = []

        def measure(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            sizes.append(-(-array.nbytes // ALIGNMENT) * ALIGNMENT)
            return array

        convert_arrays(rows, measure)
        if sum(sizes) > self._memory.numel():
            self._memory = torch.empty(
                int(sum(sizes) * SLOT_MARGIN), dtype=torch.uint8
            ).share_memory_()
        parts = iter(self._memory[: sum(sizes)].split(sizes))

        def put(array: np.ndarray[Any, Any]) -> torch.Tensor:
            given = torch.from_numpy(array)
            place = next(parts)[: array.nbytes].view(given.dtype).view(given.shape)
            return place.copy_(given)

        return convert_arrays(rows, put)


class _WorkerShare(IterableDataset[Any]):
    """A worker process's share of an epoch's batches, their arrays as tensors, which travel through shared memory."""

    def __init__(self, stream: Stream, epoch: int, rank: int, world: int, skip: int) -> None:
        self._stream, self._epoch, self._rank, self._world, self._skip = (
            stream,
            epoch,
            rank,
            world,
            skip,
        )

    def __iter__(self) -> Iterator[UnpaddedBatch | WeaverError]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info is not None else (0, 1)
        # workers take turns, so batch b of this one comes after at most b * workers + worker others
        skip = max(0, -(-(self._skip - worker) // workers))
        slots = itertools.cycle([SharedSlot() for _ in range(SLOTS_PER_WORKER)])
        try:
            for unpadded in self._stream.shuffled_batches(
                self._epoch, self._rank, self._world, worker, workers, skip
            ):
                yield (
                    unpadded
                    if unpadded.rows is None
                    else replace(unpadded, rows=next(slots).fill(unpadded.rows))
                )
        except (
            WeaverError
        ) as error:  # as a value: raised here, its text would be buried in a worker's traceback
            yield error


def _from_workers(share: _WorkerShare, workers: int) -> Generator[UnpaddedBatch, None, None]:
    """The batches of all worker processes, in turn."""
    # a generator of its own: DataLoader would else draw from torch's global one
    loader = DataLoader(
        share,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=PREFETCH,
        collate_fn=_identity,
        generator=torch.Generator(),
    )
    known: dict[
        int, Any
    ] = {}  # memory of the slots that is mapped here: kept, it need not be mapped again for each batch

    def array(tensor: torch.Tensor) -> Any:
        storage = tensor.untyped_storage()
        known[storage.data_ptr()] = storage
        return tensor.numpy()

    for unpadded in loader:
        if isinstance(unpadded, WeaverError):
            raise unpadded
        yield (
            unpadded
            if unpadded.rows is None
            else replace(unpadded, rows=convert_arrays(unpadded.rows, array))
        )


def _identity(item: T) -> T:
    return item


def train_loader(
    config: DataConfig,
    options: DataOptions,
    *,
    seed: int = 0,
    rank: int = 0,
    world: int = 1,
    device: torch.device | str = "cpu",
    any_length: bool = True,
    wanted_labels: WantedLabels = ANY_LABELS,
    scan: Scan | None = None,
) -> Loader:
    """Shuffled batches of the training files, with labels and weight, without observers; reweighted as the YAML says.

    With bucketing, batches are only as long as their longest row needs, unless the network takes but one length (``any_length`` False).
    ``scan``: an earlier one, which is used if it is of these files (see :func:`fit_statistics`).
    """
    config = with_extra_selection(config, "train", options.extra_selection_train)
    steps = _steps_per_epoch(
        options.steps_per_epoch, options.samples_per_epoch, options.batch_size * world
    )
    scan = scan_files(
        parse_groups(options.data_train),
        config,
        make_plan(config, "train"),
        options.on_bad_file,
        scan,
    )
    high = 1.0 if options.data_val else options.train_val_split
    stream = _make_stream(
        config,
        options,
        scan,
        "train",
        (0.0, high * options.data_fraction),
        options.batch_size,
        wanted_labels,
    )
    read_ahead = 0 if options.num_workers else READ_AHEAD
    stream = replace(
        stream,
        seed=seed,
        endless=steps is not None,
        file_fraction=options.file_fraction,
        read_ahead=read_ahead,
    )
    shorten = any_length and config.bucketing is not None
    return Loader(
        stream,
        device,
        shuffle=True,
        steps=steps,
        workers=options.num_workers,
        rank=rank,
        world=world,
        shorten=shorten,
    )


def val_loader(
    config: DataConfig,
    options: DataOptions,
    *,
    rank: int = 0,
    world: int = 1,
    device: torch.device | str = "cpu",
    wanted_labels: WantedLabels = ANY_LABELS,
    scan: Scan | None = None,
) -> Loader | None:
    """Validation batches in input order, the last one as it comes; None where there is nothing to validate on.

    Of more rows than the steps asked for take, the same ones are drawn in each epoch, from everywhere: files may hold one class each.
    ``scan``: that of the training, which is used where it validates on the training files.
    """
    if not options.data_val and options.train_val_split >= 1:
        return None
    config = with_extra_selection(without_reweighting(config), "train", options.extra_selection_val)
    size = options.batch_size_val or options.batch_size
    steps = _steps_per_epoch(
        options.steps_per_epoch_val, options.samples_per_epoch_val, size * world
    )
    scan = scan_files(
        parse_groups(options.data_val or options.data_train),
        config,
        make_plan(config, "train"),
        options.on_bad_file,
        scan,
    )
    low = 0.0 if options.data_val else options.train_val_split
    fraction = (
        options.data_fraction if options.data_fraction_val is None else options.data_fraction_val
    )
    stream = _make_stream(
        config, options, scan, "train", (low, low + (1 - low) * fraction), size, wanted_labels
    )
    stream = replace(stream, sources=sample_files(stream.sources, options.file_fraction, 0))
    rows = sum(source.rows for source in stream.sources)
    wanted = rows if steps is None else steps * size * world
    if wanted < rows:
        stream = replace(stream, pool_size=min(stream.pool_size, 2 * wanted))
    return Loader(
        stream, device, shuffle=wanted < rows, repeat=True, steps=steps, rank=rank, world=world
    )


def test_loaders(
    config: DataConfig,
    options: DataOptions,
    *,
    device: torch.device | str = "cpu",  # noqa: PT028
    wanted_labels: WantedLabels = ANY_LABELS,  # noqa: PT028
) -> dict[str, Loader]:
    """For each file group its selected rows in input order, with observers, and labels where the files have them."""
    config = with_extra_selection(
        without_reweighting(config), "predict", options.extra_selection_test
    )
    loaders = {}
    for group in parse_groups(options.data_test, divide=True):
        scan = scan_files([group], config, make_plan(config, "predict"), options.on_bad_file)
        stream = _make_stream(
            config,
            options,
            scan,
            "predict",
            (0.0, 1.0),
            options.batch_size_test or options.batch_size,
            wanted_labels,
        )
        loaders[group.name] = Loader(stream, device, shuffle=False)
    return loaders


test_loaders.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest thinks of its name


def _steps_per_epoch(steps: int | None, samples: int | None, size: int) -> int | None:
    """Batches in an epoch, told as such or in rows (``size`` a step); None, or Weaver's -1, is all of the data."""
    if steps is None and samples is not None:
        return max(1, samples // size)
    return None if steps is not None and steps < 0 else steps


def _make_stream(
    config: DataConfig,
    options: DataOptions,
    scan: Scan,
    purpose: Purpose,
    rows: tuple[float, float],
    size: int,
    wanted_labels: WantedLabels,
) -> Stream:
    """The stream of a share of each file's rows."""
    sources = [
        source
        for source in (select_window(source, *rows) for source in scan.sources)
        if source.rows
    ]
    if not sources:
        raise DataError(
            f"no rows to read: the share {rows[0]:g} to {rows[1]:g} of each of {len(scan.sources)} files is empty"
        )
    return Stream(
        config=config,
        plan=make_plan(config, purpose),
        scan=scan,
        sources=sources,
        batch_size=size,
        pool_size=options.pool_size,
        on_bad_file=options.on_bad_file,
        wanted_labels=wanted_labels,
    )
