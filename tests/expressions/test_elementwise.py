"""Flat evaluation of jagged columns gives what awkward gives."""

import awkward as ak
import numpy as np
import pytest
from awkward.contents import ListOffsetArray, NumpyArray
from awkward.index import Index32, Index64
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.errors import DataError
from weaver_tt.expressions.elementwise import (
    JaggedColumn,
    apply_function,
    as_flat,
    as_operand,
    to_awkward,
)
from weaver_tt.expressions.registry import MODULES

ROWS = [[1.0, 2.0], [], [3.0]]
OFFSETS = np.array([0, 2, 2, 3], np.int32)


@pytest.mark.parametrize(
    "array",
    [
        ak.Array(ROWS),
        ak.Array([[0.0], *ROWS])[1:],  # offsets that do not begin at 0
        ak.Array([ROWS[2], ROWS[0], ROWS[1]])[[1, 2, 0]],  # rows out of order
        ak.Array(ListOffsetArray(Index32(OFFSETS), NumpyArray(np.array([1.0, 2.0, 3.0])))),
        ak.Array([ROWS[0], [9.0], ROWS[1], ROWS[2]])[[True, False, True, True]],
        ak.Array([[*ROWS[0], 9.0], [9.0], ROWS[2]])[
            ak.Array([[True, True, False], [False], [True]])
        ],
    ],
)
def test_lists_of_numbers_unwrap_to_content_and_offsets_however_they_are_stored(array):
    found = as_flat(array)
    assert isinstance(found, JaggedColumn)
    assert found.content.tolist() == [1, 2, 3]
    assert found.offsets.tolist() == [0, 2, 2, 3]
    assert found.offsets.dtype == np.int64
    assert to_awkward(found).tolist() == ROWS


def test_rows_of_fixed_size_are_jagged_and_rows_of_numbers_are_numpy():
    for regular in (
        ak.Array(np.arange(6).reshape(3, 2)),
        ak.to_regular(ak.Array([[0, 1], [2, 3], [4, 5]])),
    ):
        found = as_flat(regular)
        assert (found.offsets.tolist(), found.content.tolist()) == (
            [0, 2, 4, 6],
            [0, 1, 2, 3, 4, 5],
        )
    assert isinstance(as_flat(ak.Array([1, 2])), np.ndarray)


@pytest.mark.parametrize(
    "array",
    [
        ak.Array([[1, None]]),
        ak.Array([None, 1]),
        ak.Array(["text"]),
        ak.Array([[[1]], []]),
        ak.Array([{"x": 1}]),
        # each object is a vector
        ak.Array(ListOffsetArray(Index64(np.array([0, 2, 3])), NumpyArray(np.ones((3, 2))))),
    ],
)
def test_anything_else_is_left_to_awkward(array):
    assert as_flat(array) is array


def test_content_behind_the_last_row_is_left_out():
    longer = NumpyArray(np.arange(5.0))
    found = as_flat(ak.Array(ListOffsetArray(Index64(np.array([0, 2, 3])), longer)))
    assert found.content.tolist() == [0, 1, 2]


def test_lists_of_vectors_are_left_to_awkward():
    vectors = NumpyArray(np.ones((3, 2)))
    array = ak.Array(ListOffsetArray(Index64(np.array([0, 2, 3])), vectors))
    assert as_flat(array) is array


def test_columns_of_whole_numbers_are_widened():
    assert as_operand(np.array([200], np.uint8), "x").dtype == np.int64
    assert as_operand(ak.values_astype(ak.Array([[200]]), "uint8"), "x").content.dtype == np.int64
    assert as_operand(np.array([200], np.int32), "x").dtype == np.int64
    assert as_operand(np.array([1], np.float32), "x").dtype == np.float32
    assert as_operand(np.array([True]), "x").dtype == bool


counts = st.lists(st.integers(0, 4), min_size=1, max_size=6)


