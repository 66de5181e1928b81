"""Helpers, with values worked out by hand."""

from itertools import permutations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.errors import DataError
from weaver_tt.expressions.registry import HELPERS, MODULES

JAGGED = ak.Array([[1.0, 2.0, 3.0], [], [4.0]])


def test_of_equal_values_the_first_come_first_in_numpys_argsort_too():
    # more than the 16 up to which numpy sorts by insertion, which is stable
    places = MODULES["np"]["argsort"](ak.Array(np.zeros((2, 40))), axis=1)
    assert places.tolist() == [list(range(40))] * 2


def test_pad_fills_short_rows_and_cuts_long_ones():
    padded = HELPERS["_pad"](JAGGED, 2, -1)
    assert padded.dtype == np.float32
    assert padded.tolist() == [[1, 2], [-1, -1], [4, -1]]


def test_pad_takes_one_value_a_row_as_one_object_and_leaves_a_padded_array_alone():
    assert HELPERS["_pad"](ak.Array([5, 6]), 3).tolist() == [[5, 0, 0], [6, 0, 0]]
    done = np.ones((2, 3))
    assert HELPERS["_pad"](done, 3) is done
    assert HELPERS["_pad"](done, 2).tolist() == [[1, 1], [1, 1]]


def test_repeat_pad_goes_round_a_rows_objects():
    assert HELPERS["_repeat_pad"](JAGGED, 4).tolist() == [[1, 2, 3, 1], [0, 0, 0, 0], [4, 4, 4, 4]]


@given(
    st.lists(st.lists(st.integers(0, 99), max_size=5), min_size=1, max_size=6), st.integers(1, 7)
)
def test_paddings_agree_with_a_loop_over_rows(rows, length):
    array = ak.values_astype(ak.Array([*rows, [1]]), "int64")[:-1]
    assert HELPERS["_pad"](array, length, 7).tolist() == [
        (row + [7] * length)[:length] for row in rows
    ]
    assert HELPERS["_repeat_pad"](array, length).tolist() == [
        (row * length)[:length] if row else [0] * length for row in rows
    ]


def test_padding_to_an_absurd_length_is_refused():
    for pad in (HELPERS["_pad"], HELPERS["_repeat_pad"], MODULES["ak"]["pad_none"]):
        with pytest.raises(DataError, match="10000000000"):
            pad(JAGGED, 10**10)


def test_hash_is_that_of_the_rows_numbers_and_refuses_jagged_columns():
    run, event = np.array([1, 1, 2]), ak.Array([7.0, 8.0, 7.0])
    found = HELPERS["_hash"](run, event)
    assert found.tolist() == [hash((1, 7.0)), hash((1, 8.0)), hash((2, 7.0))]
    with pytest.raises(DataError, match="one number per row"):
        HELPERS["_hash"](JAGGED)


def test_concat_and_stack_join_along_an_old_and_a_new_axis():
    assert HELPERS["_concat"]([JAGGED, JAGGED], axis=1).tolist() == [[1, 2, 3, 1, 2, 3], [], [4, 4]]
    assert HELPERS["_concat"]([np.array([1]), np.array([2])]).tolist() == [1, 2]
    assert HELPERS["_stack"]([np.array([1, 2]), np.array([3, 4])]).tolist() == [[1, 3], [2, 4]]
    assert HELPERS["_stack"]([ak.Array([1, 2]), ak.Array([3, 4])]).tolist() == [[1, 3], [2, 4]]
    assert HELPERS["_concat"]([]).tolist() == HELPERS["_stack"]([]).tolist() == []


def test_nearest_neighbours_come_in_order_of_distance():
    support = np.array([[0.0, 0.0], [3.0, 0.0], [1.0, 0.0]])
    assert HELPERS["_knn"](support, np.array([[0.9, 0.0]]), 2).tolist() == [[2, 0]]
    assert HELPERS["_knn"](support, np.array([[9.0, 0.0]]), 4).tolist() == [
        [1, 2, 0, 3]
    ]  # 3: there is no fourth
    equally_near = np.ones((50, 2))
    assert HELPERS["_knn"](equally_near, np.zeros((1, 2)), 9).tolist() == [list(range(9))]
    batch = HELPERS["_batch_knn"](
        [support, support[:2]], [support[:1], support[:2]], 1, maxlen_s=3, maxlen_q=2
    )
    assert batch.tolist() == [[[0], [2]], [[0], [1]]]  # [2]: padding, maxlen_s - 1


