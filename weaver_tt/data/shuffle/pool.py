"""A bounded pool of rows: they come in as they are drawn and leave in random order, in batches."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from weaver_tt.data.chunks import Chunk
from weaver_tt.data.rows.rows import IndexedRows, Integers, Rows, gather_rows
from weaver_tt.data.shuffle.lanes import RowRange

MAX_COMPARTMENTS = 32  # turns that a row waits at most
POOL_SHARE = 0.75  # of the capacity; the rest is for chunks of which only some rows were drawn
NEVER = np.iinfo(np.int64).max
NO_INDICES: Integers = np.zeros(0, dtype=np.int64)


@dataclass(slots=True)
class DecodedChunk:
    """A chunk's rows that are to come, D of them.

    ``positions`` (D,), ascending, are their places among all rows of the chunk, ``places`` (D,)
    those in ``rows``: a row that reweighting repeats comes several times. ``buckets`` (R,) is the
    bucket of each of ``rows``.
    """

    rows: Rows | None  # None where no row is left
    positions: Integers
    places: Integers
    buckets: Integers


@dataclass(frozen=True, slots=True)
class Rest:
    """Rows of a stream that do not make a whole batch; with those of other streams they may."""

    rows: Rows
    groups: Integers  # (R,) file group of each row


@dataclass(slots=True)
class _Part:
    """Rows that lie together in memory: those of a chunk."""

    rows: IndexedRows
    groups: Integers  # (R,) file group of each row
    buckets: Integers  # (R,) bucket of each row
    last_turn: int  # when the last of its rows leaves the pool, as far as is known


@dataclass(slots=True)
class _Compartment:
    """Rows that leave the pool in the same turn: part and place in it, (n,) each."""

    parts: list[Integers]
    places: list[Integers]

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))


class Pool:
    """Rows in random order, about ``capacity`` of them in memory at most.

    Those that are gone but not yet freed are included.

    Every row that comes in is put into one of the next compartments at random, each as likely.
    Each turn empties the next compartment: its rows are gathered into one block, which is cut into
    batches at random. So a row is copied twice, and chunks are freed after a fixed number of
    turns. As it is random which rows are drawn, so is what part of them goes into a compartment:
    batches are what they would be if all rows had been shuffled.

    With several ``buckets``, each batch holds rows of one of them, and batches come in random
    order. Rows that do not make a whole batch wait for the next block; once nothing more comes,
    they are a smaller batch for each bucket. Where that would be smaller than ``smallest``, they
    join those of the bucket beside it, or are left out where there is none.
    """

    def __init__(
        self,
        draws: Iterable[list[RowRange]],
        raw: int,
        decode: Callable[[Chunk], DecodedChunk],
        *,
        batch_size: int,
        capacity: int,
        random: np.random.Generator,
        buckets: int = 1,
        smallest: int = 1,
    ) -> None:
        """``draws``: what comes into the pool, ``raw`` rows in all before selection.

        A chunk's rows come in order. ``decode`` is called for each chunk when the first of its
        rows is due, in the order of ``draws``.
        """
        self._draws: Iterator[list[RowRange]] = iter(draws)
        self._decode = decode
        self._batch_size = batch_size
        self._random = random
        self._buckets = buckets
        self._smallest = smallest
        usable = capacity * POOL_SHARE
        # rows that come and go in a turn: at least a batch
        self._turnover = max(batch_size, int(usable / MAX_COMPARTMENTS))
        number = max(2, int(usable / self._turnover))
        self._compartments = deque(_Compartment([], []) for _ in range(number))
        # chunks of which more rows will come, with the number of their part
        self._open: dict[Chunk, tuple[DecodedChunk, int]] = {}
        self._parts: dict[int, _Part] = {}
        self._next_part = 0
        self._turn = 0  # turns so far
        # the block that batches are cut from, with file group and bucket of each row
        self._block = IndexedRows(Rows({}, {}, {}))
        self._block_groups = NO_INDICES
        self._block_buckets = NO_INDICES
        self._batches: deque[Integers] = deque()  # whole batches of the block
        self._rest: list[Integers] = []  # its other rows, bucket after bucket
        self._raw = raw  # rows yet to be drawn
        self._drawn = 0  # rows drawn
        self._passed = 0  # and how many of them passed the selection

    @property
    def ready(self) -> int:
        """Rows that can be delivered now."""
        in_batches = sum(map(len, self._batches))
        return in_batches + sum(map(len, self._rest))

    @property
    def expected(self) -> float:
        """Rows to come: held, or expected to pass of what is yet to be drawn."""
        passing = self._passed / max(1, self._drawn)
        return self.ready + self._waiting + self._raw * passing

    @property
    def _waiting(self) -> int:
        """Rows in the compartments."""
        return sum(compartment.size for compartment in self._compartments)

    def prepare(self) -> bool:
        """Take turns until a whole batch is ready, if that can be; whether one is.

        Once nothing more comes, the rest of each bucket counts as a whole batch.
        """
        while not self._batches and self._has_more():
            self._take_turn()
        if not self._batches and self._buckets > 1:
            # smaller batches, or a batch would hold rows of several buckets
            rests = join_small(self._rest, self._smallest, self._batch_size)
            self._rest = []
            for i in self._random.permutation(len(rests)):
                self._batches.append(rests[i])
        return bool(self._batches)

    @property
    def has_rest(self) -> bool:
        """Whether what is left makes a smaller batch."""
        return self.ready >= self._smallest

    def take_batch(self, skip: bool = False) -> tuple[Rows | None, Counter[int]]:
        """A batch (smaller if less is ready), and how many of its rows are of each file group.

        With ``skip`` the rows themselves are left out.
        """
        if not self._batches:
            # the end of the data: what is left is the last batch
            self._batches.append(np.concatenate(self._rest))
            self._rest = []
        index = self._batches.popleft()
        rows_of_group = np.bincount(self._block_groups[index]).tolist()
        used = Counter(dict(enumerate(rows_of_group)))
        if skip:
            return None, used
        return gather_rows([(self._block, index)]), used

    def take_rest(self) -> Rest | None:
        """The rows that are left at the end of the data; None where there are none."""
        if not self.ready:
            return None
        index = np.concatenate(self._rest)
        self._rest = []
        return Rest(gather_rows([(self._block, index)]), self._block_groups[index])

    def _has_more(self) -> bool:
        """Whether rows are yet to be drawn or wait in a compartment."""
        if self._raw:
            return True
        return any(compartment.parts for compartment in self._compartments)

    def _take_turn(self) -> None:
        """Draw as many rows as will leave, and make a block of those whose turn it is."""
        compartments = len(self._compartments)
        # the one that is due is full, each behind it has had one draw less: on average half full
        held = self._turnover * (compartments + 1) // 2
        shares = np.ones(compartments)
        if self._turn == 0:
            # the first draw makes them so
            shares = np.arange(compartments, 0, -1, dtype=np.float64)
        edges = np.cumsum(shares) / shares.sum()
        self._draw(held - self._waiting, edges)
        self._empty(self._compartments.popleft())
        self._compartments.append(_Compartment([], []))
        self._turn += 1
        # rows of a part have been copied into blocks when the last of them has left
        for number, part in list(self._parts.items()):
            if part.last_turn < self._turn:
                del self._parts[number]

    def _draw(self, least: int, edges: np.ndarray) -> None:
        """Draw at least ``least`` rows that pass, or all that are left, into the compartments.

        They are divided at random; compartments end at the shares ``edges`` of them.
        """
        parts: list[Integers] = []
        places: list[Integers] = []
        fresh = 0
        while fresh < least and self._raw:
            for row_range in next(self._draws):
                number, rows = self._bring_in(row_range)
                parts.append(np.full(len(rows), number))
                places.append(rows)
                fresh += len(rows)
                self._raw -= row_range.rows
                self._drawn += row_range.rows
        self._passed += fresh
        if not fresh:
            return
        order = self._random.permutation(fresh)
        # a random offset keeps small draws from always ending in the same compartments
        ends = np.floor(edges * fresh + self._random.random())
        ends = ends.astype(int).clip(max=fresh)
        ends[-1] = fresh
        part_of_row = np.concatenate(parts)[order]
        place_of_row = np.concatenate(places)[order]
        first = 0
        for compartment, last in zip(self._compartments, ends.tolist(), strict=True):
            if first < last:
                compartment.parts.append(part_of_row[first:last])
                compartment.places.append(place_of_row[first:last])
            first = last

    def _bring_in(self, row_range: RowRange) -> tuple[int, Integers]:
        """Rows of a chunk into the pool: the number of their part, and their places in it."""
        chunk = row_range.chunk
        if row_range.begins:
            self._open_chunk(chunk)
        decoded, number = self._open[chunk]
        if decoded.rows is not None:
            part = self._parts[number]
            # not freed before all of its rows have come and the last compartment has had its turn
            part.last_turn = NEVER
            if row_range.ends:
                part.last_turn = self._turn + len(self._compartments)
        if row_range.ends:
            del self._open[chunk]
        # of the rows that were drawn, those that are left after selection and reweighting
        edges = [row_range.first, row_range.last]
        first, last = np.searchsorted(decoded.positions, edges).tolist()
        return number, decoded.places[first:last]

    def _open_chunk(self, chunk: Chunk) -> None:
        """Decode a chunk; its rows are a new part."""
        decoded = self._decode(chunk)
        number = self._next_part
        self._next_part += 1
        self._open[chunk] = decoded, number
        if decoded.rows is not None:
            groups = np.full(decoded.rows.size, chunk.group)
            rows = IndexedRows(decoded.rows)
            self._parts[number] = _Part(rows, groups, decoded.buckets, last_turn=NEVER)

    def _empty(self, compartment: _Compartment) -> None:
        """Gather the rows of a compartment, and those left of the block, into a new block."""
        if not compartment.parts:
            return
        parts = np.concatenate(compartment.parts)
        places = np.concatenate(compartment.places)
        # rows that lie together in memory are copied together: part after part
        order = np.argsort(parts, kind="stable")
        numbers, firsts = np.unique(parts[order], return_index=True)
        places_of_part = np.split(places[order], firsts[1:])
        sources = []
        groups = []
        buckets = []
        # rows that did not make a whole batch come first
        rest = np.concatenate([*self._rest, NO_INDICES])
        if len(rest):
            sources.append((self._block, rest))
            groups.append(self._block_groups[rest])
            buckets.append(self._block_buckets[rest])
        for number, index in zip(numbers.tolist(), places_of_part, strict=True):
            part = self._parts[number]
            sources.append((part.rows, index))
            groups.append(part.groups[index])
            buckets.append(part.buckets[index])
        self._block = IndexedRows(gather_rows(sources))
        self._block_groups = np.concatenate(groups)
        self._block_buckets = np.concatenate(buckets)
        self._cut_batches()

    def _cut_batches(self) -> None:
        """Cut the block into whole batches of rows of one bucket each, in random order."""
        # random within a bucket, as the sort is stable
        order = self._random.permutation(len(self._block_buckets))
        order = order[np.argsort(self._block_buckets[order], kind="stable")]
        sizes = np.bincount(self._block_buckets, minlength=self._buckets)
        batches: list[Integers] = []
        self._rest = []
        for rows in np.split(order, np.cumsum(sizes)[:-1]):
            whole = len(rows) // self._batch_size * self._batch_size
            batches += list(rows[:whole].reshape(-1, self._batch_size))
            # what is left of each bucket waits for the next block
            self._rest.append(rows[whole:])
        # mixed, or all batches of a bucket would come one after the other
        mixed = self._random.permutation(len(batches))
        self._batches = deque(batches[i] for i in mixed)


def join_small(parts: list[Integers], smallest: int, largest: int) -> list[Integers]:
    """The parts without empty ones; those of fewer than ``smallest`` rows join their neighbours.

    No more than ``largest`` rows come together in this way, except with the last part, which joins
    the one before whatever its size. A part that is alone and too small is left out.
    """
    joined: list[Integers] = []
    for part in parts:
        if not len(part):
            continue
        if joined:
            before = joined[-1]
            is_small = min(len(part), len(before)) < smallest
            if is_small and len(before) + len(part) <= largest:
                joined[-1] = np.concatenate([before, part])
                continue
        joined.append(part)
    # only the last one can have found no room
    if joined and len(joined[-1]) < smallest:
        last = joined.pop()
        if joined:
            joined[-1] = np.concatenate([joined[-1], last])
    return joined