@given(
    counts,
    st.sampled_from([np.add, np.multiply, np.hypot, np.less, np.maximum, np.arctan2]),
    st.randoms(use_true_random=False),
)
def test_ufuncs_of_aligned_columns_rows_and_numbers_agree_with_awkward(counts, function, random):
    x, y = (
        ak.unflatten(
            np.array([random.uniform(-9, 9) for _ in range(sum(counts))], np.float32), counts
        )
        for _ in "xy"
    )
    row = np.array([random.uniform(-9, 9) for _ in counts])
    for left, right in ((x, y), (x, row), (row, y), (x, 2.5), (3, y)):
        found = to_awkward(
            apply_function(function, [as_operand(left, "x"), as_operand(right, "y")], {})
        )
        expected = (
            function(left, ak.Array(right) if isinstance(right, np.ndarray) else right)
            if left is not row
            else function(ak.Array(row), right)
        )
        assert found.tolist() == expected.tolist()
        assert ak.type(found) == ak.type(expected)


def test_results_share_the_offsets_of_their_arguments():
    x = as_operand(ak.Array(ROWS), "x")
    assert apply_function(np.sqrt, [x], {}).offsets is x.offsets
    assert as_flat(to_awkward(x)).offsets is x.offsets
    whole, rest = apply_function(np.divmod, [x, 2], {})
    assert (to_awkward(whole).tolist(), to_awkward(rest).tolist()) == (
        [[0, 1], [], [1]],
        [[1, 0], [], [1]],
    )


def test_choice_and_clip_work_on_jagged_columns():
    x, row = as_operand(ak.Array(ROWS), "x"), np.array([10.0, 20.0, 30.0])
    assert to_awkward(
        apply_function(np.where, [apply_function(np.greater, [x, 1], {}), x, row], {})
    ).tolist() == [[10, 2], [], [3]]
    clip = MODULES["np"]["clip"]
    assert to_awkward(apply_function(clip, [x, 1.5, 2.5], {})).tolist() == [[1.5, 2], [], [2.5]]
    assert to_awkward(apply_function(ak.values_astype, [x, "int32"], {})).type == ak.Array(
        [[1]]
    ).type.__class__(ak.types.ListType(ak.types.NumpyType("int32")), 3)


def test_other_functions_get_awkward_arrays():
    assert apply_function(ak.num, [as_operand(ak.Array(ROWS), "x")], {}).tolist() == [2, 0, 1]
    assert apply_function(np.sum, [as_operand(ak.Array(ROWS), "x")], {"axis": 1}).tolist() == [
        3,
        0,
        3,
    ]


def test_columns_that_differ_in_their_objects_are_named_with_the_first_row():
    left, right = (
        as_operand(ak.Array([[1], [1, 2]]), "jet_pt"),
        as_operand(ak.Array([[1], [1]]), "muon_pt"),
    )
    with pytest.raises(
        DataError, match="jet_pt and muon_pt differ in their objects: 2 and 1 in row 1"
    ):
        apply_function(np.add, [left, right], {})
    with pytest.raises(DataError, match="3 values meet 2 rows of jet_pt"):
        apply_function(np.add, [left, np.ones(3)], {})
    with pytest.raises(DataError, match="2 and 1 rows"):
        apply_function(np.add, [left, as_operand(ak.Array([[1]]), "z")], {})


def test_lists_that_use_the_front_of_their_content_work_with_others():
    front = as_operand(ak.Array([*ROWS, [9.0]])[:-1], "front")
    whole = as_operand(ak.Array(ROWS), "whole")
    assert front.content.tolist() == [1, 2, 3]
    assert to_awkward(apply_function(np.add, [front, whole], {})).tolist() == [[2, 4], [], [6]]


def test_signed_whole_numbers_are_widened_too():
    three_billion = as_operand(np.array([1_500_000_000], np.int32), "x") * 2
    assert three_billion.tolist() == [3_000_000_000]


def test_a_value_a_row_given_by_name_meets_the_objects_of_its_row():
    # three objects and three rows: taken one to one, 20 would fill a gap of the first row
    gaps = as_operand(ak.Array([[np.nan, np.nan], [], [np.nan]]), "x")
    found = apply_function(np.nan_to_num, [gaps], {"nan": np.array([10.0, 20.0, 30.0])})
    assert to_awkward(found).tolist() == [[10, 10], [], [30]]