def test_permutations_are_permutations_and_the_same_every_time():
    array = ak.Array([list(range(20)), [], [5.0]])
    first = HELPERS["_batch_permute_indices"](array)
    assert ak.sort(first).tolist() == [list(range(20)), [], [0]]
    assert first[0].tolist() != list(range(20))
    assert HELPERS["_batch_permute_indices"](array).tolist() == first.tolist()


def test_dropping_leaves_the_stated_share_and_at_least_the_stated_number():
    array = ak.Array([list(range(100)), [1.0], []])
    kept = HELPERS["_batch_permute_and_drop_indices"](array, True, 0.2, 0.2 + 1e-9, 1)
    assert ak.num(kept).tolist() == [80, 1, 0]
    assert set(kept[0].tolist()) == set(range(80))
    assert HELPERS["_batch_permute_and_drop_indices"](
        ak.Array([[3, 1, 2]]), random_permute=False
    ).tolist() == [[1, 2, 0]]
    with pytest.raises(DataError, match="drop_rate"):
        HELPERS["_batch_permute_and_drop_indices"](array, True, 0.5, 0.1)


def test_sorting_and_gathering_bring_objects_into_order():
    array = ak.Array([[3, 1, 2], []])
    assert HELPERS["_batch_gather"](array, HELPERS["_batch_argsort"](array)).tolist() == [
        [1, 2, 3],
        [],
    ]
    assert HELPERS["_clip"](array, 2, 3).tolist() == [[3, 2, 2], []]


def test_an_array_of_another_length_is_padded_or_cut_like_lists():
    array = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert HELPERS["_pad"](array, 2).tolist() == [[1, 2], [4, 5]]
    assert HELPERS["_pad"](array, 4, -1).tolist() == [[1, 2, 3, -1], [4, 5, 6, -1]]


def test_jagged_columns_are_stacked_object_by_object():
    pairs = HELPERS["_stack"]([JAGGED, 10 * JAGGED], axis=2)
    assert pairs.tolist() == [[[1, 10], [2, 20], [3, 30]], [], [[4, 40]]]


def test_of_equally_near_points_the_first_come_first():
    # every third point of 300 lies at the origin
    support = (np.arange(300) % 3)[:, None]
    assert HELPERS["_knn"](support, np.zeros((1, 1)), 6).tolist() == [[0, 3, 6, 9, 12, 15]]


def test_neighbors_row_by_row_are_sought_among_the_first_points_for_the_first_points():
    line = np.arange(4.0)[:, None]
    # 3 is nearest to itself, but only 0 and 1 may be found
    assert HELPERS["_batch_knn"]([line], [line[::-1]], 1, maxlen_s=2).tolist() == [[[1], [1]]]
    longer = HELPERS["_batch_knn"]([line], [line[:1]], 1, maxlen_s=2, maxlen_q=3)
    assert longer.tolist() == [[[0], [1], [1]]]


def test_how_many_objects_are_dropped_does_not_follow_from_their_order():
    array = ak.unflatten(np.arange(10_000), np.full(100, 100))
    order = HELPERS["_batch_permute_indices"](array)[0].to_numpy()
    dropped = HELPERS["_batch_permute_and_drop_indices"](array, True, 0.01, 0.99)
    kept = ak.num(dropped).to_numpy()
    # the same random numbers for both would give -1; five standard deviations of 100 rows
    assert abs(np.corrcoef(np.arange(100), kept[order])[0, 1]) < 0.5
    assert len(set(kept.tolist())) > 30


def test_the_smallest_number_of_objects_stays_however_many_are_dropped():
    drop = HELPERS["_batch_permute_and_drop_indices"]
    array = ak.Array([[4, 3, 2, 1], [5]])
    assert drop(array, False, 0.5, 0.5, 3).tolist() == [[2, 1, 0], [0]]
    # as in Weaver, nothing is dropped without a smallest rate
    assert drop(array, False, 0, 0.5).tolist() == [[3, 2, 1, 0], [0]]
    with pytest.raises(DataError, match=r"drop rates 0.5 and 1.0: .*< 1"):
        drop(array, False, 0.5, 1.0)


