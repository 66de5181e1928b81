"""Which rows are read when: entry ranges on cluster borders, their seeded order, exact shares.

Integers only, no I/O. In a training epoch each source is restricted to its share of the rows
(``select_window``) and divided into chunks (``split_into_chunks``), these are divided into lanes
(``lanes.py``), and each lane is put into ``epoch_order``. Validation and prediction read
``sequential_chunks``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

import numpy as np

from weaver_tt.formats.file_groups import UNNAMED_GROUP

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of one file that are used: ``borders[0]`` to ``borders[-1]``.

    Reads that begin and end at a border decode nothing twice.
    """

    group: int  # index of the file group
    path: str
    borders: tuple[int, ...]  # ascending, at least one
    group_name: str = UNNAMED_GROUP

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


def number_files(sources: Iterable[Source]) -> dict[tuple[int, str], int]:
    """(group, path) -> the number of each file, in input order."""
    return {(source.group, source.path): number for number, source in enumerate(sources)}


def select_window(source: Source, low: float, high: float) -> Source:
    """The part of ``source`` between two fractions of its rows, 0 <= low <= high <= 1."""
    start = source.borders[0]
    # each edge is rounded on its own, so that neighbouring windows meet exactly
    first = start + round(source.rows * low)
    last = start + round(source.rows * high)
    borders = [first]
    borders += [border for border in source.borders if first < border < last]
    borders.append(last)
    return replace(source, borders=tuple(borders))


def sample_files(sources: Sequence[Source], share: float, *seed: int) -> list[Source]:
    """A random share of each group's files, at least one of each, in their order."""
    chosen: list[Source] = []
    for group in dict.fromkeys(source.group for source in sources):
        files = [source for source in sources if source.group == group]
        order = _seeded_random(*seed, group).permutation(len(files))
        number = max(1, round(share * len(files)))
        chosen += [files[i] for i in sorted(order[:number])]
    return chosen


def split_into_chunks(source: Source, most: int) -> list[Chunk]:
    """Chunks of at most ``most`` rows that cover ``source`` in order.

    Neighbouring clusters are merged while they fit, so that a hundred tiny clusters are one read.
    A cluster larger than ``most`` is divided into parts whose sizes differ by at most one row.
    """
    edges = [source.borders[0]]
    end = source.borders[0]  # clusters up to here wait to become a chunk
    for first, last in pairwise(source.borders):
        if last - edges[-1] > most and end > edges[-1]:
            # this cluster does not fit in with those that wait
            edges.append(end)
        rows = last - first
        if rows > most:
            parts = -(-rows // most)
            for part in range(1, parts + 1):
                edges.append(first + rows * part // parts)
        end = last
    if end > edges[-1]:
        edges.append(end)
    chunks = []
    for first, last in pairwise(edges):
        chunks.append(Chunk(source.group, source.path, first, last))
    return chunks


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
    """Divide one group's chunks, file after file, into strata of equal length.

    There are as many of them as average chunks fit into ``pool`` rows.
    """
    total = len(chunks)
    fitting = int(pool * total / max(1, total_rows(chunks)))
    number = min(total, max(1, fitting))
    strata = []
    for i in range(number):
        first = total * i // number
        last = total * (i + 1) // number
        strata.append(chunks[first:last])
    return strata


def epoch_order(chunks: Sequence[Chunk], seed: int, epoch: int, pool: int) -> list[Chunk]:
    """The order in which an epoch reads ``chunks``, group after group.

    A function of its arguments alone: within a group, a stratified shuffle. The chunk list is
    divided into S strata, each is permuted, and every round takes one chunk of each stratum, in
    the same random order of strata. So any S consecutive chunks of full rounds hold one chunk from
    each S-th of the group's files, also where a file is sorted by class: with chunks of equal
    size, a class that is a share f of the rows and lies in one run makes up f +- 3/S of them. S is
    the number of chunks that fit into the group's share of ``pool``, the rows that are in memory
    at once.
    """
    total = max(1, total_rows(chunks))
    order: list[Chunk] = []
    for group, members in chunks_by_group(chunks).items():
        random = _seeded_random(seed, epoch, group)
        group_pool = pool * total_rows(members) / total
        strata = []
        for stratum in split_into_strata(members, group_pool):
            strata.append(_permuted(stratum, random))
        strata = _permuted(strata, random)
        for turn in range(max(map(len, strata))):
            # strata differ by one chunk at most: the last round may lack some
            order += [stratum[turn] for stratum in strata if turn < len(stratum)]
    return order


def rows_between(chunks: Iterable[Chunk], first: int, last: int) -> list[Chunk]:
    """Rows [first, last) of the list of all rows of ``chunks``; chunks are cut at the edges."""
    found = []
    start = 0  # rows before this chunk
    for chunk in chunks:
        low = max(first - start, 0)
        high = min(last - start, chunk.rows)
        if low < high:
            part = replace(chunk, first=chunk.first + low, last=chunk.first + high)
            found.append(part)
        start += chunk.rows
    return found


def sequential_chunks(
    sources: Iterable[Source], most: int, index: int = 0, of: int = 1
) -> list[Chunk]:
    """Share ``index`` of ``of`` contiguous ones of all rows, for validation and prediction.

    In input order, in chunks of at most ``most`` rows.
    """
    chunks: list[Chunk] = []
    for source in sources:
        chunks += split_into_chunks(source, most)
    total = total_rows(chunks)
    first = total * index // of
    last = total * (index + 1) // of
    return rows_between(chunks, first, last)


def entry_ranges(sources: Iterable[Source], most: int, of: int) -> list[list[Chunk]]:
    """All rows in input order, in ranges of at most ``most`` rows that ``of`` ranks take in turn.

    One range where there is one rank. Ranges end where clusters end, as far as these are not
    larger; of less data than that, each rank has a range.
    """
    sources = list(sources)
    if of == 1:
        return [sequential_chunks(sources, most)]
    most = min(most, max(1, -(-sum(source.rows for source in sources) // of)))
    ranges: list[list[Chunk]] = []
    room = 0  # rows that fit into the last range
    for chunk in sequential_chunks(sources, most):
        if chunk.rows > room:
            ranges.append([])
            room = most
        ranges[-1].append(chunk)
        room -= chunk.rows
    return ranges


def _seeded_random(*seed: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed))


def _permuted(items: Sequence[T], random: np.random.Generator) -> list[T]:
    """``items`` in random order."""
    return [items[i] for i in random.permutation(len(items))]
