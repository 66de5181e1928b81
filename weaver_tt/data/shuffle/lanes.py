"""Which rows a shuffled epoch takes when: streams of chunks read side by side, drawn from as a full shuffle would. Integers only, no I/O.

A *lane* is a run of the input, at least one for each file group. Rows are drawn from the lanes as a draw without replacement from all rows still
to come would (multivariate hypergeometric), so the lanes make up what is drawn exactly as in a full shuffle, however the data is sorted among
them. Inside a lane, chunks come in random order and their rows one after another; mixing those is the pool's part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from weaver_tt.data.chunks import Chunk, Source, chunks_by_group, rows_between, total_rows

MAX_LANES = 32  # each keeps a decoded chunk, and a file open
ENOUGH_LANES = 16  # for which small reads are put up with
MIN_LANES = 8  # for which clusters are cut
MIN_READ_ROWS = 3000  # rows that make a read worth its fixed cost, where the pool leaves the choice


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows [first, last) of a chunk, counted from the chunk's own first row."""

    chunk: Chunk
    first: int
    last: int

    @property
    def begins(self) -> bool:
        """Whether these are the first rows of the chunk that are taken."""
        return self.first == 0

    @property
    def ends(self) -> bool:
        """Whether no more rows of the chunk will be taken."""
        return self.last == self.chunk.rows


def lane_count(sources: Sequence[Source], pool: int) -> int:
    """How many lanes to read side by side: so many that a chunk of each fits into half of ``pool``, and the usual cluster need not be cut."""
    sizes = np.concatenate([np.diff(source.borders) for source in sources]).astype(float)
    cluster = float((sizes**2).sum() / max(1.0, sizes.sum()))  # of the average row
    half = pool / 2
    chunk = min(max(cluster, min(MIN_READ_ROWS, half / ENOUGH_LANES)), half / MIN_LANES)
    return max(len({source.group for source in sources}), min(MAX_LANES, int(half / chunk)))


def plan_lanes(chunks: Sequence[Chunk], number: int) -> list[list[Chunk]]:
    """Divide ``chunks`` (in input order) into about ``number`` lanes: by group, then by file while there are few, then into runs of chunks."""
    per_row = number / max(1, total_rows(chunks))
    lanes: list[list[Chunk]] = []
    for members in chunks_by_group(chunks).values():
        files: dict[str, list[Chunk]] = {}
        for chunk in members:
            files.setdefault(chunk.path, []).append(chunk)
        few = len(files) <= max(1, round(per_row * total_rows(members)))
        for run in files.values() if few else [members]:
            pieces = min(len(run), max(1, round(per_row * total_rows(run))))
            edges = [len(run) * i // pieces for i in range(pieces + 1)]
            lanes += [run[first:last] for first, last in pairwise(edges)]
    return lanes


def split_lanes(lanes: Sequence[Sequence[Chunk]], index: int, of: int) -> list[list[Chunk]]:
    """Share ``index`` of ``of`` of the rows of every lane, without empty lanes: every row is in one share, and shares differ by at most one row."""
    shares = []
    turn = 0  # who gets the first row that cannot be divided
    for lane in lanes:
        each, odd = divmod(total_rows(lane), of)
        sizes = [each + ((number - turn) % of < odd) for number in range(of)]
        turn = (turn + odd) % of
        first = sum(sizes[:index])
        shares.append(rows_between(lane, first, first + sizes[index]))
    return [lane for lane in shares if lane]


def plan_draws(
    lanes: Sequence[Sequence[Chunk]], step: int, random: np.random.Generator
) -> Iterator[list[RowRange]]:
    """Draws of ``step`` rows each (the last one as it comes) that use up all ``lanes``."""
    waiting = [deque(lane) for lane in lanes]
    gone = [0] * len(lanes)  # rows of each lane's first chunk that are taken
    left = np.array([total_rows(lane) for lane in lanes], dtype=np.int64)
    while total := int(left.sum()):
        # numpy draws from at most 10^9; of more, a proportional part serves as well
        shares = random.multivariate_hypergeometric(
            left // (1 + total // 10**9), min(step, total), method="marginals"
        )
        left -= shares
        draw = []
        for lane, share in enumerate(shares.tolist()):
            while share:
                chunk = waiting[lane][0]
                last = min(gone[lane] + share, chunk.rows)
                draw.append(RowRange(chunk, gone[lane], last))
                share -= last - gone[lane]
                gone[lane] = last
                if last == chunk.rows:
                    waiting[lane].popleft()
                    gone[lane] = 0
        yield draw
