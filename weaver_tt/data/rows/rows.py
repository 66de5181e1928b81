"""Decoded, selected, scaled rows, still jagged.

They are what the pool holds and what travels between threads, processes and devices: R rows, M
objects in all of them, C features. Objects are stored one after another with their features side
by side, so that moving a row is moving one contiguous run of memory. Groups whose rows have equal
counts share one ``counts`` array (the same Python object): indices are then built once for all of
them. If they are padded alike, they also share one ``content``, so that all features of an object
move at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(slots=True)
class JaggedObjects:
    """Objects of R rows: ``content`` (M, W) row after row, ``counts`` (R,) objects of each row.

    ``counts.sum() == M``. The group's own C features are ``columns`` of the content; the others
    are those of groups that share it. At most ``length`` objects a row are kept; ``full_counts``
    (R,) are the numbers before that.
    """

    content: Floats
    counts: Integers
    full_counts: Integers
    columns: slice

    @property
    def own(self) -> Floats:
        """The group's own features (M, C)."""
        return self.content[:, self.columns]


@dataclass(slots=True)
class Rows:
    """R rows, ready but for padding.

    Per-object groups are inputs and per-object labels: the labels of a group's objects, (M, L),
    lie beside its content.
    """

    objects: dict[str, JaggedObjects]  # input group -> its objects
    scalars: dict[str, Floats]  # input group -> (R, C)
    labels: dict[str, npt.NDArray[Any]]  # per-row label -> (R,)
    # input group -> (M, L), aligned with objects[group].content
    object_labels: dict[str, Floats] = field(default_factory=dict)
    weight: Floats | None = None  # (R,)
    # (R,) which row of which file each is; None where that is not asked for
    identity: Integers | None = None
    monitors: dict[str, npt.NDArray[Any]] = field(default_factory=dict)  # (R,)
    # (input group, name) -> (M, 1), aligned as object_labels
    object_monitors: dict[tuple[str, str], Floats] = field(default_factory=dict)
    # name -> ak.Array of R rows, in prediction only
    observers: dict[str, Any] = field(default_factory=dict)
    size: int = 0  # R


def index_runs(starts: Integers, counts: Integers) -> Integers:
    """``counts[i]`` indices from ``starts[i]`` on, for one i after the other: (sum of counts,)."""
    total = int(counts.sum())
    begins = np.cumsum(counts) - counts  # where each run begins in the result
    return np.repeat(starts - begins, counts) + np.arange(total)


class Interner:
    """Gives equal integer arrays the same object: ``once(array)``.

    What is made from them is then made once.
    """

    def __init__(self) -> None:
        self._known: list[Integers] = []

    def __call__(self, array: Integers) -> Integers:
        """The first array seen that equals ``array``."""
        for known in self._known:
            if known is array or np.array_equal(known, array):
                return known
        self._known.append(array)
        return array


def combine_rows(
    parts: Sequence[Rows],
    per_row: Callable[[list[Any]], Any],
    per_object: Callable[[list[Any], list[Integers]], Any],
    size: int,
) -> Rows:
    """Rows made of ``parts``, which have the same groups and columns; ``size`` of them.

    ``per_row`` makes a column of the result from the parts' arrays of R rows, ``per_object`` from
    their arrays of M objects and the counts that these belong to. Shared counts stay shared.
    """
    first = parts[0]
    made: dict[tuple[int, ...], Any] = {}  # ids of arrays -> what was made of them

    def once(make: Callable[[list[Any]], Any], arrays: list[Any]) -> Any:
        """The result for arrays that several groups share: the same object for all of them."""
        key = tuple(map(id, arrays))
        if key not in made:
            made[key] = make(arrays)
        return made[key]

    def combine_columns(name: str) -> dict[str, Any]:
        """A field of per-row columns."""
        fields = [getattr(part, name) for part in parts]
        combined = {}
        for key in fields[0]:
            combined[key] = per_row([columns[key] for columns in fields])
        return combined

    def combine_beside(name: str, owner: Callable[[Any], str]) -> dict[Any, Any]:
        """A field of arrays that lie beside the objects of the group ``owner`` names."""
        fields = [getattr(part, name) for part in parts]
        combined = {}
        for key in fields[0]:
            counts = [part.objects[owner(key)].counts for part in parts]
            combined[key] = per_object([arrays[key] for arrays in fields], counts)
        return combined

    def combine_group(name: str) -> JaggedObjects:
        """The objects of an input group."""
        groups = [part.objects[name] for part in parts]
        counts = [group.counts for group in groups]
        layouts = {(group.columns.start, group.content.shape[1]) for group in groups}
        if len(layouts) == 1:
            columns = groups[0].columns
            contents = [group.content for group in groups]
            content = once(lambda arrays: per_object(arrays, counts), contents)
        else:
            # counts were equal, and so the content shared, in some parts only: all give up sharing
            own = [np.ascontiguousarray(group.own) for group in groups]
            content = per_object(own, counts)
            columns = slice(0, content.shape[1])
        full_counts = once(per_row, [group.full_counts for group in groups])
        return JaggedObjects(content, once(per_row, counts), full_counts, columns)

    weight = None
    if first.weight is not None:
        weight = per_row([part.weight for part in parts])
    identity = None
    if first.identity is not None:
        identity = per_row([part.identity for part in parts])
    return Rows(
        objects={name: combine_group(name) for name in first.objects},
        scalars=combine_columns("scalars"),
        labels=combine_columns("labels"),
        object_labels=combine_beside("object_labels", lambda key: key),
        weight=weight,
        identity=identity,
        monitors=combine_columns("monitors"),
        object_monitors=combine_beside("object_monitors", lambda key: key[0]),
        observers=combine_columns("observers"),
        size=size,
    )


