"""Columns that belong together: the collections of a file, and what of them is linked to what."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weaver_tt.formats.row_objects import LinkedObjects, RowObjects
from weaver_tt.run.init.columns import Column, Integers
from weaver_tt.run.init.roles import FLAVOUR, PLACE, TRUTH

# objects beyond the length of an input group are not seen: at most this share of all
MOST_BEYOND = 0.01
ALONE = "objects"


@dataclass(frozen=True)
class ColumnCollection:
    """The columns of a collection of objects: ``name`` is what they begin with."""

    name: str
    columns: tuple[Column, ...]

    @property
    def counts(self) -> Integers:
        """Objects of each row (R,)."""
        counts = self.columns[0].counts
        assert counts is not None
        return counts


def find_collections(columns: Iterable[Column]) -> list[ColumnCollection]:
    """Lists with as many entries in each row, and names that begin alike.

    Columns that share their counts and not their names are a collection together. Where two
    collections begin alike, as ``Tracks`` and ``Tracks_Refitted`` do, the second has the longer
    name. No two have the same.
    """
    alike: dict[tuple[int, str], list[Column]] = {}
    for column in columns:
        if column.counts is not None:
            before, underscore, _ = column.name.partition("_")
            prefix = before if underscore else ""
            # equal counts are one array
            alike.setdefault((id(column.counts), prefix), []).append(column)
    alone: dict[int, list[Column]] = {}
    found: list[ColumnCollection] = []
    taken: set[str] = set()
    for (number, prefix), listed in alike.items():
        if prefix and len(listed) > 1:
            name = prefix
            if name in taken:
                name = _common_name(listed)
            name = _not_taken(name, taken)
            taken.add(name)
            found.append(ColumnCollection(name, tuple(listed)))
        else:
            alone.setdefault(number, []).extend(listed)
    for number, listed in enumerate(alone.values()):
        name = listed[0].name if len(listed) == 1 else f"{ALONE}{number or ''}"
        found.append(ColumnCollection(name, tuple(listed)))
    return found


def _common_name(columns: Sequence[Column]) -> str:
    """The words, with ``_`` between them, that all names of ``columns`` begin with."""
    common = []
    for words in zip(*(column.name.split("_") for column in columns), strict=False):
        if len(set(words)) > 1:
            break
        common.append(words[0])
    return "_".join(common)


def _not_taken(name: str, taken: Container[str]) -> str:
    """``name``, with the first number behind it that makes it another than those ``taken``."""
    chosen = name
    number = 2
    while chosen in taken:
        chosen = f"{name}_{number}"
        number += 1
    return chosen


def choose_objects(collections: Sequence[ColumnCollection]) -> ColumnCollection | None:
    """The collection that has a flavour, the one with the most objects; None without any."""
    with_flavour = []
    for collection in collections:
        if TRUTH.fullmatch(collection.name):
            continue
        for column in collection.columns:
            differs = column.distinct is not None and len(column.distinct) > 1
            if FLAVOUR.fullmatch(column.name) and differs:
                with_flavour.append(collection)
                break
    return max(with_flavour, key=lambda each: int(each.counts.sum()), default=None)


def link(chosen: ColumnCollection, collections: Sequence[ColumnCollection]) -> RowObjects:
    """The objects of ``chosen`` as rows, with the collections whose columns lead to them."""
    linked: dict[str, LinkedObjects] = {}
    for other in collections:
        if other is chosen or TRUTH.fullmatch(other.name):
            continue
        owner = _place_column(other, chosen.name)
        if owner is None:
            continue
        target = _table_of(other, collections)
        if target is None:
            linked.setdefault(other.name, _linked(other.name, owner, None))
        else:
            index = _place_column(other, target.name)
            # a table knows more than one of its columns
            linked[target.name] = _linked(target.name, owner, index)
    names = (f"{chosen.name}_*",)
    return RowObjects(name=chosen.name, columns=names, linked=tuple(linked.values()))


def _linked(name: str, owner: str, index: str | None) -> LinkedObjects:
    return LinkedObjects(name=name, columns=(f"{name}_*",), owner=owner, index=index)


def _place_column(collection: ColumnCollection, target: str) -> str | None:
    """The column of a collection with places in ``target``: Electron_jetIdx for Jet."""
    for column in collection.columns:
        if not PLACE.fullmatch(column.name):
            continue
        own = column.name.removeprefix(f"{collection.name}_")
        stem = re.sub(r"_?(Idx|Index|idx|index)$", "", own)
        if stem.lower() == target.lower():
            return column.name
    return None


def _table_of(
    collection: ColumnCollection, collections: Sequence[ColumnCollection]
) -> ColumnCollection | None:
    """The collection that a table of pairs leads to: PFCands for JetPFCands."""
    for other in collections:
        is_longer = collection.name != other.name and collection.name.endswith(other.name)
        if is_longer and _place_column(collection, other.name) is not None:
            return other
    return None


def padded_length(counts: Integers) -> tuple[int, float]:
    """A length that few objects lie beyond, and the share of those that do.

    It is 1 at least, and a multiple of 4 where it is above 8.
    """
    total = max(1, int(counts.sum()))
    most = max(1, int(counts.max(initial=0)))
    lengths = np.arange(1, most + 1)
    # objects beyond each length: the sum of max(count - length, 0)
    beyond = np.array([np.maximum(counts - length, 0).sum() for length in lengths]) / total
    length = int(lengths[np.argmax(beyond <= MOST_BEYOND)])
    if length > 8:
        length = -(-length // 4) * 4
    return length, float(np.maximum(counts - length, 0).sum() / total)


def with_ending(columns: Sequence[Column], endings: Sequence[str]) -> list[str] | None:
    """The columns of a collection that end so, in this order; None where one is missing."""
    of_ending: Mapping[str, str] = {
        column.name.rpartition("_")[2].lower(): column.name for column in columns
    }
    if not all(ending in of_ending for ending in endings):
        return None
    return [of_ending[ending] for ending in endings]
