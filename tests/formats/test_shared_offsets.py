"""Columns of the same objects share one offsets object, in slices too."""

from __future__ import annotations

import awkward as ak

from weaver_tt.formats.shared_offsets import share_offsets, slice_table


def test_equal_counts_share_one_offsets_object_that_begins_at_0():
    whole = {
        "a": ak.Array([[9.0], [1.0, 2.0], []]),
        "b": ak.Array([[8], [3, 4], []]),
        "c": ak.Array([[1], [2], [3]]),
        "s": ak.Array(["x", "yz", ""]),
    }
    shared = share_offsets({name: array[1:] for name, array in whole.items()})
    assert shared["a"].layout.offsets is shared["b"].layout.offsets
    assert shared["a"].layout.offsets.data.tolist() == [0, 2, 2]
    assert shared["a"].layout.content.data.tolist() == [1.0, 2.0]  # no more than the offsets say
    assert shared["c"].layout.offsets is not shared["a"].layout.offsets
    assert shared["s"].to_list() == ["yz", ""]


def test_a_slice_of_shared_offsets_is_made_once_and_begins_at_0():
    table = share_offsets(
        {
            "a": ak.Array([[9.0], [1.0, 2.0], [], [3.0]]),
            "b": ak.Array([[8], [3, 4], [], [5]]),
            "c": ak.Array([10, 20, 30, 40]),
            "s": ak.Array(["x", "yz", "", "w"]),
        }
    )
    sliced = slice_table(table, 1, 3)
    assert {name: array.to_list() for name, array in sliced.items()} == {
        "a": [[1.0, 2.0], []],
        "b": [[3, 4], []],
        "c": [20, 30],
        "s": ["yz", ""],
    }
    assert sliced["a"].layout.offsets is sliced["b"].layout.offsets
    assert sliced["a"].layout.offsets.data.tolist() == [0, 2, 2]
