"""A file whose rows are the objects of a collection in each event, such as the jets.

All that reads files by rows then counts objects, and need not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import awkward as ak
import numpy as np
from awkward.contents import ListOffsetArray
from awkward.index import Index64
from awkward.types import ListType, NumpyType, RegularType, Type

from weaver_tt.errors import DataError, nearest
from weaver_tt.formats.object_links import (
    Assigned,
    Integers,
    Lists,
    assign,
    check_aligned,
    take_lists,
    whole_numbers,
    without_null_links,
)
from weaver_tt.formats.reader import Reader, identifier_of
from weaver_tt.formats.row_objects import (
    EVENT_ENTRY,
    OBJECT_PLACE,
    PLACE_COLUMNS,
    LinkedObjects,
    RowObjects,
    matches,
)

EVENTS_AT_ONCE = 100_000  # whose objects are counted
# what the number of objects of a collection is called: NanoAOD, Delphes
COUNTS = ("n{}", "{}_size")


class ObjectRows(Reader):
    """The objects of a file of events, each a row; a column is one of four kinds.

    With one value for each of these objects, it has one value a row. Of linked objects it has the
    list of those that belong to the row, else what it has for the event, repeated for each of its
    objects. ``event_entry`` and ``object_place`` say where a row comes from.
    """

    def __init__(self, events: Reader, objects: RowObjects) -> None:
        """``events``: the file, event by event.

        Raises:
            DataError: it has no such collection, or a column of the name of a place.
        """
        super().__init__(events.path, events.place)
        self.reading_stage = events.reading_stage
        self._events = events
        self._objects = objects
        self._offsets: Integers | None = None
        taken = [name for name in PLACE_COLUMNS if name in events]
        if taken:
            raise DataError(
                f"{self.place}: has a column {taken[0]!r}, which rows of objects call their place"
            )
        if events.columns() and not any(map(self._is_of_objects, events.columns())):
            raise DataError(
                f"{self.place}: rows.objects {objects.name!r}: no column is like "
                f"{' or '.join(objects.columns)}; {nearest(objects.name, _collections(events))}"
            )

    def columns(self) -> list[str]:
        return [*self._events.columns(), *PLACE_COLUMNS]

    def known_columns(self) -> Mapping[str, str]:
        return {**self._events.known_columns(), **{name: name for name in PLACE_COLUMNS}}

    def rows(self) -> int:
        return int(self._object_offsets()[-1])

    def clusters(self, columns: Sequence[str] | None = None) -> list[int]:
        """Those of the events, counted in objects."""
        if columns is not None:
            columns = self._columns_to_read(self.resolve(columns))
        offsets = self._object_offsets()
        boundaries = offsets[self._events.clusters(columns or None)]
        return [int(boundary) for boundary in np.unique(boundaries)]

    def explain_missing(self, column: str) -> str:
        return self._events.explain_missing(column)

    def stored_type(self, name: str) -> str:
        return "" if name in PLACE_COLUMNS else self._events.stored_type(name)

    def _close(self) -> None:
        self._events.close()

    def _decodes_whole_clusters(self, names: Sequence[str]) -> bool:
        # the clusters of the events are kept, where that is worth while
        return False

    def _types(self, names: Sequence[str]) -> dict[str, Type]:
        # what the links need is known to be there from now on
        self._columns_to_read(names)
        of_events = self._events.types([name for name in names if name not in PLACE_COLUMNS])
        types: dict[str, Type] = {}
        for name in names:
            if name in PLACE_COLUMNS:
                types[name] = NumpyType("int64")
                continue
            kind = of_events[name]
            if is_list(kind) and self._is_of_objects(name):
                kind = kind.content
            elif is_list(kind) and self._link_of(name) is not None:
                kind = ListType(kind.content)
            types[name] = kind
        return types

    def _read(self, names: Sequence[str], first: int, last: int) -> dict[str, ak.Array]:
        offsets = self._object_offsets()
        # events without objects lie on no row
        first_event = int(np.searchsorted(offsets, first, side="right")) - 1
        last_event = int(np.searchsorted(offsets, last, side="left"))
        if first == last:
            first_event = last_event
        read = self._events.read(self._columns_to_read(names), first_event, last_event)
        objects = offsets[first_event : last_event + 1] - offsets[first_event]
        events = _Events(read, objects, first_event, self)
        begin = first - int(offsets[first_event])
        return {name: events.rows_of(name)[begin : begin + last - first] for name in names}

    def _object_offsets(self) -> Integers:
        """Number of the first object of each event, and of all objects at the end; (E + 1,)."""
        if self._offsets is None:
            number = self._events.rows()
            counts = [np.zeros(1, np.int64)]
            column = self._counting_column() if number else ""
            for first in range(0, number, EVENTS_AT_ONCE):
                last = min(first + EVENTS_AT_ONCE, number)
                values = self._events.read([column], first, last)[column]
                if is_list(values.type.content):
                    counts.append(take_lists(values).counts)
                else:
                    counts.append(ak.to_numpy(values).astype(np.int64))
            self._offsets = np.cumsum(np.concatenate(counts))
        return self._offsets

    def _counting_column(self) -> str:
        """A column that tells how many objects each event has: their number, or a list of theirs.

        Raises:
            DataError: there is none.
        """
        name = identifier_of(self._objects.name)
        numbers = [pattern.format(name) for pattern in COUNTS]
        for column in self._events.columns():
            if identifier_of(column) in numbers and _is_whole(self._events.types([column])[column]):
                return column
        found = "no column"
        for column in filter(self._is_of_objects, self._events.columns()):
            # one that cannot be read need not be the only one
            with suppress(DataError):
                kind = self._events.types([column])[column]
                if is_list(kind):
                    return column
                found = f"{column!r} is {kind}"
        raise DataError(
            f"{self.place}: rows.objects {self._objects.name!r}: expected a column with a list for "
            f"each event, {found}"
        )

    def _columns_to_read(self, names: Sequence[str]) -> list[str]:
        """Columns of the events that rows of ``names`` are made of."""
        needed = dict.fromkeys(name for name in names if name not in PLACE_COLUMNS)
        for name in list(needed):
            link = None if self._is_of_objects(name) else self._link_of(name)
            if link is not None:
                needed |= dict.fromkeys(self.columns_of_link(link))
        return list(needed)

    def columns_of_link(self, link: LinkedObjects) -> list[str]:
        """The columns that say which linked objects belong to which row.

        Raises:
            DataError: the file has no such column.
        """
        try:
            names = self._events.resolve(link.link_columns)
        except DataError as error:
            raise DataError(f"rows.linked.{link.name}: {error}") from error
        keys = [self.key_column(name) for name in names]
        return [*names, *(key for key in keys if key is not None)]

    def key_column(self, index: str) -> str | None:
        """The column that says into which collection ElementLinks of ATLAS lead, if it is one."""
        if not index.endswith("m_persIndex"):
            return None
        key = index.removesuffix("m_persIndex") + "m_persKey"
        return key if key in self._events.columns() else None

    def resolve_link(self, name: str) -> str:
        """The name in the file of a column of a link."""
        return self._events.resolve([name])[0]

    def _is_of_objects(self, column: str) -> bool:
        return matches(column, self._objects.columns)

    def _link_of(self, column: str) -> LinkedObjects | None:
        """The linked objects that a column is of, if any.

        Raises:
            DataError: it is of several.
        """
        found = [link for link in self._objects.linked if matches(column, link.columns)]
        if len(found) > 1:
            names = " and ".join(link.name for link in found)
            raise DataError(
                f"{self.place}: column {column!r} belongs to {names} of rows.linked; give their "
                "`columns`"
            )
        return found[0] if found else None

    def kind_of(self, column: str) -> LinkedObjects | bool:
        """Whether a column is of the objects that are rows, or which linked ones it is of."""
        if self._is_of_objects(column):
            return True
        return self._link_of(column) or False


class _Events:
    """Columns of E events that were read, to be made columns of their R objects."""

    def __init__(
        self,
        columns: Mapping[str, ak.Array],
        objects: Integers,
        first_event: int,
        reader: ObjectRows,
    ) -> None:
        self._columns = columns
        self._objects = objects  # offsets (E + 1,)
        self._first_event = first_event
        self._reader = reader
        self._event_of_row = np.repeat(np.arange(len(objects) - 1), np.diff(objects))  # (R,)
        self._assigned: dict[str, tuple[Integers, Assigned]] = {}

    def rows_of(self, name: str) -> ak.Array:
        """A column of R rows."""
        if name == EVENT_ENTRY:
            return ak.Array(self._first_event + self._event_of_row)
        if name == OBJECT_PLACE:
            return ak.Array(np.arange(self._objects[-1]) - self._objects[self._event_of_row])
        column = self._columns[name]
        kind = self._reader.kind_of(name)
        if not kind or not is_list(column.type.content):
            return column[self._event_of_row]
        lists = take_lists(column)
        if kind is True:
            what = f"{self._reader.place}: {name!r}"
            check_aligned(lists.offsets, self._objects, what, "others of the rows")
            return ak.Array(lists.content)
        assert isinstance(kind, LinkedObjects)
        assigned = self._assign(kind, lists.offsets, name)
        offsets = np.concatenate([[0], np.cumsum(assigned.counts)])
        content = ak.Array(lists.content)[assigned.places].layout
        return ak.Array(ListOffsetArray(Index64(offsets), content))

    def _assign(self, link: LinkedObjects, linked: Integers, name: str) -> Assigned:
        """What belongs to each row; ``linked``: offsets of the column ``name``."""
        where = f"{self._reader.place}: rows.linked.{link.name}"
        if link.name in self._assigned:
            offsets, assigned = self._assigned[link.name]
            check_aligned(linked, offsets, f"{where}: {name!r}", "others of its columns")
            return assigned

        def read(column: str) -> Lists:
            return self._link_lists(column, where)

        assigned = assign(link, self._objects, linked, read, where)
        self._assigned[link.name] = linked, assigned
        return assigned

    def _link_lists(self, name: str, where: str) -> Lists:
        column = self._reader.resolve_link(name)
        array = self._columns[column]
        if not is_list(array.type.content):
            raise DataError(
                f"{where}: {name!r} is {array.type.content} for each event; expected lists"
            )
        key = self._reader.key_column(column)
        if key is not None:
            array = _without_null_links(array, self._columns[key], f"{where}: {name!r}")
        return take_lists(array)


def _without_null_links(places: ak.Array, keys: ak.Array, what: str) -> ak.Array:
    """Places by ElementLinks, -1 where they lead nowhere, in lists of any depth."""
    flat_places = whole_numbers(ak.flatten(places, axis=None).layout, what)
    flat_keys = whole_numbers(ak.flatten(keys, axis=None).layout, what)
    if len(flat_places) != len(flat_keys):
        raise DataError(f"{what}: has {len(flat_places)} links, and keys of {len(flat_keys)}")
    valid = without_null_links(flat_places, flat_keys, what)
    for axis in range(places.ndim - 1, 0, -1):
        valid = ak.unflatten(valid, ak.flatten(ak.num(places, axis=axis), axis=None))
    return ak.Array(valid)


def is_list(kind: Type) -> bool:
    """Whether a type is that of lists, and no text."""
    return isinstance(kind, ListType | RegularType) and kind.parameter("__array__") is None


def _is_whole(kind: Type) -> bool:
    """Whether a type is that of whole numbers."""
    return isinstance(kind, NumpyType) and np.dtype(kind.primitive).kind in "iu"


def _collections(events: Reader) -> list[str]:
    """What the columns' names begin with."""
    found = [identifier_of(name).partition("_")[0] for name in events.columns()]
    return list(dict.fromkeys(name for name in found if name))
