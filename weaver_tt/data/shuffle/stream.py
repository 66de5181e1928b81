"""The stream of batches: files are looked at once, chunks become rows, rows become batches that are still jagged.

Training streams are shuffled in a pool; validation and prediction read in order. Every stream is a function of its arguments alone.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count

import numpy as np

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.chunks import (
    Chunk,
    Source,
    epoch_order,
    sample_files,
    sequential_chunks,
    split_into_chunks,
    total_rows,
)
from weaver_tt.data.rows.labels import ANY_LABELS, WantedLabels
from weaver_tt.data.rows.rows import Rows, concatenate_rows, slice_rows
from weaver_tt.data.rows.table import Table, read_columns, select_rows, take_table_rows
from weaver_tt.data.rows.tensors import to_rows
from weaver_tt.data.scan import Scan
from weaver_tt.data.shuffle.lanes import RowRange, lane_count, plan_draws, plan_lanes, split_lanes
from weaver_tt.data.shuffle.pool import DecodedChunk, Pool
from weaver_tt.data.shuffle.read_ahead import read_ahead
from weaver_tt.data.statistics.bucketing import bucket_indices
from weaver_tt.data.statistics.sampling import DrawnRows, Sampler
from weaver_tt.errors import BadFileError, ConfigError
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader
from weaver_tt.log import log

READ_AHEAD = 2  # chunks read while others are worked on
SEQUENTIAL_CHUNK = 10_000  # rows read at once where they are not shuffled


@dataclass(slots=True)
class UnpaddedBatch:
    """A batch that is not yet padded. The last of a stream has no rows, only what is left to account for."""

    rows: Rows | None  # None also where the batch was to be skipped
    accounting: Accounting  # since the cut before
    delivered: int = 0  # rows that this stream has delivered, these included
    expected: float = 0.0  # rows that it will have delivered in the end, as far as can be told; the last batch has delivered == expected
    number: int = -1  # 0 for the stream's first batch; -1 for the end
    worker: int = 0


NO_INDICES = np.zeros(0, dtype=np.int64)
NO_ROWS = DecodedChunk(None, NO_INDICES, NO_INDICES, NO_INDICES)


class Decoder:
    """Turns chunks into rows: ``read`` them (file access), then ``finish`` them. Keeps the latest ``keep_open`` files open."""

    def __init__(
        self,
        config: DataConfig,
        plan: Plan,
        scan: Scan,
        on_bad_file: str,
        wanted: WantedLabels = ANY_LABELS,
    ) -> None:
        self.keep_open = 2
        self._config = config
        self._plan = plan
        self._scan = scan
        self._wanted_labels = wanted
        self._skip_bad = on_bad_file == "skip"
        self._readers: OrderedDict[str, Reader] = OrderedDict()
        self.accounting = Accounting()  # of all chunks finished

    def read(self, chunk: Chunk) -> Table | BadFileError:
        """The raw columns of a chunk; what is wrong with the file, if bad files are to be skipped."""
        try:
            return read_columns(
                self._reader(chunk.path),
                self._scan.columns[chunk.group],
                self._config,
                chunk.first,
                chunk.last,
            )
        except BadFileError as error:
            if not self._skip_bad:
                raise
            return error

    def finish(
        self, chunk: Chunk, columns: Table | BadFileError, sampler: Sampler | None = None
    ) -> DecodedChunk:
        """The rows of a chunk that pass the selection and that ``sampler`` draws."""
        if isinstance(columns, BadFileError):
            log.warning("skipped rows %d to %d of a bad file: %s", chunk.first, chunk.last, columns)
            self.accounting.bad_files[chunk.path] += 1
            return NO_ROWS
        group = self._scan.groups[chunk.group]
        selected = select_rows(columns, self._plan, self._config, chunk.path, group)
        self.accounting.add(selected.accounting)
        table, positions = selected.table, np.flatnonzero(selected.passed)
        if not len(positions):
            return NO_ROWS  # expressions need not work on no rows
        drawn = (
            DrawnRows(np.ones(len(positions), dtype=np.int64))
            if sampler is None
            else sampler.draw(table, chunk, positions, group)
        )
        self.accounting.add(drawn.accounting)
        kept = drawn.copies > 0
        if not kept.any():
            return NO_ROWS
        if not kept.all():  # before anything is scaled: what is not drawn costs nothing more
            table = take_table_rows(table, kept)
        rows, accounting = to_rows(table, self._config, self._plan, chunk.path, self._wanted_labels)
        self.accounting.add(accounting)
        if drawn.weight is not None:
            rows.weight = (
                drawn.weight[kept] if rows.weight is None else rows.weight * drawn.weight[kept]
            )
        buckets = np.zeros(rows.size, dtype=np.int64)
        if self._config.bucketing is not None:
            buckets = bucket_indices(table, self._config.bucketing, chunk.path)
        return DecodedChunk(
            rows,
            np.repeat(positions, drawn.copies),
            np.repeat(np.arange(rows.size), drawn.copies[kept]),
            buckets,
        )

    def _reader(self, path: str) -> Reader:
        if path not in self._readers:
            while len(self._readers) >= self.keep_open:
                self._readers.popitem(last=False)[1].close()
            self._readers[path] = open_reader(path, self._config.treename)
        self._readers.move_to_end(path)
        return self._readers[path]

    def close(self) -> None:
        """Close all files."""
        while self._readers:
            self._readers.popitem()[1].close()


@dataclass(frozen=True, kw_only=True)
class Stream:
    """What is read and how it is cut; its methods give the cuts of an epoch."""

    config: DataConfig
    plan: Plan
    scan: Scan
    sources: list[Source]
    batch_size: int
    pool_size: int
    on_bad_file: str = "stop"
    wanted_labels: WantedLabels = ANY_LABELS  # by the task
    seed: int = 0
    endless: bool = False  # begin the data again when it ends
    file_fraction: float = 1.0  # of each group's files, chosen anew for each epoch
    read_ahead: int = READ_AHEAD

    @property
    def buckets(self) -> int:
        """How many kinds of rows are kept apart in batches; 1 without bucketing."""
        bucketing = self.config.bucketing
        if bucketing is not None and bucketing.inner_edges is None:
            raise ConfigError(
                f"{self.config.source}: bucketing: its edges have not been computed from the training data yet"
            )
        return (
            1
            if bucketing is None or bucketing.inner_edges is None
            else len(bucketing.inner_edges) + 1
        )

    def shuffled_batches(
        self,
        epoch: int,
        rank: int = 0,
        world: int = 1,
        worker: int = 0,
        workers: int = 1,
        skip: int = 0,
    ) -> Iterator[UnpaddedBatch]:
        """Whole batches in random order from this worker's share of the rows; ``skip``: this many of its first batches come without rows."""
        delivered = number = 0
        with closing(self._decoder()) as decoder:
            for again in count():
                begun = number
                lanes = self.lanes(epoch, again, rank * workers + worker, world * workers)
                seeds = np.random.SeedSequence((self.seed, epoch, rank, worker, again)).spawn(2)
                sampler = (
                    None
                    if self.config.weights is None
                    else Sampler(self.config, self.scan.sources, (self.seed, epoch, again))
                )
                with self._pool(
                    decoder, lanes, max(1, self.pool_size // workers), seeds, sampler
                ) as pool:
                    whole = pool.prepare()
                    while whole or (pool.ready and not number):
                        rows, used = pool.take_batch(skip=number < skip)
                        delivered += used.total()
                        whole = pool.prepare()
                        to_come = pool.expected if whole else 0
                        yield UnpaddedBatch(
                            rows,
                            self._account(decoder, used),
                            delivered,
                            delivered + to_come,
                            number,
                            worker,
                        )
                        number += 1
                if not self.endless or number == begun:
                    break
            yield UnpaddedBatch(None, self._account(decoder), delivered, delivered, worker=worker)

    def lanes(self, epoch: int, again: int, index: int, of: int) -> list[list[Chunk]]:
        """Share ``index`` of ``of`` of an epoch's chunks, in lanes: every row is in exactly one share."""
        # the same chunks for any number of workers: cut smaller for many, clusters would be decoded in pieces, each time as a whole
        sources = (
            self.sources
            if self.file_fraction == 1
            else sample_files(self.sources, self.file_fraction, self.seed, epoch, again)
        )
        number = lane_count(sources, self.pool_size)
        most = max(1, self.pool_size // (2 * number))
        lanes = plan_lanes(
            [chunk for source in sources for chunk in split_into_chunks(source, most)], number
        )
        orders = []
        for i, lane in enumerate(lanes):
            seed = int(np.random.SeedSequence((self.seed, again, i)).generate_state(1)[0])
            orders.append(epoch_order(lane, seed, epoch, max(1, self.pool_size // len(lanes))))
        return split_lanes(orders, index, of)

    @contextmanager
    def _pool(
        self,
        decoder: Decoder,
        lanes: list[list[Chunk]],
        capacity: int,
        seeds: Sequence[np.random.SeedSequence],
        sampler: Sampler | None,
    ) -> Iterator[Pool]:
        """A pool of the rows of ``lanes``, whose chunks a thread reads ahead."""
        step = max(1, capacity // 48)
        drawing, mixing = seeds

        def draws() -> Iterator[list[RowRange]]:
            return plan_draws(lanes, step, np.random.default_rng(drawing))

        decoder.keep_open = len(lanes) + 1
        # the order of the chunks is known beforehand: the reading thread follows a schedule of its own, which is the same
        reads = (decoder.read(take.chunk) for draw in draws() for take in draw if take.begins)
        with closing(read_ahead(reads, self.read_ahead)) as tables:
            yield Pool(
                draws(),
                sum(map(total_rows, lanes)),
                lambda chunk: decoder.finish(chunk, next(tables), sampler),
                batch_size=self.batch_size,
                capacity=capacity,
                random=np.random.default_rng(mixing),
                buckets=self.buckets,
            )

    def ordered_batches(
        self, rank: int = 0, world: int = 1, skip: int = 0
    ) -> Iterator[UnpaddedBatch]:
        """All batches in input order, the last one as it comes; rank's contiguous share of the rows."""
        chunks = sequential_chunks(self.sources, SEQUENTIAL_CHUNK, rank, world)
        delivered = 0
        with (
            closing(self._decoder()) as decoder,
            closing(
                read_ahead((decoder.read(chunk) for chunk in chunks), self.read_ahead)
            ) as tables,
        ):
            parts = (
                (chunk, decoder.finish(chunk, table).rows)
                for chunk, table in zip(chunks, tables, strict=True)
            )
            for number, (rows, used, to_come) in enumerate(
                _into_batches(parts, total_rows(chunks), self.batch_size)
            ):
                delivered += rows.size
                yield UnpaddedBatch(
                    None if number < skip else rows,
                    self._account(decoder, used),
                    delivered,
                    delivered + to_come,
                    number,
                )
            yield UnpaddedBatch(None, self._account(decoder), delivered, delivered)

    def _decoder(self) -> Decoder:
        return Decoder(self.config, self.plan, self.scan, self.on_bad_file, self.wanted_labels)

    def _account(self, decoder: Decoder, used: Counter[int] | None = None) -> Accounting:
        """What ``decoder`` did since it was last asked, and the rows used."""
        accounting, decoder.accounting = decoder.accounting, Accounting()
        accounting.used.update(
            {self.scan.groups[group]: rows for group, rows in (used or {}).items() if rows}
        )
        return accounting


def _into_batches(
    parts: Iterable[tuple[Chunk, Rows | None]], total: int, size: int
) -> Iterator[tuple[Rows, Counter[int], float]]:
    """Cut chunks' rows into batches of ``size``: rows, how many of each file group, and how many more to expect (0 at the end)."""
    waiting: list[tuple[int, Rows]] = []
    held = raw = passed = 0
    for chunk, part in parts:
        if part is not None:
            while held >= size:  # rows are only given away once it is known that more follow
                batch, used, waiting = _take_front(waiting, size)
                held -= size
                yield batch, used, held + part.size + (total - raw - chunk.rows) * passed / raw
            waiting.append((chunk.group, part))
            held += part.size
            passed += part.size
        raw += chunk.rows
    while waiting:
        batch, used, waiting = _take_front(waiting, size)
        held -= batch.size
        yield batch, used, held


def _take_front(
    parts: list[tuple[int, Rows]], size: int
) -> tuple[Rows, Counter[int], list[tuple[int, Rows]]]:
    """The first ``size`` rows (or all) of ``parts``, how many are of each file group, and the parts that are left."""
    taken: list[Rows] = []
    used: Counter[int] = Counter()
    left = list(parts)
    while left and size:
        group, rows = left.pop(0)
        if rows.size > size:
            left.insert(0, (group, slice_rows(rows, size, rows.size)))
            rows = slice_rows(rows, 0, size)
        taken.append(rows)
        used[group] += rows.size
        size -= rows.size
    return concatenate_rows(taken), used, left
