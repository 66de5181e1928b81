"""Which rows are read when and by whom: entry ranges on cluster borders, their seeded order, exact shares. Integers only, no I/O.

The flow of a training epoch: ``window`` each source, ``cut`` it into chunks, divide these into lanes (``lanes.py``) and put each lane into
``epoch_order``. Validation and prediction read ``sequential`` chunks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of one file that are used: ``borders[0]`` to ``borders[-1]``; reads that begin and end at a border decode nothing twice."""

    group: int  # index of the file group
    path: str
    borders: tuple[int, ...]  # ascending, at least one

    @property
    def rows(self) -> int:
        """Number of rows between the outer borders."""
        return self.borders[-1] - self.borders[0]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows [first, last) of a file, read and shuffled as one."""

    group: int
    path: str
    first: int
    last: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.last - self.first


def select_window(source: Source, low: float, high: float) -> Source:
    """The part of ``source`` between the fractions ``low`` and ``high`` of its rows; 0 <= low <= high <= 1."""
    # rounding each edge on its own makes neighbouring windows meet exactly
    first, last = (source.borders[0] + round(source.rows * edge) for edge in (low, high))
    inner = (border for border in source.borders if first < border < last)
    return Source(source.group, source.path, (first, *inner, last))


def sample_files(sources: Sequence[Source], share: float, *seed: int) -> list[Source]:
    """The share of each group's files, at least one of each, chosen by ``seed``, in their order."""
    chosen: list[Source] = []
    for group in dict.fromkeys(source.group for source in sources):
        files = [source for source in sources if source.group == group]
        random = np.random.default_rng(np.random.SeedSequence((*seed, group)))
        number = max(1, round(share * len(files)))
        chosen += [files[i] for i in sorted(random.permutation(len(files))[:number])]
    return chosen


def split_into_chunks(source: Source, most: int) -> list[Chunk]:
    """Chunks of at most ``most`` rows that cover ``source`` in order.

    Neighbouring clusters are merged while they fit (a hundred tiny clusters are one read); a cluster larger than ``most`` is cut into pieces
    whose sizes differ by at most one row.
    """
    edges = [source.borders[0]]
    end = source.borders[0]  # clusters up to here wait to become a chunk
    for first, last in pairwise(source.borders):
        if last - edges[-1] > most and end > edges[-1]:
            edges.append(end)
        if last - first > most:
            pieces = -(-(last - first) // most)
            edges += [first + (last - first) * piece // pieces for piece in range(1, pieces + 1)]
        end = last
    if end > edges[-1]:
        edges.append(end)
    return [Chunk(source.group, source.path, first, last) for first, last in pairwise(edges)]


def chunks_by_group(chunks: Iterable[Chunk]) -> dict[int, list[Chunk]]:
    """Group index -> its chunks, in their order; groups ascending."""
    groups: dict[int, list[Chunk]] = {}
    for chunk in chunks:
        groups.setdefault(chunk.group, []).append(chunk)
    return dict(sorted(groups.items()))


def total_rows(chunks: Iterable[Chunk]) -> int:
    """Rows in all ``chunks``."""
    return sum(chunk.rows for chunk in chunks)


def split_into_strata(chunks: Sequence[Chunk], pool: float) -> list[Sequence[Chunk]]:
    """Divide one group's chunks, file after file, into as many runs of equal length as average chunks fit into ``pool`` rows."""
    number = min(len(chunks), max(1, int(pool * len(chunks) / max(1, total_rows(chunks)))))
    edges = [len(chunks) * i // number for i in range(number + 1)]
    return [chunks[first:last] for first, last in pairwise(edges)]


def epoch_order(chunks: Sequence[Chunk], seed: int, epoch: int, pool: int) -> list[Chunk]:
    """The order in which an epoch reads ``chunks``, group after group: a function of its arguments alone.

    Within a group the order is a stratified shuffle: the chunk list is divided into S strata, each is permuted, and every round takes one chunk
    of each stratum, in the same random order of strata. So any S consecutive chunks of full rounds hold one chunk from each S-th of the group's
    files, also where a file is sorted by class: with chunks of equal size, a class that is a share f of the rows and lies in one run makes up
    f +- 3/S of them. S is the number of chunks that fit into the group's share of ``pool``, the rows that are in memory at once.
    """
    total = max(1, total_rows(chunks))
    order: list[Chunk] = []
    for group, members in chunks_by_group(chunks).items():
        random = np.random.default_rng(np.random.SeedSequence((seed, epoch, group)))
        parts = split_into_strata(members, pool * total_rows(members) / total)
        parts = [[part[i] for i in random.permutation(len(part))] for part in parts]
        turns = [parts[i] for i in random.permutation(len(parts))]
        order += [
            part[turn] for turn in range(max(map(len, parts))) for part in turns if turn < len(part)
        ]
    return order


def rows_between(chunks: Iterable[Chunk], first: int, last: int) -> list[Chunk]:
    """Rows [first, last) of the list of all rows of ``chunks``, cutting chunks at the edges."""
    taken = []
    start = 0  # rows before this chunk
    for chunk in chunks:
        low, high = max(first - start, 0), min(last - start, chunk.rows)
        if low < high:
            taken.append(Chunk(chunk.group, chunk.path, chunk.first + low, chunk.first + high))
        start += chunk.rows
    return taken


def sequential_chunks(
    sources: Iterable[Source], most: int, index: int = 0, of: int = 1
) -> list[Chunk]:
    """Share ``index`` of ``of`` contiguous ones of all rows in input order, in chunks of at most ``most`` rows: validation and prediction."""
    chunks = [chunk for source in sources for chunk in split_into_chunks(source, most)]
    total = total_rows(chunks)
    return rows_between(chunks, total * index // of, total * (index + 1) // of)
