"""What every file reader is: columns, rows, clusters, and a read of an entry range that is complete or an error."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import TypeVar

import awkward as ak
import numpy as np

from weaver_tt.errors import BadFileError, DataError, WeaverError, nearest
from weaver_tt.formats.cluster_cache import ClusterCache

CLUSTER_CACHE = ClusterCache(128 << 20)  # bytes, shared by all readers of this process

R = TypeVar("R", bound="Reader")


class Reader(ABC):
    """An open data file of ``rows()`` rows; a context manager. The file stays open between reads.

    ``path`` is the file, ``place`` the file and the tree in it, for messages. ``name in reader`` tells whether a column can be read.
    Anything that goes wrong is a DataError; where the file is to blame, a BadFileError.
    """

    def __init__(self, path: str, place: str) -> None:
        self.path = path
        self.place = place
        self._borders: dict[tuple[str, ...], list[int]] = {}  # columns -> clusters

    @abstractmethod
    def columns(self) -> list[str]:
        """Names of the columns, in the file's order; nothing is decoded."""

    @abstractmethod
    def rows(self) -> int:
        """Number of rows."""

    @abstractmethod
    def clusters(self, columns: Sequence[str] | None = None) -> list[int]:
        """Ascending borders 0 ... ``rows()``: reads of ``columns`` that begin and end at borders decode nothing twice. [0] without rows.

        Name the columns that will be read: without them the borders are a guess where columns are stored differently.
        """

    @abstractmethod
    def _close(self) -> None:
        """Close the file."""

    def close(self) -> None:
        """Close the file and free what was kept of it."""
        CLUSTER_CACHE.forget(self)
        self._close()

    @abstractmethod
    def known_columns(self) -> Mapping[str, str]:
        """Every spelling of a column that :meth:`read` understands -> its name in :meth:`columns` (see :func:`column_spellings`)."""

    @abstractmethod
    def _read(self, names: Sequence[str], first: int, last: int) -> dict[str, ak.Array]:
        """Rows [first, last) of columns in their own names, each of them once; first < last, or the file has no rows."""

    def read(self, columns: Sequence[str], first: int, last: int) -> dict[str, ak.Array]:
        """Rows [first, last) of ``columns``, under the names and in the order asked for.

        A per-row scalar is a 1-D array, a list column is ``R * var``, a fixed-size array ``R * P``; numbers and booleans keep the type they have
        in the file. List columns with equal counts share one ``layout.offsets`` object, int64 from 0, so ``is`` tells that they are aligned.
        Raises DataError for a column that the file does not have, BadFileError for data that cannot be decoded.
        """
        names = self.resolve(columns)
        if not 0 <= first <= last <= self.rows():
            raise DataError(
                f"{self.place}: rows {first} to {last} were asked for, there are {self.rows()}"
            )
        with blame_file(self.place, f"rows {first} to {last}"):
            table = self._read_once(tuple(dict.fromkeys(names)), first, last)
        for name, array in table.items():
            if len(array) != last - first:
                raise BadFileError(
                    f"{self.place}: column {name!r} has {len(array)} rows in [{first}, {last}) instead of {last - first}"
                )
        table = share_offsets(table)
        return {asked: table[name] for asked, name in zip(columns, names, strict=True)}

    def _read_once(self, names: tuple[str, ...], first: int, last: int) -> dict[str, ak.Array]:
        """:meth:`_read`, where a cluster is not decoded again for each of several small pieces."""
        if names not in self._borders:
            self._borders[names] = self.clusters(names)
        borders = self._borders[names]
        after = bisect_right(borders, first)
        if (
            after == len(borders)
            or last > borders[after]
            or 2 * (last - first) > borders[after] - borders[after - 1]
        ):
            return self._read(names, first, last)
        return CLUSTER_CACHE.piece(
            self,
            names,
            (borders[after - 1], borders[after]),
            (first, last),
            partial(self._read, names),
        )

    def resolve(self, columns: Iterable[str]) -> list[str]:
        """The file's own names of ``columns``; DataError for one that it does not have, with the nearest that it has."""
        known = self.known_columns()
        names = []
        for name in columns:
            if name not in known:
                raise DataError(
                    f"{self.place}: no column {name!r}; {nearest(name, self.columns())}"
                )
            names.append(known[name])
        return names

    def __contains__(self, column: object) -> bool:
        return column in self.known_columns()

    def __enter__(self: R) -> R:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def blame_file(place: str, what: str) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged or unreachable data into a BadFileError; want of memory is not the file's fault."""
    try:
        yield
    except (WeaverError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise DataError(f"{place}: no such file") from error
    except ImportError as error:
        raise DataError(
            f"{place}: {what} cannot be read without a further package ({error})"
        ) from error
    except Exception as error:  # on damaged bytes, decoders fail in every way there is
        text = " ".join(str(error).split())[:300]
        reason = f"the file is damaged, cut short or unreachable ({type(error).__name__}: {text})"
        raise BadFileError(f"{place}: {what} cannot be read, {reason}") from error


def column_spellings(names: Iterable[str]) -> dict[str, str]:
    """Spelling -> column: its own name, the name with ``_`` for what an identifier cannot hold, and the last word of a dotted name.

    A spelling that would mean two columns means none; a column's own name always means that column.
    """
    names = list(names)
    further = [
        (spelling, name)
        for name in names
        for spelling in {re.sub(r"\W", "_", name), re.split(r"[./:]", name)[-1]} - {name}
    ]
    uses = Counter(spelling for spelling, _ in further)
    return {spelling: name for spelling, name in further if uses[spelling] == 1} | {
        name: name for name in names
    }


def share_offsets(table: Mapping[str, ak.Array]) -> dict[str, ak.Array]:
    """Give list columns with equal counts the same ``offsets`` object; others stay as they are."""
    known: list[ak.index.Index] = []
    return {
        name: ak.Array(_with_shared_offsets(array.layout, known)) for name, array in table.items()
    }


def _with_shared_offsets(
    layout: ak.contents.Content, known: list[ak.index.Index]
) -> ak.contents.Content:
    """``layout`` with int64 offsets from 0 to the length of its content, taken from ``known`` where equal ones are there."""
    if (
        not layout.is_list or layout.is_regular or layout.parameter("__array__") is not None
    ):  # strings are lists of characters
        return layout
    layout = layout.to_ListOffsetArray64(start_at_zero=True)
    mine = layout.offsets
    same = next((offsets for offsets in known if np.array_equal(offsets.data, mine.data)), None)
    if same is None:
        known.append(same := mine)
    return ak.contents.ListOffsetArray(
        same, layout.content[: mine[-1]], parameters=layout.parameters
    )
