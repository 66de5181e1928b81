"""Which rows a shuffled epoch reads when: streams of chunks side by side. Integers only, no I/O.

A *lane* is a run of the input, at least one for each file group. Rows are drawn from the lanes as
a draw without replacement from all rows still to come would (multivariate hypergeometric), so the
lanes make up what is drawn exactly as in a full shuffle, however the data is sorted among them.
Inside a lane, chunks come in random order and their rows one after another; mixing those is the
pool's part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from weaver_tt.data.chunks import Chunk, Source, chunks_by_group, rows_between, total_rows

MAX_LANES = 32  # each keeps a decoded chunk, and a file open
ENOUGH_LANES = 16  # for which small reads are accepted
MIN_LANES = 8  # for which clusters are cut
MIN_READ_ROWS = 3000  # rows that make a read worth its fixed cost, where the pool leaves the choice
MAX_POPULATION = 10**9  # rows that numpy draws from at most


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows [first, last) of a chunk, counted from the chunk's own first row."""

    chunk: Chunk
    first: int
    last: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.last - self.first

    @property
    def begins(self) -> bool:
        """Whether these are the first rows of the chunk that are drawn."""
        return self.first == 0

    @property
    def ends(self) -> bool:
        """Whether no more rows of the chunk will be drawn."""
        return self.last == self.chunk.rows


def lane_count(sources: Sequence[Source], pool: int) -> int:
    """How many lanes to read side by side for a pool of ``pool`` rows.

    So many that a chunk of each fits into half of the pool, and clusters of the usual size need
    not be cut; at least one for each file group.
    """
    clusters = [np.diff(source.borders) for source in sources]
    sizes = np.concatenate(clusters).astype(float)
    # the size of the cluster that the average row lies in: the short ones at ends count little
    cluster = float((sizes**2).sum() / max(1.0, sizes.sum()))
    half = pool / 2
    # tiny clusters are merged, at the price of fewer lanes, but not of fewer than are enough
    smallest = min(MIN_READ_ROWS, half / ENOUGH_LANES)
    # huge ones are cut, at the price of decoding them twice
    largest = half / MIN_LANES
    chunk = min(max(cluster, smallest), largest)
    fitting = min(MAX_LANES, int(half / chunk))
    groups = {source.group for source in sources}
    return max(len(groups), fitting)


def plan_lanes(chunks: Sequence[Chunk], number: int) -> list[list[Chunk]]:
    """Divide ``chunks`` (in input order) into about ``number`` lanes.

    By group, then by file while there are few, then into runs of chunks.
    """
    lanes_per_row = number / max(1, total_rows(chunks))
    lanes: list[list[Chunk]] = []
    for members in chunks_by_group(chunks).values():
        files: dict[str, list[Chunk]] = {}
        for chunk in members:
            files.setdefault(chunk.path, []).append(chunk)
        group_lanes = max(1, round(lanes_per_row * total_rows(members)))
        # while there are few files, a lane lies in one of them; of many, it goes through several
        runs = [members]
        if len(files) <= group_lanes:
            runs = list(files.values())
        for run in runs:
            wanted = max(1, round(lanes_per_row * total_rows(run)))
            lanes += _split_evenly(run, min(len(run), wanted))
    return lanes


def _split_evenly(run: list[Chunk], parts: int) -> list[list[Chunk]]:
    """``run`` in ``parts`` whose numbers of chunks differ by at most one."""
    lanes = []
    for part in range(parts):
        first = len(run) * part // parts
        last = len(run) * (part + 1) // parts
        lanes.append(run[first:last])
    return lanes


def split_lanes(lanes: Sequence[Sequence[Chunk]], index: int, of: int) -> list[list[Chunk]]:
    """Share ``index`` of ``of`` of the rows of every lane, without empty lanes.

    Every row is in one share, and shares differ by at most one row.
    """
    shares = []
    turn = 0  # who gets the first row that cannot be divided
    for lane in lanes:
        each, odd = divmod(total_rows(lane), of)
        # the odd rows of one lane after the other go round, so that nobody gets more of them
        sizes = [each + ((number - turn) % of < odd) for number in range(of)]
        turn = (turn + odd) % of
        first = sum(sizes[:index])
        last = first + sizes[index]
        shares.append(rows_between(lane, first, last))
    return [lane for lane in shares if lane]


def plan_draws(
    lanes: Sequence[Sequence[Chunk]], step: int, random: np.random.Generator
) -> Iterator[list[RowRange]]:
    """Draws of ``step`` rows each (the last one as it comes) that use up all ``lanes``."""
    waiting = [deque(lane) for lane in lanes]
    drawn = [0] * len(lanes)  # rows of each lane's first chunk that have been drawn
    left = np.array([total_rows(lane) for lane in lanes], dtype=np.int64)  # (lanes,)
    while total := int(left.sum()):
        # of a larger population, a proportional part serves as well
        population = left // (1 + total // MAX_POPULATION)
        # rows of each lane in a draw without replacement from all rows that are left
        shares = random.multivariate_hypergeometric(
            population, min(step, total), method="marginals"
        )  # (lanes,)
        left -= shares
        draw = []
        for lane, share in enumerate(shares.tolist()):
            # the lane's next rows: the rest of its first chunk, then of those behind it
            while share:
                chunk = waiting[lane][0]
                first = drawn[lane]
                row_range = RowRange(chunk, first, min(first + share, chunk.rows))
                draw.append(row_range)
                share -= row_range.rows
                drawn[lane] = row_range.last
                if row_range.ends:
                    waiting[lane].popleft()
                    drawn[lane] = 0
        yield draw
