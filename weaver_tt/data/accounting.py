"""Event accounting: what became of every row, object and value; adds up over chunks, workers and ranks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Accounting:
    """Counts keyed by file group (rows) or by input group / column (objects, values).

    Law: ``read[g] == selected[g] + sum(dropped[g, reason])`` and ``used[g] <= selected[g]`` (the rest waits or was an incomplete batch).
    """

    read: Counter[str] = field(default_factory=Counter)  # file group -> rows decoded
    selected: Counter[str] = field(default_factory=Counter)  # file group -> rows that passed
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)  # (file group, reason) -> rows
    used: Counter[str] = field(default_factory=Counter)  # file group -> rows delivered in batches
    truncated: Counter[str] = field(default_factory=Counter)  # input group -> objects beyond its length
    objects_dropped: Counter[str] = field(default_factory=Counter)  # input group -> objects that failed the object selection
    nonfinite: Counter[str] = field(default_factory=Counter)  # column -> NaN or infinite values replaced
    bad_files: Counter[str] = field(default_factory=Counter)  # path -> 1, skipped with --on-bad-file skip

    def add(self, other: Accounting) -> None:
        """Add the counts of ``other`` to these."""
        for name in self.__slots__:
            getattr(self, name).update(getattr(other, name))
