"""Numbers in messages."""

from __future__ import annotations


def counted(number: int, one: str, several: str | None = None) -> str:
    """``1 file``, ``2 files``, ``12,345 rows``; ``several`` where it is not ``one`` with an s."""
    word = one if number == 1 else several or f"{one}s"
    return f"{number:,} {word}"
