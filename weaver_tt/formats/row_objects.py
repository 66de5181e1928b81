"""Which objects of the events of a file are its rows, and which other objects belong to each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from weaver_tt.formats.reader import identifier_of

# columns that rows of objects have beside those of the file
EVENT_ENTRY = "event_entry"  # number of the event in its file
OBJECT_PLACE = "object_place"  # place of the object in its event
PLACE_COLUMNS = (EVENT_ENTRY, OBJECT_PLACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedObjects:
    """Objects of another collection that belong to those which are rows, and how it is known.

    ``columns`` are glob patterns of the columns with one value for each of them. Which belong to a
    row is said in one of three ways, by columns of the file:

    - ``owner``: for each of them, or with ``index`` for each entry of a table of pairs, the place
      of the row's object in the event. ``index`` is then the other side of the pair.
    - ``index``: for each row's object, the place of one of them or a list of such places.
    - ``begin`` and ``end``: for each row's object, a range of them, or with ``index`` a range of
      entries of a table of places.

    Places count from 0 in each event, and are negative for none. With ``identity``, ``index`` holds
    values of that column of theirs instead of places.
    """

    name: str
    columns: tuple[str, ...]
    owner: str | None = None
    index: str | None = None
    begin: str | None = None
    end: str | None = None
    identity: str | None = None

    @property
    def link_columns(self) -> tuple[str, ...]:
        """The columns that say what belongs to what."""
        named = (self.owner, self.index, self.begin, self.end, self.identity)
        return tuple(name for name in named if name is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowObjects:
    """The objects of a collection, each of which is a row.

    ``columns`` are glob patterns of the columns that have one value for each of them, ``linked``
    the other collections that are divided among them.
    """

    name: str
    columns: tuple[str, ...]
    linked: tuple[LinkedObjects, ...] = ()


def matches(column: str, patterns: Iterable[str]) -> bool:
    """Whether a column is one of the ``patterns``; what separates its words may be ``_`` in both.

    So ``Jet.*`` and ``Jet_*`` are the same, for ``Jet.PT`` as for ``Jet_pt``.
    """
    identifier = identifier_of(column)
    as_identifiers = [re.sub(r"[.:/#]", "_", pattern) for pattern in patterns]
    return any(fnmatchcase(identifier, pattern) for pattern in as_identifiers)
