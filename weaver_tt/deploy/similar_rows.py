"""Which rows go through a network together, where all get the slots of the fullest of them.

Needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# of rows that go through the network together, padding included: a processor's cache has no more
MOST_SLOTS = 192
# that any row may be padded with: a call of a small network costs as much
FEW_SLOTS = 2


def similar_rows(
    lengths: Sequence[int], most_rows: int, most_slots: int = MOST_SLOTS
) -> Iterator[tuple[int, int]]:
    """Ranges [first, last) of rows that go through the network together.

    ``lengths`` are the slots that each row needs, shortest first. No row is padded by more than a
    sixteenth or by ``FEW_SLOTS``, and all have ``most_slots`` together, unless one alone has more.
    """
    first = 0
    for row, length in enumerate(lengths):
        number = row - first
        if number and (
            number >= most_rows
            or (number + 1) * length > most_slots
            or length - lengths[first] > max(FEW_SLOTS, length // 16)
        ):
            yield first, row
            first = row
    if first < len(lengths):
        yield first, len(lengths)
