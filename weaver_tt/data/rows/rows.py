"""Decoded, selected, scaled rows, still jagged: what the pool holds and what travels between threads, processes and devices.

R rows, M objects in all of them, C features. Objects are stored one after another with their features side by side, so that moving a row is
moving one contiguous run of memory. Groups whose rows have equal counts share one ``counts`` array (the same Python object): indices are then
built once for all of them. If they are padded alike, they also share one ``content``, so that all they know of an object moves at once.
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
    """Objects of R rows: ``content`` (M, W) row after row, ``counts`` (R,) objects of each row, with ``counts.sum() == M``.

    The group's own C features are ``columns`` of the content; the others are those of groups that share it.
    At most ``length`` objects a row are kept; ``full_counts`` (R,) are the numbers before that cut.
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
    """R rows, ready but for padding: per-object groups (inputs and per-object labels), per-row scalars, labels, weight, observers.

    ``objects``: input group -> Jagged; the features of per-object labels are in ``object_labels`` under their group, (M, L) beside it.
    """

    objects: dict[str, JaggedObjects]
    scalars: dict[str, Floats]  # input group -> (R, C)
    labels: dict[str, npt.NDArray[Any]]  # per-row label -> (R,)
    object_labels: dict[str, Floats] = field(
        default_factory=dict
    )  # input group -> (M, L), aligned with objects[group].content
    weight: Floats | None = None  # (R,)
    monitors: dict[str, npt.NDArray[Any]] = field(default_factory=dict)  # (R,)
    object_monitors: dict[tuple[str, str], Floats] = field(
        default_factory=dict
    )  # (input group, name) -> (M, 1), aligned as object_labels
    observers: dict[str, Any] = field(
        default_factory=dict
    )  # name -> ak.Array of R rows, prediction only
    size: int = 0  # R


def index_runs(starts: Integers, counts: Integers) -> Integers:
    """``starts[i], starts[i] + 1, …`` (``counts[i]`` of them) for one i after the other: (sum of counts,)."""
    total = int(counts.sum())
    return np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(total)


class Interner:
    """Gives equal integer arrays the same object, so that what is made from them is made once: ``once(array)``."""

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

    ``per_row`` makes a column of the result from the parts' arrays of R rows, ``per_object`` from their arrays of M objects and the counts that
    these belong to. Shared counts stay shared.
    """
    first = parts[0]
    made: dict[tuple[int, ...], Any] = {}  # ids of arrays -> what was made of them

    def once(make: Callable[[list[Any]], Any], arrays: list[Any]) -> Any:
        key = tuple(map(id, arrays))
        if key not in made:
            made[key] = make(arrays)
        return made[key]

    def each(name: str) -> dict[str, Any]:
        columns = [getattr(part, name) for part in parts]
        return {key: per_row([column[key] for column in columns]) for key in columns[0]}

    def beside(name: str, owner: Callable[[Any], str]) -> dict[Any, Any]:
        return {
            key: per_object([getattr(part, name)[key] for part in parts], counts_of(owner(key)))
            for key in getattr(first, name)
        }

    def counts_of(name: str) -> list[Integers]:
        return [part.objects[name].counts for part in parts]

    def group(name: str) -> JaggedObjects:
        groups = [part.objects[name] for part in parts]
        counts, full = [group.counts for group in groups], [group.full_counts for group in groups]
        if len({(group.columns.start, group.content.shape[1]) for group in groups}) == 1:
            content = once(
                lambda contents: per_object(contents, counts), [group.content for group in groups]
            )
            return JaggedObjects(
                content, once(per_row, counts), once(per_row, full), groups[0].columns
            )
        # groups had equal counts, and so one content, in some parts only
        content = per_object([np.ascontiguousarray(group.own) for group in groups], counts)
        return JaggedObjects(
            content, once(per_row, counts), once(per_row, full), slice(0, content.shape[1])
        )

    return Rows(
        objects={name: group(name) for name in first.objects},
        scalars=each("scalars"),
        labels=each("labels"),
        object_labels=beside("object_labels", lambda key: key),
        weight=None if first.weight is None else per_row([part.weight for part in parts]),
        monitors=each("monitors"),
        object_monitors=beside("object_monitors", lambda key: key[0]),
        observers=each("observers"),
        size=size,
    )


class IndexedRows:
    """Rows that rows are taken out of again and again; where each row's objects begin is worked out once."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        distinct = {id(group.counts): group.counts for group in rows.objects.values()}
        self.starts = {key: np.cumsum(counts) - counts for key, counts in distinct.items()}


def gather_rows(parts: Sequence[tuple[IndexedRows, Integers]]) -> Rows:
    """Of each part the rows with the given indices, in that order, one part after the other; each is copied once. At least one part."""
    places: dict[
        tuple[int, ...], tuple[Integers, list[int]]
    ] = {}  # ids of the parts' counts -> objects to take, and where each part's end

    def where(counts: list[Integers]) -> tuple[Integers, list[int]]:
        key = tuple(map(id, counts))
        if key not in places:
            starts = np.concatenate(
                [
                    part.starts[id(own)][index]
                    for (part, index), own in zip(parts, counts, strict=True)
                ]
            )
            taken = [own[index] for (_, index), own in zip(parts, counts, strict=True)]
            ends = np.cumsum([own.sum() for own in taken]).tolist()
            places[key] = index_runs(starts, np.concatenate(taken)), ends
        return places[key]

    def objects(contents: list[Any], counts: list[Integers]) -> Any:
        index, ends = where(counts)
        result = np.empty((len(index), *contents[0].shape[1:]), contents[0].dtype)
        first = 0
        for content, end in zip(contents, ends, strict=True):
            if end > first:  # indices are right: with mode="clip" numpy writes to `out` directly
                content.take(index[first:end], axis=0, out=result[first:end], mode="clip")
            first = end
        return result

    def rows(columns: list[Any]) -> Any:
        return concatenate_arrays(
            [column[index] for column, (_, index) in zip(columns, parts, strict=True)]
        )

    return combine_rows(
        [part.rows for part, _ in parts], rows, objects, sum(len(index) for _, index in parts)
    )


def concatenate_arrays(columns: list[Any]) -> Any:
    """Arrays of numpy or awkward, one after another."""
    if len(columns) == 1:
        return columns[0]
    return ak.concatenate(columns) if isinstance(columns[0], ak.Array) else np.concatenate(columns)


def rows_at(rows: Rows, index: Integers) -> Rows:
    """The rows ``index`` (n,), in that order; an index may come several times."""
    return gather_rows([(IndexedRows(rows), index)])


def concatenate_rows(parts: Sequence[Rows]) -> Rows:
    """All rows of ``parts``, one part after the other. At least one part."""
    return combine_rows(
        parts,
        concatenate_arrays,
        lambda contents, _: concatenate_arrays(contents),
        sum(part.size for part in parts),
    )


def slice_rows(rows: Rows, first: int, last: int) -> Rows:
    """Rows [first, last) without copying them."""

    def objects(contents: list[Any], counts: list[Integers]) -> Any:
        start = int(counts[0][:first].sum())
        return contents[0][start : start + int(counts[0][first:last].sum())]

    return combine_rows([rows], lambda columns: columns[0][first:last], objects, last - first)


def convert_arrays(rows: Rows, array: Callable[[Any], Any]) -> Rows:
    """The same rows with ``array`` applied to each array; arrays that were shared still are."""
    return combine_rows(
        [rows], lambda columns: array(columns[0]), lambda contents, _: array(contents[0]), rows.size
    )
