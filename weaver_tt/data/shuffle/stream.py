"""The stream of batches: chunks become rows, rows become batches that are still jagged.

Training streams are shuffled in a pool; validation and prediction read in order. Every stream is a
function of its arguments alone.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count, islice, pairwise

import numpy as np

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.chunks import (
    Chunk,
    Source,
    entry_ranges,
    epoch_order,
    sample_files,
    sequential_chunks,
    split_into_chunks,
    total_rows,
)
from weaver_tt.data.rows.labels import ANY_LABELS, WantedLabels
from weaver_tt.data.rows.rows import Rows, concatenate_rows, convert_arrays, slice_rows
from weaver_tt.data.scan import Scan
from weaver_tt.data.shuffle.decoder import Decoder, KeptChunks, ReadChunk
from weaver_tt.data.shuffle.lanes import RowRange, lane_count, plan_draws, plan_lanes, split_lanes
from weaver_tt.data.shuffle.pool import DecodedChunk, Pool, Rest
from weaver_tt.data.shuffle.read_ahead import read_ahead
from weaver_tt.data.statistics.sampling import Sampler
from weaver_tt.errors import ConfigError
from weaver_tt.system.stage_times import Stage, StageTimes, stage

READ_AHEAD = 2  # chunks read while others are worked on
SEQUENTIAL_CHUNK = 10_000  # rows read at once where they are not shuffled
DRAWS_PER_POOL = 48  # draws that fill a pool: each takes rows of all lanes
NOTHING_USED: Mapping[int, int] = {}


@dataclass(slots=True)
class UnpaddedBatch:
    """A batch that is not yet padded.

    The last of a stream has no rows, only what is left to account for, and perhaps a rest.
    """

    rows: Rows | None  # None also where the batch was to be skipped
    accounting: Accounting  # since the batch before
    delivered: int = 0  # rows that this stream has delivered, these included
    # rows that it will have delivered in the end, as far as is known; delivered for the last batch
    expected: float = 0.0
    number: int = -1  # 0 for the stream's first batch; -1 for the end
    worker: int = 0
    rest: Rest | None = None
    turn: int = 0  # where ranks take ranges of entries in turn: of which turn it is
    times: StageTimes = field(default_factory=StageTimes)  # since the batch before


@dataclass(frozen=True, kw_only=True)
class Stream:
    """What is read and how it is divided; its methods give the batches of an epoch."""

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
    smallest_batch: int = 1  # rows of a shuffled batch, at least
    file_fraction: float = 1.0  # of each group's files, chosen anew for each epoch
    read_ahead: int = READ_AHEAD
    identify: bool = False  # rows have an ``identity``
    kept: KeptChunks | None = None  # from epoch to epoch; None: all is read anew

    def keeping_small_data(self) -> Stream:
        """This stream, which reads its data once and keeps them if all of them fit the pool."""
        rows = sum(source.rows for source in self.sources)
        return replace(self, kept=KeptChunks()) if rows <= self.pool_size else self

    @property
    def buckets(self) -> int:
        """How many kinds of rows are kept apart in batches; 1 without bucketing.

        Raises:
            ConfigError: the edges have not been computed.
        """
        bucketing = self.config.bucketing
        if bucketing is None:
            return 1
        if bucketing.inner_edges is None:
            raise ConfigError(
                f"{self.config.source}: bucketing: its edges have not been computed from the "
                "training data yet"
            )
        return len(bucketing.inner_edges) + 1

    def shuffled_batches(
        self,
        epoch: int,
        rank: int = 0,
        world: int = 1,
        worker: int = 0,
        workers: int = 1,
        skip: int = 0,
        hand_over: bool = False,
    ) -> Iterator[UnpaddedBatch]:
        """Whole batches in random order from this worker's share of the rows.

        The first ``skip`` of them come without rows. With ``hand_over``, rows that do not make a
        whole batch come at the end, for :func:`batches_of_rests`; see ``hands_over``.
        """
        delivered = 0
        number = 0
        rest = None
        share = rank * workers + worker
        capacity = max(1, self.pool_size // workers)
        # where others have a share, chunks are cut at other places in each epoch
        kept = self.kept if world * workers == 1 else None
        with closing(self._decoder(kept)) as decoder:
            for again in count():
                first_number = number
                lanes = self.lanes(epoch, again, share, world * workers)
                seeds = np.random.SeedSequence((self.seed, epoch, rank, worker, again)).spawn(2)
                with self._pool(decoder, lanes, capacity, seeds, epoch, again) as pool:
                    with decoder.times.stage(Stage.BATCHING):
                        whole = pool.prepare()
                    # data of less than a batch is one smaller batch; else its rest is left out
                    while whole or (pool.has_rest and not number and not hand_over):
                        with decoder.times.stage(Stage.BATCHING):
                            rows, used = pool.take_batch(skip=number < skip)
                            # known only now: whether this was the last batch
                            whole = pool.prepare()
                        delivered += used.total()
                        expected = delivered + (pool.expected if whole or hand_over else 0)
                        accounting = self._take_accounting(decoder, used)
                        times = decoder.times.take()
                        yield UnpaddedBatch(
                            rows, accounting, delivered, expected, number, worker, times=times
                        )
                        number += 1
                    if hand_over:
                        rest = pool.take_rest()
                # data without a row would be begun again for ever
                if not self.endless or number == first_number:
                    break
            accounting = self._take_accounting(decoder)
            expected = delivered if rest is None else delivered + rest.rows.size
            times = decoder.times.take()
            yield UnpaddedBatch(
                None, accounting, delivered, expected, worker=worker, rest=rest, times=times
            )

    @property
    def hands_over(self) -> bool:
        """Whether workers hand over what does not make a whole batch.

        They do not where the data begin again, nor where each bucket ends with a smaller batch.
        """
        return not self.endless and self.buckets == 1

    def lanes(self, epoch: int, again: int, index: int, of: int) -> list[list[Chunk]]:
        """Share ``index`` of ``of`` of an epoch's chunks, in lanes.

        Every row is in exactly one share.
        """
        sources: Sequence[Source] = self.sources
        if self.file_fraction != 1:
            sources = sample_files(sources, self.file_fraction, self.seed, epoch, again)
        # the same chunks for any number of workers: with smaller ones for many workers, clusters
        # would be decoded in parts, each time as a whole
        number = lane_count(sources, self.pool_size)
        most = max(1, self.pool_size // (2 * number))
        chunks: list[Chunk] = []
        for source in sources:
            chunks += split_into_chunks(source, most)
        lanes = plan_lanes(chunks, number)
        lane_pool = max(1, self.pool_size // len(lanes))
        orders = []
        for i, lane in enumerate(lanes):
            state = np.random.SeedSequence((self.seed, again, i)).generate_state(1)
            orders.append(epoch_order(lane, int(state[0]), epoch, lane_pool))
        return split_lanes(orders, index, of)

    @contextmanager
    def _pool(
        self,
        decoder: Decoder,
        lanes: list[list[Chunk]],
        capacity: int,
        seeds: Sequence[np.random.SeedSequence],
        epoch: int,
        again: int,
    ) -> Iterator[Pool]:
        """A pool of the rows of ``lanes``, whose chunks a thread reads ahead."""
        step = max(1, capacity // DRAWS_PER_POOL)
        drawing, mixing = seeds
        sampler = None
        if self.config.weights is not None:
            sampler = Sampler(self.config, self.scan.sources, (self.seed, epoch, again))

        def draws() -> Iterator[list[RowRange]]:
            return plan_draws(lanes, step, np.random.default_rng(drawing))

        def reads() -> Iterator[ReadChunk]:
            # the order of the chunks is known beforehand: the reading thread follows a schedule
            # of its own, which is the same
            for draw in draws():
                for row_range in draw:
                    if row_range.begins:
                        yield decoder.read(row_range.chunk)

        # a file for each lane, and the one that is read next
        decoder.keep_open = len(lanes) + 1
        with closing(read_ahead(reads(), self.read_ahead)) as chunks_read:

            def decode(chunk: Chunk) -> DecodedChunk:
                with stage(Stage.CHUNKS):
                    read = next(chunks_read)
                return decoder.finish(chunk, read, sampler)

            yield Pool(
                draws(),
                sum(map(total_rows, lanes)),
                decode,
                batch_size=self.batch_size,
                capacity=capacity,
                random=np.random.default_rng(mixing),
                buckets=self.buckets,
                smallest=self.smallest_batch,
            )

    def ordered_batches(
        self, rank: int = 0, world: int = 1, skip: int = 0
    ) -> Iterator[UnpaddedBatch]:
        """All batches of the rank's contiguous share of the rows, in input order.

        The last one as it comes. The first ``skip`` of them come without rows.
        """
        share = sequential_chunks(self.sources, SEQUENTIAL_CHUNK, rank, world)
        yield from self._batches_of_ranges([share], skip)

    def batches_in_turns(self, rank: int = 0, world: int = 1) -> Iterator[UnpaddedBatch]:
        """Batches of the ranges of entries that the rank takes, in input order.

        In each turn every rank takes one, rank after rank: turn after turn they are the input.
        """
        yield from self._batches_of_ranges(self._ranges(world)[rank::world], 0)

    def turns(self, world: int = 1) -> int:
        """In how many turns the ranks take all ranges of entries."""
        return -(-len(self._ranges(world)) // world)

    def _ranges(self, world: int) -> list[list[Chunk]]:
        return entry_ranges(self.sources, SEQUENTIAL_CHUNK, world)

    def _batches_of_ranges(
        self, ranges: Sequence[list[Chunk]], skip: int
    ) -> Iterator[UnpaddedBatch]:
        """The batches of each of the ``ranges`` of rows; the last one of each as it comes."""
        chunks = [chunk for members in ranges for chunk in members]
        unread = total_rows(chunks)  # of the ranges to come
        delivered = 0
        number = 0
        with closing(self._decoder(self.kept)) as decoder:
            reads = (decoder.read(chunk) for chunk in chunks)
            with closing(read_ahead(reads, self.read_ahead)) as chunks_read:
                waited_for = decoder.times.over(Stage.CHUNKS, chunks_read)
                parts = (
                    (chunk, self._own_rows(decoder.finish(chunk, read)))
                    for chunk, read in zip(chunks, waited_for, strict=True)
                )
                for turn, members in enumerate(ranges):
                    rows_of_range = total_rows(members)
                    unread -= rows_of_range
                    of_range = islice(parts, len(members))
                    batches = _into_batches(of_range, rows_of_range, self.batch_size)
                    for rows, used, to_come in decoder.times.over(Stage.BATCHING, batches):
                        delivered += rows.size
                        expected = delivered + to_come + unread
                        accounting = self._take_accounting(decoder, used)
                        times = decoder.times.take()
                        kept = None if number < skip else rows
                        yield UnpaddedBatch(
                            kept, accounting, delivered, expected, number, turn=turn, times=times
                        )
                        number += 1
                accounting = self._take_accounting(decoder)
                times = decoder.times.take()
                yield UnpaddedBatch(None, accounting, delivered, delivered, times=times)

    def _own_rows(self, decoded: DecodedChunk) -> Rows | None:
        """The rows of a chunk, which a batch in order may be a part of, and be written to."""
        if decoded.rows is None or self.kept is None:
            return decoded.rows
        return convert_arrays(decoded.rows, np.copy)

    def _decoder(self, kept: KeptChunks | None) -> Decoder:
        return Decoder(
            self.config,
            self.plan,
            self.scan,
            self.on_bad_file,
            self.wanted_labels,
            self.identify,
            kept,
        )

    def _take_accounting(
        self, decoder: Decoder, used: Mapping[int, int] = NOTHING_USED
    ) -> Accounting:
        """What ``decoder`` has counted since this was last called, and the rows used."""
        accounting = decoder.accounting
        decoder.accounting = Accounting()
        for group, rows in used.items():
            if rows:
                accounting.used[self.scan.groups[group]] += rows
        return accounting


def batches_of_rests(
    rests: Sequence[Rest], size: int, smallest: int | None = None
) -> Iterator[tuple[Rows, Counter[int]]]:
    """Whole batches of what streams have handed over, and how many rows are of each file group.

    What is left then is one smaller batch, if it has at least ``smallest`` rows; by default it is
    left out.
    """
    if not rests:
        return
    rows = concatenate_rows([rest.rows for rest in rests])
    groups = np.concatenate([rest.groups for rest in rests])
    edges = list(range(0, rows.size + 1, size))
    if smallest is not None and rows.size - edges[-1] >= smallest:
        edges.append(rows.size)
    for first, last in pairwise(edges):
        used = Counter(groups[first:last].tolist())
        yield slice_rows(rows, first, last), used


def _into_batches(
    parts: Iterable[tuple[Chunk, Rows | None]], total: int, size: int
) -> Iterator[tuple[Rows, Counter[int], float]]:
    """Divide chunks' rows into batches of ``size``.

    With how many rows are of each file group, and how many more to expect (0 at the end).
    """
    waiting: list[tuple[int, Rows]] = []
    held = 0  # rows that wait
    raw = 0  # rows read
    passed = 0  # and how many of them passed the selection
    for chunk, part in parts:
        if part is not None:
            # whole batches are only given away once it is known that more rows follow
            while held >= size:
                batch, used, waiting = _take_front(waiting, size)
                held -= size
                unread = total - raw - chunk.rows
                yield batch, used, held + part.size + unread * passed / raw
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
    """The first ``size`` rows (or all) of ``parts``.

    With how many of them are of each file group, and the parts that are left.
    """
    front: list[Rows] = []
    used: Counter[int] = Counter()
    left = deque(parts)
    while left and size:
        group, rows = left.popleft()
        if rows.size > size:
            left.appendleft((group, slice_rows(rows, size, rows.size)))
            rows = slice_rows(rows, 0, size)
        front.append(rows)
        used[group] += rows.size
        size -= rows.size
    return concatenate_rows(front), used, list(left)
