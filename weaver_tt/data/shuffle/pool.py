"""A bounded pool that rows come into as they are drawn and leave in random order, a batch at a time."""

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


@dataclass(slots=True)
class DecodedChunk:
    """A chunk's rows that are to come, D of them: ``positions`` (D,) ascending are their places among all rows of the chunk.

    ``places`` (D,) are their places in ``rows``: a row that reweighting repeats comes several times. ``buckets`` (R,): the bucket of each of ``rows``.
    """

    rows: Rows | None  # None where none is
    positions: Integers
    places: Integers
    buckets: Integers


@dataclass(slots=True)
class _Part:
    """Rows that lie together in memory: a chunk, or the block that batches are cut from."""

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
    """Rows in random order; about ``capacity`` of them are in memory at most, those that are gone but not yet freed included.

    Every row that comes in is put into one of the next compartments at random, each as likely. Each turn empties the next compartment: its rows are
    gathered into one block, which batches are cut from at random. So a row is copied twice, and chunks are free after a fixed number of turns.
    As the draws are random in what the rows are, so is whatever part of them goes into a compartment: batches are what they would be if all rows had
    been shuffled.

    With several ``buckets``, each batch holds rows of one of them, and batches come in random order. Rows that do not make a whole batch wait for the
    next block; once nothing more comes, they are a smaller batch for each bucket.

    :param draws: what comes into the pool, ``raw`` rows in all before selection; a chunk's rows come in order.
    :param decode: called for each chunk when the first of its rows is due, in the order of ``draws``.
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
    ) -> None:
        self._draws: Iterator[list[RowRange]] = iter(draws)
        self._decode = decode
        self._batch_size = batch_size
        self._turnover = max(
            batch_size, int(capacity * POOL_SHARE / MAX_COMPARTMENTS)
        )  # rows that come and go in a turn
        self._random = random
        self._buckets = buckets
        self._open: dict[
            Chunk, tuple[DecodedChunk, int]
        ] = {}  # chunks of which more will come, and the number of their part
        self._parts: dict[int, _Part] = {}
        self._compartments = deque(
            _Compartment([], []) for _ in range(max(2, int(capacity * POOL_SHARE / self._turnover)))
        )
        self._turn = self._next = 0  # turns so far; number of the next part
        self._block = IndexedRows(Rows({}, {}, {}))
        self._block_groups = self._block_buckets = np.zeros(0, dtype=np.int64)
        self._batches: deque[Integers] = deque()  # whole batches of the block
        self._rest: list[Integers] = []  # its other rows, bucket after bucket
        self._raw = raw  # rows yet to be drawn
        self._drawn = self._passed = 0

    @property
    def ready(self) -> int:
        """Rows that can be cut now."""
        return sum(map(len, self._batches)) + sum(map(len, self._rest))

    @property
    def expected(self) -> float:
        """Rows to come: held, or expected to pass of what is yet to be drawn."""
        return self.ready + self._waiting + self._raw * self._passed / max(1, self._drawn)

    @property
    def _waiting(self) -> int:
        """Rows in the compartments."""
        return sum(compartment.size for compartment in self._compartments)

    def prepare(self) -> bool:
        """Take turns until a batch is ready, if it can be; whether it is."""
        compartments = len(self._compartments)
        while not self._batches and (
            self._raw or any(compartment.parts for compartment in self._compartments)
        ):
            # the first draws fill the compartments as later ones will: those that are due sooner have more of them
            shares = np.arange(compartments, 0, -1) if self._turn == 0 else np.ones(compartments)
            self._draw(
                self._turnover * (compartments + 1) // 2 - self._waiting,
                np.cumsum(shares) / shares.sum(),
            )
            self._empty(self._compartments.popleft())
            self._compartments.append(_Compartment([], []))
            self._turn += 1
            self._parts = {
                number: part for number, part in self._parts.items() if part.last_turn >= self._turn
            }
        if not self._batches and self._buckets > 1:
            self._rest, left = [], [rest for rest in self._rest if len(rest)]
            self._batches.extend(left[i] for i in self._random.permutation(len(left)))
        return bool(self._batches)

    def take_batch(self, skip: bool = False) -> tuple[Rows | None, Counter[int]]:
        """A batch (smaller if less is ready) and how many of its rows came from each file group; with ``skip`` the rows themselves are left out."""
        if not self._batches:
            self._batches, self._rest = deque([np.concatenate(self._rest)]), []
        index = self._batches.popleft()
        used = Counter(dict(enumerate(np.bincount(self._block_groups[index]).tolist())))
        return None if skip else gather_rows([(self._block, index)]), used

    def _draw(self, least: int, edges: np.ndarray) -> None:
        """Draw ``least`` rows that pass, or all that are left, and divide them at random into the compartments, which end at these shares of them."""
        parts: list[Integers] = []
        places: list[Integers] = []
        fresh = 0
        while fresh < least and self._raw:
            for take in next(self._draws):
                number, rows = self._bring(take)
                parts.append(np.full(len(rows), number))
                places.append(rows)
                fresh += len(rows)
                self._raw -= take.last - take.first
                self._drawn += take.last - take.first
        self._passed += fresh
        if not fresh:
            return
        order = self._random.permutation(fresh)
        # a random offset keeps small draws from always ending in the same compartments
        ends = np.floor(edges * fresh + self._random.random()).astype(int).clip(max=fresh)
        ends[-1] = fresh
        pieces = zip(
            np.split(np.concatenate(parts)[order], ends[:-1]),
            np.split(np.concatenate(places)[order], ends[:-1]),
            strict=True,
        )
        for compartment, (part, place) in zip(self._compartments, pieces, strict=True):
            if len(part):
                compartment.parts.append(part)
                compartment.places.append(place)

    def _bring(self, take: RowRange) -> tuple[int, Integers]:
        """Rows of a chunk into the pool: their part, and their places in it."""
        if take.begins:
            decoded = self._decode(take.chunk)
            self._open[take.chunk] = decoded, self._next
            if decoded.rows is not None:
                self._parts[self._next] = _Part(
                    IndexedRows(decoded.rows),
                    np.full(decoded.rows.size, take.chunk.group),
                    decoded.buckets,
                    0,
                )
            self._next += 1
        decoded, number = self._open[take.chunk]
        if decoded.rows is not None:
            # not freed before more of its rows have come
            self._parts[number].last_turn = (
                self._turn + len(self._compartments) if take.ends else np.iinfo(np.int64).max
            )
        if take.ends:
            del self._open[take.chunk]
        first, last = np.searchsorted(decoded.positions, [take.first, take.last]).tolist()
        return number, decoded.places[first:last]

    def _empty(self, compartment: _Compartment) -> None:
        """Gather the rows of a compartment, and those left of the block, into a new block."""
        if not compartment.parts:
            return
        parts, places = np.concatenate(compartment.parts), np.concatenate(compartment.places)
        order = np.argsort(parts, kind="stable")
        numbers, firsts = np.unique(parts[order], return_index=True)
        chosen = [
            (self._parts[number], index)
            for number, index in zip(
                numbers.tolist(), np.split(places[order], firsts[1:]), strict=True
            )
        ]
        rest = np.concatenate([*self._rest, np.zeros(0, dtype=np.int64)])
        sources = [(self._block, rest)] * bool(len(rest)) + [
            (part.rows, index) for part, index in chosen
        ]
        self._block_groups = np.concatenate(
            [self._block_groups[rest], *(part.groups[index] for part, index in chosen)]
        )
        self._block_buckets = np.concatenate(
            [self._block_buckets[rest], *(part.buckets[index] for part, index in chosen)]
        )
        self._block = IndexedRows(gather_rows(sources))
        self._cut_batches()

    def _cut_batches(self) -> None:
        """Cut the block into whole batches of rows of one bucket each, in random order, and what is left of each bucket."""
        order = self._random.permutation(len(self._block_buckets))
        order = order[np.argsort(self._block_buckets[order], kind="stable")]
        runs = np.split(
            order, np.cumsum(np.bincount(self._block_buckets, minlength=self._buckets))[:-1]
        )
        whole = [len(run) // self._batch_size * self._batch_size for run in runs]
        self._rest = [run[end:] for run, end in zip(runs, whole, strict=True)]
        batches = [
            batch
            for run, end in zip(runs, whole, strict=True)
            for batch in run[:end].reshape(-1, self._batch_size)
        ]
        self._batches = deque(batches[i] for i in self._random.permutation(len(batches)))
