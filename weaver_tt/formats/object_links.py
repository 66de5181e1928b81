"""Which objects of a collection belong to each row, where rows are objects of an event.

E events with R rows and T linked objects, or entries of a table, in all. Offsets of E lists are
(E + 1,) and begin at 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import awkward as ak
import numpy as np
import numpy.typing as npt
from awkward.contents import Content

from weaver_tt.errors import DataError
from weaver_tt.formats.row_objects import LinkedObjects

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lists:
    """A list for each event: ``content`` from ``offsets[i]`` to ``offsets[i + 1]``."""

    offsets: Integers
    content: Content

    @property
    def counts(self) -> Integers:
        """Entries of each event, (E,)."""
        return np.diff(self.offsets)

    @property
    def events(self) -> Integers:
        """The event of each entry, (T,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.counts)


@dataclass(frozen=True, slots=True)
class Assigned:
    """How many objects belong to each row, (R,), and their places among all, row by row."""

    counts: Integers
    places: Integers


@dataclass(frozen=True, slots=True)
class _Links:
    """Entries that each name an object: of which row and event, and by which number, (L,) each."""

    rows: Integers
    events: Integers
    numbers: Integers


def take_lists(array: ak.Array) -> Lists:
    """An array of E lists; None is a list of nothing."""
    if array.layout.is_option:
        array = ak.fill_none(array, [], axis=0)
    layout = array.layout
    if layout.is_indexed:
        layout = layout.project()
    if not layout.is_list:
        # an (E, P) array is E lists of P
        layout = layout.to_RegularArray()
    packed = layout.to_ListOffsetArray64(start_at_zero=True)
    offsets = np.asarray(packed.offsets.data)
    return Lists(offsets, packed.content[: offsets[-1]])


def assign(
    link: LinkedObjects,
    objects: Integers,
    linked: Integers,
    read: Callable[[str], Lists],
    where: str,
) -> Assigned:
    """The linked objects of each row; ``objects`` and ``linked`` are offsets of both collections.

    ``read`` gives a column of the link; ``where`` is for messages.

    Raises:
        DataError: columns do not fit together, or a place is beyond the end of its collection.
    """
    if link.owner is not None:
        links = _links_of_owner(link, objects, linked, read, where)
    elif link.begin is not None:
        links = _links_of_ranges(link, objects, read, where)
    else:
        links = _links_of_objects(link, objects, read, where)
    if link.identity is not None:
        numbers = _find_identities(links, read(link.identity), linked, link, where)
        links = _Links(links.rows, links.events, numbers)
    # a negative place, as -1, means none
    named = links.numbers >= 0
    rows = links.rows[named]
    events = links.events[named]
    numbers = links.numbers[named]
    _check_places(numbers, np.diff(linked)[events], f"{where}: {_column_of(link)}")
    # each row's in the order of the file
    order = np.argsort(rows, kind="stable")
    places = (linked[events] + numbers)[order]
    return Assigned(np.bincount(rows, minlength=objects[-1]), places)


def _column_of(link: LinkedObjects) -> str:
    return repr(link.index or link.owner or link.begin)


def _links_of_owner(
    link: LinkedObjects,
    objects: Integers,
    linked: Integers,
    read: Callable[[str], Lists],
    where: str,
) -> _Links:
    """Links of entries that name the row's object: of a table, or the linked objects."""
    assert link.owner is not None
    table = read(link.owner)
    owners = whole_numbers(table.content, f"{where}: {link.owner!r}")
    events = table.events
    if link.index is None:
        check_aligned(table.offsets, linked, f"{where}: {link.owner!r}", "the linked columns")
        numbers = np.arange(len(owners)) - table.offsets[events]
    else:
        other = read(link.index)
        check_aligned(other.offsets, table.offsets, f"{where}: {link.index!r}", repr(link.owner))
        numbers = whole_numbers(other.content, f"{where}: {link.index!r}")
    owned = owners >= 0
    owners, events, numbers = owners[owned], events[owned], numbers[owned]
    _check_places(owners, np.diff(objects)[events], f"{where}: {link.owner!r}")
    return _Links(objects[events] + owners, events, numbers)


def _links_of_objects(
    link: LinkedObjects, objects: Integers, read: Callable[[str], Lists], where: str
) -> _Links:
    """Links of a column of the row's objects: a place for each of them, or a list of places."""
    assert link.index is not None
    column = read(link.index)
    check_aligned(column.offsets, objects, f"{where}: {link.index!r}", "the rows' columns")
    content = column.content
    if "refs" in content.fields:
        # TRefArray of ROOT
        content = content["refs"]
    if content.is_list:
        of_rows = take_lists(ak.Array(content))
    else:
        of_rows = Lists(np.arange(objects[-1] + 1), content)
    rows = of_rows.events
    numbers = whole_numbers(of_rows.content, f"{where}: {link.index!r}")
    return _Links(rows, column.events[rows], numbers)