class IndexedRows:
    """Rows that others are gathered from again and again.

    Where each row's objects begin is computed once.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.starts: dict[int, Integers] = {}  # id of the counts -> first object of each row (R,)
        # id of the counts -> objects of every row, if all have as many
        self.lengths: dict[int, int | None] = {}
        for group in rows.objects.values():
            counts = group.counts
            if id(counts) not in self.starts:
                self.starts[id(counts)] = np.cumsum(counts) - counts
                is_constant = len(counts) > 0 and (counts == counts[0]).all()
                self.lengths[id(counts)] = int(counts[0]) if is_constant else None


def gather_rows(parts: Sequence[tuple[IndexedRows, Integers]]) -> Rows:
    """Of each part the rows with the given indices, in that order, one part after the other.

    Each is copied once. At least one part.
    """
    size = sum(len(index) for _, index in parts)
    # ids of the parts' counts -> objects to gather, and where each part's end
    found: dict[tuple[int, ...], tuple[Integers, list[int]]] = {}

    def find_objects(counts: list[Integers]) -> tuple[Integers, list[int]]:
        key = tuple(map(id, counts))
        if key not in found:
            starts = []
            numbers = []
            ends = []
            end = 0
            for (part, index), own in zip(parts, counts, strict=True):
                starts.append(part.starts[id(own)][index])
                numbers.append(own[index])
                end += int(numbers[-1].sum())
                ends.append(end)
            objects = index_runs(np.concatenate(starts), np.concatenate(numbers))
            found[key] = objects, ends
        return found[key]

    def gather_objects(contents: list[Any], counts: list[Integers]) -> Any:
        lengths = {part.lengths[id(own)] for (part, _), own in zip(parts, counts, strict=True)}
        (length, *others) = lengths
        if length and not others:
            return gather_equal(contents, length)
        index, ends = find_objects(counts)
        result = np.empty((len(index), *contents[0].shape[1:]), contents[0].dtype)
        first = 0
        for content, end in zip(contents, ends, strict=True):
            if end > first:
                # indices are right: with mode="clip" numpy writes to `out` directly
                content.take(index[first:end], axis=0, out=result[first:end], mode="clip")
            first = end
        return result

    def gather_equal(contents: list[Any], length: int) -> Any:
        """Objects of rows that all have ``length`` of them: rows are moved as a whole."""
        shape = contents[0].shape[1:]
        result = np.empty((size, length, *shape), contents[0].dtype)
        first = 0
        for content, (_, index) in zip(contents, parts, strict=True):
            last = first + len(index)
            whole = content.reshape(-1, length, *shape)
            whole.take(index, axis=0, out=result[first:last], mode="clip")
            first = last
        return result.reshape(-1, *shape)

    def gather_columns(columns: list[Any]) -> Any:
        chosen = [column[index] for column, (_, index) in zip(columns, parts, strict=True)]
        return concatenate_arrays(chosen)

    return combine_rows([part.rows for part, _ in parts], gather_columns, gather_objects, size)


def concatenate_arrays(columns: list[Any]) -> Any:
    """Arrays of numpy or awkward, one after another."""
    if len(columns) == 1:
        return columns[0]
    if isinstance(columns[0], ak.Array):
        return ak.concatenate(columns)
    return np.concatenate(columns)


def rows_at(rows: Rows, index: Integers) -> Rows:
    """The rows ``index`` (n,), in that order; an index may come several times."""
    return gather_rows([(IndexedRows(rows), index)])


def concatenate_rows(parts: Sequence[Rows]) -> Rows:
    """All rows of ``parts``, one part after the other. At least one part."""

    def objects(contents: list[Any], counts: list[Integers]) -> Any:
        return concatenate_arrays(contents)

    size = sum(part.size for part in parts)
    return combine_rows(parts, concatenate_arrays, objects, size)


def slice_rows(rows: Rows, first: int, last: int) -> Rows:
    """Rows [first, last) without copying them."""

    def slice_column(columns: list[Any]) -> Any:
        return columns[0][first:last]

    def slice_objects(contents: list[Any], counts: list[Integers]) -> Any:
        begin = int(counts[0][:first].sum())
        end = begin + int(counts[0][first:last].sum())
        return contents[0][begin:end]

    return combine_rows([rows], slice_column, slice_objects, last - first)


def convert_arrays(rows: Rows, array: Callable[[Any], Any]) -> Rows:
    """The same rows with ``array`` applied to each array; arrays that were shared still are."""

    def convert_column(columns: list[Any]) -> Any:
        return array(columns[0])

    def convert_objects(contents: list[Any], counts: list[Integers]) -> Any:
        return array(contents[0])

    return combine_rows([rows], convert_column, convert_objects, rows.size)
