"""Generators that end when their reader does."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def closed_after(items: Iterable[Any]) -> Iterator[None]:
    """Close ``items`` at the end of what is done inside, where they are a generator.

    Their threads and files then end with an error or an interruption, and not when the garbage
    collector comes to it.
    """
    try:
        yield
    finally:
        if isinstance(items, Generator):
            items.close()
