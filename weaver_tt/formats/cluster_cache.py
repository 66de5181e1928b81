"""A cache of decoded clusters, for clusters so large that they are read in several row ranges."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock

import awkward as ak

from weaver_tt.formats.shared_offsets import slice_table

Arrays = dict[str, ak.Array]


@dataclass(slots=True)
class _CachedCluster:
    """A decoded cluster."""

    table: Arrays
    remaining: int  # rows that were not handed out yet
    size: int  # bytes


class ClusterCache:
    """Decoded clusters of at most ``max_bytes`` together.

    A cluster is decoded whole with its second row range, if it fits, and dropped when all of its
    rows were handed out once, which is what an epoch does with them, or when its owner is
    forgotten. While there is no room, each row range is decoded by itself: nothing that is still
    needed is evicted.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._clusters: dict[tuple[Hashable, Hashable], _CachedCluster] = {}
        self._row_bytes: dict[tuple[Hashable, Hashable], float] = {}
        self._lock = Lock()

    def read_rows(
        self,
        owner: Hashable,
        columns: Hashable,
        cluster: tuple[int, int],
        rows: tuple[int, int],
        decode: Callable[[int, int], Arrays],
    ) -> Arrays:
        """Rows [first, last) of a cluster [begin, end).

        ``decode`` decodes a row range; columns with equal counts share their offsets in it.
        """
        begin, end = cluster
        first, last = rows
        key = (owner, (columns, begin))
        with self._lock:
            cached = self._clusters.get(key)
            row_bytes = self._row_bytes.get((owner, columns))
            used = sum(other.size for other in self._clusters.values())
        room = self.max_bytes - used

        if cached is None:
            # how large a row is, is known once the first row range was decoded
            if row_bytes is None or row_bytes * (end - begin) > room:
                table = decode(first, last)
                self._row_bytes[owner, columns] = _size_in_bytes(table) / max(1, last - first)
                return table
            # without the lock: two threads may decode the same cluster, but none waits
            table = decode(begin, end)
            cached = _CachedCluster(table, end - begin, _size_in_bytes(table))

        with self._lock:
            cached.remaining -= last - first
            self._clusters[key] = cached
            if cached.remaining <= 0:
                del self._clusters[key]
        return slice_table(cached.table, first - begin, last - begin)

    def forget(self, owner: Hashable) -> None:
        """Drop everything that belongs to ``owner``."""
        with self._lock:
            self._clusters = {
                key: cached for key, cached in self._clusters.items() if key[0] != owner
            }
            self._row_bytes = {
                key: size for key, size in self._row_bytes.items() if key[0] != owner
            }


def _size_in_bytes(table: Arrays) -> int:
    """Size of the decoded columns."""
    return sum(array.nbytes for array in table.values())
