"""The contract of a file reader: columns, rows, clusters, and a complete read of a row range.

To add a format, write one module beside this one with a subclass of :class:`Reader`, and enter it
under its file suffixes in ``open_reader.READERS``. Nothing else in the project knows a format. The
constructor takes ``(path, treename)``, opens the file inside :func:`blame_file`, and calls
``super().__init__(path, place)``. The subclass has six methods::

    columns()         names of the columns in the file
    known_columns()   further spellings of these names; ``column_spellings(self.columns())`` will do
    rows()            number of rows
    clusters(columns) row numbers at which the file is best divided, from 0 to ``rows()``
    _read(names, first, last)   rows [first, last) of some columns as awkward arrays
    _close()          close the file

``stored_type(name)``, what the file calls a type, helps its messages. ``_types(names)`` must look
at no data: a type that cannot be told is none that can be read, and no damage. It is made of
``_read(names, 0, 0)`` unless the format has a better way.

Checks of names and ranges, decoding in small pieces, shared offsets and error messages are here,
once for all formats. ``parquet_reader.py`` is the example to start from, and the tests in
``tests/formats/test_open_reader.py`` run on each format of their list.
"""

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

from weaver_tt.errors import BadFileError, DataError, WeaverError, nearest
from weaver_tt.formats.cluster_cache import ClusterCache
from weaver_tt.formats.file_groups import REMOTE_EXTRA, is_remote
from weaver_tt.formats.shared_offsets import share_offsets
from weaver_tt.system.stage_times import Stage

# shared by all readers of this process: 128 MiB
CLUSTER_CACHE = ClusterCache(128 << 20)

# what is decoded in one piece may take so many bytes, or so many times what the file stores of it:
# a few kilobytes could unpack to any size
MAX_BYTES = 2**30
MAX_RATIO = 1000

# what a decoder raises where it has no code for something, or an error in its code: no damage
DECODER_LIMITS = (NotImplementedError, NameError)

# the same where it is only to tell a type
TYPE_LIMITS = (*DECODER_LIMITS, AttributeError, TypeError)

R = TypeVar("R", bound="Reader")


