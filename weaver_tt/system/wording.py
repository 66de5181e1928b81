"""Numbers and lists in messages."""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: int, one: str, several: str | None = None) -> str:
    """``1 file``, ``2 files``, ``12,345 rows``; ``several`` where it is not ``one`` with an s."""
    word = one if number == 1 else several or f"{one}s"
    return f"{number:,} {word}"


def listed(names: Sequence[str], most: int = 10) -> str:
    """``b, c, light``; beyond ``most`` of them ``b, c and 186 more``."""
    text = ", ".join(names[:most])
    left = len(names) - most
    return f"{text} and {left:,} more" if left > 0 else text