def test_each_kind_of_four_momenta_takes_its_coordinates_in_order():
    cartesian = HELPERS["_p4_from_pxpypze"](*(ak.Array([x]) for x in (1.0, 2.0, 3.0, 4.0)))
    assert cartesian.tolist() == [{"px": 1, "py": 2, "pz": 3, "energy": 4}]
    for last in ("energy", "mass"):
        helper = HELPERS["_p4_from_ptetaphi" + last[0]]
        found = helper(*(ak.Array([x]) for x in (1.0, 2.0, 3.0, 4.0)))
        assert found.tolist() == [{"pt": 1, "eta": 2, "phi": 3, last: 4}]


def test_the_order_of_a_row_and_what_it_drops_depend_on_no_other_row():
    row = [5.0, 3.0, 8.0, 1.0, 9.0, 2.0, 7.0, 4.0]
    drop = HELPERS["_batch_permute_and_drop_indices"]
    for others in ([[1.0, 2.0, 3.0]], [[], [7.0]]):
        array = ak.Array([*others, row])
        assert HELPERS["_batch_permute_indices"](array)[-1].tolist() == (
            HELPERS["_batch_permute_indices"](ak.Array([row]))[0].tolist()
        )
        assert drop(array, True, 0.1, 0.9)[-1].tolist() == (
            drop(ak.Array([row]), True, 0.1, 0.9)[0].tolist()
        )


def test_every_order_of_three_objects_comes_as_often_as_the_others():
    array = ak.unflatten(np.arange(18_000.0), 3)
    orders = HELPERS["_batch_permute_indices"](array).to_list()
    numbers = [orders.count(list(order)) for order in permutations(range(3))]
    # 1000 of each, with a standard deviation of 29
    assert sum(numbers) == 6000
    assert min(numbers) > 870
    assert max(numbers) < 1130


def test_objects_of_several_numbers_are_ordered_by_the_size_of_their_row():
    points = ak.Array([[[1.0], [2.0, 3.0]], [[4.0], [5.0]]])
    first, second = HELPERS["_batch_permute_indices"](points).to_list()
    assert first == second
    assert sorted(first) == [0, 1]


def test_one_jagged_column_among_others_has_no_hash():
    with pytest.raises(DataError, match="one number per row"):
        HELPERS["_hash"](np.array([1, 2, 3]), JAGGED)


def test_places_are_counted_anew_among_the_objects_that_are_left():
    reindex = HELPERS["_reindex"]
    left = ak.Array([[1, 2], [], [0, 3, 7]])
    index = ak.Array([[2, 1, 0, -1, 9], [0], [7, 3]])
    assert reindex(index, left).tolist() == [[1, 0, -1, -1, -1], [-1], [2, 1]]
    # one place a row, and several for each object
    assert reindex(np.array([1, 0, 3]), left).tolist() == [0, -1, 1]
    nested = ak.Array([[[2], []], [], [[7, 1], [0]]])
    assert reindex(nested, left).tolist() == [[[1], []], [], [[2, -1], [0]]]
    assert reindex(ak.Array([[], []])[:0], left[:0]).tolist() == []
    # "none" as ATLAS and EDM4hep may write it
    none = ak.Array([[2**32 - 1, 1], [2**62], [2**63 - 1, 0]])
    assert reindex(none, left).tolist() == [[-1, 0], [-1], [-1, 0]]


@given(rows=st.lists(st.tuples(st.sets(st.integers(0, 6)), st.lists(st.integers(-2, 8)))))
def test_an_index_counted_anew_points_to_the_object_that_it_pointed_to(rows):
    left = ak.Array([sorted(places) for places, _ in rows])
    index = ak.Array([index for _, index in rows])
    expected = []
    for places, row in rows:
        order = sorted(places)
        expected.append([order.index(place) if place in places else -1 for place in row])
    assert HELPERS["_reindex"](index, left).tolist() == expected


def test_a_tree_has_ones_where_mothers_come_before_their_daughters():
    mask = HELPERS["_tree_mask"](ak.Array([[-1, 0, 0, 2], [], [-1]]))
    assert mask.tolist() == [[1, 1, 1, 1], [], [1]]


@pytest.mark.parametrize("parent", [[-1, 1], [-1, 5], [-2, 0], [-1, 0.5], [-1, 2, 0], [-1, np.nan]])
def test_a_mother_that_is_not_before_its_daughter_is_named(parent):
    node = 0 if parent[0] == -2 else 1
    match = f"row 2 of these: the mother of node {node} is "
    with pytest.raises(DataError, match=match):
        HELPERS["_tree_mask"](ak.Array([[-1.0], [], parent]))
