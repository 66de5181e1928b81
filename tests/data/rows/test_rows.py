"""Rows keep their objects, labels and weight wherever they go."""

from __future__ import annotations

import awkward as ak
import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.data.rows.rows import (
    IndexedRows,
    Interner,
    JaggedObjects,
    Rows,
    concatenate_rows,
    convert_arrays,
    gather_rows,
    index_runs,
    rows_at,
    slice_rows,
)


def rows_with(counts: list[int], first: int = 0) -> Rows:
    """Row i is number ``first + i``; its k-th object has the features (number, k) in group a.

    In group b, which shares the content, it has (k,).
    """
    lengths = np.array(counts, dtype=np.int64)
    numbers = np.arange(first, first + len(counts))
    content = np.array(
        [[number, k, 10 * k] for number, n in zip(numbers, counts, strict=True) for k in range(n)],
        dtype=np.float32,
    ).reshape(-1, 3)
    return Rows(
        objects={
            "a": JaggedObjects(content, lengths, lengths + 1, slice(0, 2)),
            "b": JaggedObjects(content, lengths, lengths, slice(2, 3)),
        },
        scalars={"s": numbers.astype(np.float32).reshape(-1, 1)},
        labels={"y": numbers},
        object_labels={"a": content[:, 1:2] + 0.5},
        weight=numbers.astype(np.float32),
        monitors={"m": -numbers},
        object_monitors={("a", "n"): content[:, :1]},
        observers={
            "o": ak.Array([[int(number)] * n for number, n in zip(numbers, counts, strict=True)])
        },
        size=len(counts),
    )


def listed(rows: Rows) -> list[tuple]:
    """All that is known of each row, as plain lists."""
    result = []
    ends = np.cumsum(rows.objects["a"].counts)
    for i in range(rows.size):
        own = slice(ends[i] - rows.objects["a"].counts[i], ends[i])
        a, b = rows.objects["a"], rows.objects["b"]
        objects = (
            a.own[own].tolist(),
            b.own[own].tolist(),
            rows.object_labels["a"][own].tolist(),
            rows.object_monitors["a", "n"][own].tolist(),
        )
        numbers = (
            rows.labels["y"][i],
            rows.scalars["s"][i, 0],
            rows.weight[i],
            rows.monitors["m"][i],
            a.full_counts[i],
            b.full_counts[i],
        )
        result.append((*objects, *map(float, numbers), rows.observers["o"][i].tolist()))
    return result


some_counts = st.lists(st.integers(0, 4), min_size=1, max_size=8)


def test_runs_count_on_from_each_start():
    assert index_runs(np.array([5, 0, 7]), np.array([2, 0, 3])).tolist() == [5, 6, 7, 8, 9]


def test_once_gives_equal_arrays_the_same_object():
    once, a = Interner(), np.array([1, 2])
    assert once(a) is a
    assert once(np.array([1, 2])) is a
    assert once(np.array([1, 3])) is not a


@given(some_counts, st.data())
def test_taken_rows_are_the_rows_asked_for(counts, data):
    index = data.draw(st.lists(st.integers(0, len(counts) - 1), max_size=10))
    everything = listed(rows_with(counts))
    assert listed(rows_at(rows_with(counts), np.array(index, dtype=np.int64))) == [
        everything[i] for i in index
    ]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.data())
def test_rows_of_parts_that_have_equally_many_objects_in_every_row_are_the_rows_asked_for(
    numbers, data
):
    # as in a table without padding: within a part, and sometimes in all of them
    rows = [rows_with([n] * 4, first=10 * i) for i, n in enumerate(numbers)]
    index = [data.draw(st.lists(st.integers(0, 3), max_size=5)) for _ in rows]
    gathered = gather_rows(
        [
            (IndexedRows(part), np.array(chosen, np.int64))
            for part, chosen in zip(rows, index, strict=True)
        ]
    )
    expected = []
    for part, chosen in zip(rows, index, strict=True):
        expected += [listed(part)[i] for i in chosen]
    assert listed(gathered) == expected
    assert len(gathered.objects["a"].content) == gathered.objects["a"].counts.sum()


@given(some_counts, st.data())
def test_pieces_put_together_are_the_whole(counts, data):
    cut = data.draw(st.integers(0, len(counts)))
    rows = rows_with(counts)
    assert listed(
        concatenate_rows([slice_rows(rows, 0, cut), slice_rows(rows, cut, len(counts))])
    ) == listed(rows)


@given(some_counts, some_counts, st.data())
def test_rows_collected_from_two_parts_are_copied_in_order(left, right, data):
    a = data.draw(st.lists(st.integers(0, len(left) - 1), max_size=5))
    b = data.draw(st.lists(st.integers(0, len(right) - 1), max_size=5))
    parts = [
        (IndexedRows(rows_with(left)), np.array(a, dtype=np.int64)),
        (IndexedRows(rows_with(right, 100)), np.array(b, dtype=np.int64)),
    ]
    expected = [listed(rows_with(left))[i] for i in a] + [
        listed(rows_with(right, 100))[i] for i in b
    ]
    assert listed(gather_rows(parts)) == expected


def test_shared_counts_and_contents_stay_shared():
    rows = rows_at(concatenate_rows([rows_with([1, 2]), rows_with([3])]), np.array([2, 0]))
    assert rows.objects["a"].counts is rows.objects["b"].counts
    assert rows.objects["a"].content is rows.objects["b"].content


def test_parts_that_share_their_content_differently_fit_together():
    apart = rows_with([1, 2])
    for name, group in apart.objects.items():
        content = np.ascontiguousarray(group.own)
        apart.objects[name] = JaggedObjects(
            content, group.counts, group.full_counts, slice(0, content.shape[1])
        )
    assert listed(concatenate_rows([apart, rows_with([3], 2)])) == listed(rows_with([1, 2, 3]))


def test_a_trip_through_tensors_changes_nothing():
    rows = rows_with([2, 0, 1])
    rows.observers = {}
    there = convert_arrays(rows, torch.from_numpy)
    assert isinstance(there.objects["a"].content, torch.Tensor)
    back = convert_arrays(there, torch.Tensor.numpy)
    assert back.objects["a"].content is back.objects["b"].content
    back.observers = rows_with([2, 0, 1]).observers
    assert listed(back) == listed(rows_with([2, 0, 1]))