def _links_of_ranges(
    link: LinkedObjects, objects: Integers, read: Callable[[str], Lists], where: str
) -> _Links:
    """Links of ranges that the row's objects name: of linked objects, or of a table of places."""
    assert link.begin is not None
    assert link.end is not None
    edges = []
    for name in (link.begin, link.end):
        column = read(name)
        check_aligned(column.offsets, objects, f"{where}: {name!r}", "the rows' columns")
        edges.append(whole_numbers(column.content, f"{where}: {name!r}"))
    begin, end = edges
    events_of_rows = column.events
    wrong = np.flatnonzero((begin < 0) | (end < begin))
    if len(wrong):
        row = wrong[0]
        raise DataError(
            f"{where}: {link.begin!r} and {link.end!r}: a range from {begin[row]} to {end[row]}"
        )
    counts = end - begin
    rows = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts  # of each row, among all links
    numbers = np.arange(len(rows)) - first[rows] + begin[rows]
    events = events_of_rows[rows]
    if link.index is None:
        return _Links(rows, events, numbers)
    table = read(link.index)
    _check_places(numbers, table.counts[events], f"{where}: {link.end!r}")
    places = whole_numbers(table.content, f"{where}: {link.index!r}")
    return _Links(rows, events, places[table.offsets[events] + numbers])


def _find_identities(
    links: _Links, identities: Lists, linked: Integers, link: LinkedObjects, where: str
) -> Integers:
    """The place in its event of the object that each link names by its identity; -1 for none."""
    column = f"{where}: {link.identity!r}"
    check_aligned(identities.offsets, linked, column, "the linked columns")
    known = whole_numbers(identities.content, column)
    events = identities.events
    # by event, then by identity; of equal ones the first is meant
    order = np.lexsort((known, events))
    sorted_pairs = _pairs(events[order], known[order])
    wanted = _pairs(links.events, links.numbers)
    found = np.searchsorted(sorted_pairs, wanted)
    places = np.full(len(wanted), -1)
    inside = found < len(order)
    inside[inside] = sorted_pairs[found[inside]] == wanted[inside]
    chosen = order[found[inside]]
    places[inside] = chosen - linked[events[chosen]]
    return places


def _pairs(events: Integers, numbers: Integers) -> npt.NDArray[np.complex128]:
    """Pairs that are ordered by event, then by number: exact for whole numbers below 2**53."""
    return events + 1j * numbers.astype(np.float64)


def whole_numbers(content: Content, what: str) -> Integers:
    """Whole numbers as int64; those of links of ATLAS, -1 where they lead nowhere.

    Raises:
        DataError: it holds something else.
    """
    if "m_persIndex" in content.fields:
        places = whole_numbers(content["m_persIndex"], what)
        if "m_persKey" not in content.fields:
            return places
        return without_null_links(places, whole_numbers(content["m_persKey"], what), what)
    try:
        values = ak.to_numpy(ak.Array(content), allow_missing=False)
    except (TypeError, ValueError):
        values = None
    if values is None or values.ndim != 1 or values.dtype.kind not in "iu":
        raise DataError(f"{what}: expected whole numbers, found {content.form.type}")
    return values.astype(np.int64)


def without_null_links(places: Integers, keys: Integers, what: str) -> Integers:
    """Places by ElementLinks, -1 where the ``key`` of their collection is 0.

    Raises:
        DataError: they lead into several collections.
    """
    distinct = np.unique(keys[keys != 0])
    if len(distinct) > 1:
        raise DataError(f"{what}: its links lead into {len(distinct)} collections; expected one")
    return np.where(keys == 0, -1, places)


def check_aligned(offsets: Integers, expected: Integers, what: str, others: str) -> None:
    """Raise DataError unless both have as many entries in each event."""
    if np.array_equal(offsets, expected):
        return
    counts = np.diff(offsets)
    wanted = np.diff(expected)
    event = int(np.flatnonzero(counts != wanted)[0])
    raise DataError(
        f"{what} has {counts[event]} entries in an event where {others} have {wanted[event]}"
    )


def _check_places(places: Integers, sizes: Integers, what: str) -> None:
    """Raise DataError where a place is not below the size of its collection in the event."""
    beyond = np.flatnonzero(places >= sizes)
    if len(beyond):
        first = beyond[0]
        raise DataError(
            f"{what}: place {places[first]} in an event whose collection has {sizes[first]}"
        )
