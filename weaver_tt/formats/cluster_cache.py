"""Memory of decoded clusters, for clusters so large that they are read in several pieces."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock

import awkward as ak

Arrays = dict[str, ak.Array]


@dataclass(slots=True)
class _CachedCluster:
    table: Arrays
    waiting: int  # rows not handed out yet
    size: int  # bytes


class ClusterCache:
    """Decoded clusters of at most ``most`` bytes together.

    A cluster comes in with its first piece and goes when all of its rows were handed out once, which is what an epoch does with them, or when its
    owner is forgotten. While there is no room, clusters are decoded piece by piece: nothing is pushed out that is still of use.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: dict[tuple[Hashable, Hashable], _CachedCluster] = {}
        self._row_bytes: dict[tuple[Hashable, Hashable], float] = {}
        self._lock = Lock()

    def piece(
        self,
        owner: Hashable,
        columns: Hashable,
        cluster: tuple[int, int],
        rows: tuple[int, int],
        read: Callable[[int, int], Arrays],
    ) -> Arrays:
        """Rows [first, last) of a cluster [begin, end); ``read`` decodes a range of rows."""
        (begin, end), (first, last) = cluster, rows
        key = (owner, (columns, begin))
        with self._lock:
            held = self._held.get(key)
            known = self._row_bytes.get((owner, columns))
            room = self.most - sum(other.size for other in self._held.values())
        if held is None:
            if (
                known is None or known * (end - begin) > room
            ):  # the first piece tells how large a row is
                table = read(first, last)
                self._row_bytes[owner, columns] = _size_in_bytes(table) / max(1, last - first)
                return table
            table = read(begin, end)
            held = _CachedCluster(table, end - begin, _size_in_bytes(table))
        with self._lock:
            held.waiting -= last - first
            self._held[key] = held
            if held.waiting <= 0:
                del self._held[key]
        return {name: array[first - begin : last - begin] for name, array in held.table.items()}

    def forget(self, owner: Hashable) -> None:
        """Drop everything that belongs to ``owner``."""
        with self._lock:
            self._held = {key: held for key, held in self._held.items() if key[0] != owner}
            self._row_bytes = {
                key: size for key, size in self._row_bytes.items() if key[0] != owner
            }


def _size_in_bytes(table: Arrays) -> int:
    """Size of the decoded columns."""
    return sum(array.nbytes for array in table.values())