class Reader(ABC):
    """An open data file of ``rows()`` rows; a context manager. It stays open between reads.

    ``path`` is the file, ``place`` the file and the tree in it, for messages. ``name in reader``
    says whether a column can be read. Everything that goes wrong is a DataError; where the file
    itself is to blame, a BadFileError.
    """

    # what the time of a read counts for; where a decoder can tell, waiting for the file's bytes
    # counts for reading
    reading_stage = Stage.READING_AND_DECOMPRESSING

    def __init__(self, path: str, place: str) -> None:
        self.path = path
        self.place = place
        self._boundaries: dict[tuple[str, ...], list[int]] = {}  # columns -> their clusters

    @abstractmethod
    def columns(self) -> list[str]:
        """Names of the columns, in the file's order; nothing is decoded."""

    @abstractmethod
    def rows(self) -> int:
        """Number of rows."""

    @abstractmethod
    def clusters(self, columns: Sequence[str] | None = None) -> list[int]:
        """Boundaries of the clusters, ascending from 0 to ``rows()``; [0] for a file without rows.

        Reads of ``columns`` that begin and end at boundaries decode nothing twice. Name the columns
        that will be read: where columns are stored differently, the boundaries are otherwise a
        guess.
        """

    @abstractmethod
    def known_columns(self) -> Mapping[str, str]:
        """Every spelling of a column that :meth:`read` accepts -> its name in :meth:`columns`.

        :func:`column_spellings` gives the usual ones.
        """

    @abstractmethod
    def _read(self, names: Sequence[str], first: int, last: int) -> dict[str, ak.Array]:
        """Decode rows [first, last) of the columns ``names``.

        Names are those of :meth:`columns`, each of them once; first < last unless the range is
        empty.
        """

    @abstractmethod
    def _close(self) -> None:
        """Close the file."""

    def close(self) -> None:
        """Close the file and free its clusters in the cache."""
        CLUSTER_CACHE.forget(self)
        self._close()

    def read(self, columns: Sequence[str], first: int, last: int) -> dict[str, ak.Array]:
        """Read rows [first, last) of ``columns``, under the requested names and in their order.

        A per-row scalar is a 1-D array (R,), a list column ``R * var``, a fixed-size array
        ``R * P``; numbers and booleans keep their type in the file. List columns with equal counts
        share one ``layout.offsets`` object (int64, from 0), so that ``is`` shows that they are
        aligned.

        Raises:
            DataError: the file has no such column, or not as many rows.
            BadFileError: the data cannot be decoded.
        """
        names = self.resolve(columns)
        if not 0 <= first <= last <= self.rows():
            raise DataError(
                f"{self.place}: rows {first} to {last} were asked for, there are {self.rows()}"
            )
        # two spellings of one column are decoded once
        unique_names = tuple(dict.fromkeys(names))
        with blame_file(self.place, f"rows {first} to {last}"), self._blame_type(unique_names):
            table = self._read_through_cache(unique_names, first, last)
        # a file that was cut short may decode without an error and still lack rows
        for name, array in table.items():
            if len(array) != last - first:
                raise BadFileError(
                    f"{self.place}: column {name!r} has {len(array)} rows in "
                    f"[{first}, {last}) instead of {last - first}"
                )
        return {column: table[name] for column, name in zip(columns, names, strict=True)}

    def types(self, columns: Sequence[str]) -> dict[str, ak.types.Type]:
        """The awkward type that one row of each of ``columns`` has when it is read.

        No row is decoded: types are known from the file's header.

        Raises:
            DataError: the file has no such column, or the type of a column cannot be read.
            BadFileError: the file is damaged.
        """
        names = self.resolve(columns)
        unique_names = tuple(dict.fromkeys(names))
        with blame_file(self.place, "the types of columns"), self._blame_type(unique_names):
            types = self._types(unique_names)
        return {column: types[name] for column, name in zip(columns, names, strict=True)}

    def _types(self, names: Sequence[str]) -> dict[str, ak.types.Type]:
        """:meth:`types` of ``names``, each of them once; reads no rows."""
        table = self._read(names, 0, 0)
        return {name: array.type.content for name, array in table.items()}

    def stored_type(self, name: str) -> str:
        """What the file calls the type of the column ``name``, for messages."""
        return ""

    @contextmanager
    def _blame_type(self, names: Sequence[str]) -> Iterator[None]:
        """Where reading ``names`` fails, find out whether a type of theirs is to blame.

        That is so if the type alone cannot be found out: no data are looked at for that.

        Raises:
            DataError: the type of a column cannot be read.
        """
        try:
            yield
        except (WeaverError, MemoryError, OSError, ImportError):
            raise
        except Exception:
            for name in names:
                self._check_type(name)
            raise

    def _check_type(self, name: str) -> None:
        """Raise DataError if the decoder cannot tell the type of a column."""
        try:
            self._types([name])
        except TYPE_LIMITS as error:
            stored = self.stored_type(name)
            raise DataError(
                f"{self.place}: column {name!r}: its type{stored and f' {stored}'} cannot be read "
                f"({_describe(error)}); the file is not damaged"
            ) from error

    def _read_through_cache(
        self, names: tuple[str, ...], first: int, last: int
    ) -> dict[str, ak.Array]:
        """:meth:`_read`, except that several small ranges of one cluster decode it only once."""
        boundaries = self._boundaries.get(names)
        if boundaries is None:
            boundaries = self.clusters(names)
            self._boundaries[names] = boundaries
        # `after` is the boundary behind row `first`, so the cluster is [after - 1, after)
        after = bisect_right(boundaries, first)
        if after == len(boundaries) or last > boundaries[after]:
            return self._read_shared(names, first, last)
        begin = boundaries[after - 1]
        end = boundaries[after]
        if 2 * (last - first) > end - begin:
            # more than half of the cluster: little would be left to gain from keeping it
            return self._read_shared(names, first, last)
        if not self._decodes_whole_clusters(names):
            return self._read_shared(names, first, last)
        decode = partial(self._read_shared, names)
        return CLUSTER_CACHE.read_rows(self, names, (begin, end), (first, last), decode)

    def _read_shared(self, names: Sequence[str], first: int, last: int) -> dict[str, ak.Array]:
        """:meth:`_read`, with shared offsets."""
        return share_offsets(self._read(names, first, last))

    def _decodes_whole_clusters(self, names: Sequence[str]) -> bool:
        """Whether reading a part of a cluster takes as long as reading all of it."""
        return True

    def resolve(self, columns: Iterable[str]) -> list[str]:
        """Names in the file of ``columns``, whichever way they are spelled.

        Raises:
            DataError: the file has no such column; the message gives the nearest that it has.
        """
        known = self.known_columns()
        names = []
        for column in columns:
            if column not in known:
                raise DataError(
                    f"{self.place}: no column {column!r}; {self.explain_missing(column)}"
                )
            names.append(known[column])
        return names

    def explain_missing(self, column: str) -> str:
        """What to write instead of a name that means no column, or more than one."""
        names = self.columns()
        meant = [name for name in names if column in _short_spellings(name)]
        if meant:
            identifiers = dict.fromkeys(map(identifier_of, meant))
            ways = " or ".join(identifiers)
            if len(identifiers) < len(meant):
                ways = "one of these names, for which `branch_magic` can stand in expressions"
            return f"it may be {' or '.join(map(repr, meant))}: write {ways}"
        parts = [name for name in names if re.match(rf"{re.escape(column)}[./:]", name)]
        if parts:
            shown = ", ".join(map(identifier_of, parts[:3]))
            return f"its parts are columns, which expressions spell {shown}"
        return nearest(column, names)

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


