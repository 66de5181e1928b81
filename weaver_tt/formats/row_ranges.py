"""Ranges of rows in which a file is read, so that memory is bounded and nothing decoded twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

CHUNK_ROWS = 100_000  # rows read at once


def row_ranges(borders: Sequence[int], most: int = CHUNK_ROWS) -> Iterator[tuple[int, int]]:
    """Row ranges (first, last) between cluster ``borders`` 0 … rows.

    Whole clusters together up to ``most`` rows; longer clusters are divided.
    """
    first = 0
    last = 0
    for border in borders:
        if border - first > most and last > first:
            yield first, last
            first = last
        # one cluster alone may be longer
        while border - first > most:
            yield first, first + most
            first += most
        last = border
    if last > first:
        yield first, last