def check_unpacked(place: str, column: str, stored: int, unpacked: int) -> None:
    """Check what a piece of a column will take, by the sizes that the file declares for it.

    ``stored`` are its bytes in the file, ``unpacked`` those in memory.

    Raises:
        BadFileError: that is far more than data compress.
    """
    if unpacked > max(MAX_BYTES, MAX_RATIO * stored):
        raise BadFileError(
            f"{place}: column {column!r}: {stored:,} bytes of the file would unpack to "
            f"{unpacked:,} bytes, which are decoded in one piece; at most {MAX_BYTES:,} are read "
            f"where that is more than {MAX_RATIO} times as much"
        )


@contextmanager
def blame_file(place: str, what: str) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged or unreachable data into an error about the file.

    ``what`` could not be read from ``place``. Lack of memory is not the file's fault and passes
    through, as do our own errors.

    Raises:
        DataError: the file does not exist, its compression needs a further package, or the decoder
            does not know what the file holds.
        BadFileError: anything else.
    """
    try:
        yield
    except (WeaverError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise DataError(f"{place}: no such file") from error
    except ImportError as error:
        advice = f"; {REMOTE_EXTRA}" if is_remote(place) else ""
        raise DataError(
            f"{place}: {what} cannot be read without a further package ({error}){advice}"
        ) from error
    except DECODER_LIMITS as error:
        raise DataError(
            f"{place}: {what} cannot be read, for a limit of the decoder ({_describe(error)})"
        ) from error
    # on damaged bytes, decoders fail with every kind of exception there is
    except Exception as error:
        reason = f"the file is damaged, cut short or unreachable ({_describe(error)})"
        raise BadFileError(f"{place}: {what} cannot be read, {reason}") from error


def _describe(error: Exception) -> str:
    """Class and message of an error, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def identifier_of(column: str) -> str:
    """A name with ``_`` for whatever an expression cannot spell: ``Jet_PT`` for ``Jet.PT``."""
    return re.sub(r"\W", "_", column)


def column_spellings(names: Iterable[str]) -> dict[str, str]:
    """Map each accepted spelling to its column.

    These are the column's own name, the name with ``_`` for whatever an identifier cannot hold (an
    expression can spell that), and the last word of a dotted name. A spelling that would fit two
    columns is left out; a column's own name always means that column.
    """
    names = list(names)
    alternatives = []  # (spelling, name)
    for name in names:
        for spelling in _short_spellings(name):
            alternatives.append((spelling, name))
    uses = Counter(spelling for spelling, _ in alternatives)

    spellings = {spelling: name for spelling, name in alternatives if uses[spelling] == 1}
    for name in names:
        spellings[name] = name
    return spellings


def _short_spellings(name: str) -> set[str]:
    """Spellings of a column besides its own name: as an identifier, and by its last word."""
    return {identifier_of(name), re.split(r"[./:]", name)[-1]} - {name}
