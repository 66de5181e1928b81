"""Sums, orders and choices of the objects of each row in a graph, by hand."""

import awkward as ak
import numpy as np

from tests.expressions.graph_runs import run_in_graph

# three rows: two objects, none, three
TABLE = {
    "pt": ak.Array([[20.0, 50.0], [], [30.0, np.nan, 10.0]]),
    "number": ak.Array([[0, 1], [], [2, 0, 1]]),
}


def found(text):
    return run_in_graph(text, TABLE).tolist()


def test_objects_are_counted_and_summed_in_each_row():
    assert found("ak.num(pt)") == [2, 0, 3]
    assert found("ak.sum(number, axis=1)") == [1, 0, 3]
    assert found("ak.any(number > 1, axis=1)") == [False, False, True]
    # all of none
    assert found("ak.all(number > 0, axis=1)") == [False, True, False]


def test_a_mean_of_no_object_is_undefined():
    first, second, third = found("ak.mean(number, axis=1)")
    assert (first, third) == (0.5, 1.0)
    assert np.isnan(second)


def test_places_in_their_row_start_at_0():
    assert found("ak.local_index(pt, axis=1)") == [[0, 1], [], [0, 1, 2]]


def test_chosen_objects_are_a_collection_of_their_own():
    assert found("number[pt > 15]") == [[0, 1], [], [2]]
    assert found("ak.num(number[pt > 15])") == [2, 0, 1]


def test_nan_comes_first_in_either_order():
    assert found("ak.argsort(pt, axis=1)") == [[0, 1], [], [1, 2, 0]]
    assert found("ak.argsort(pt, axis=1, ascending=False)") == [[1, 0], [], [1, 0, 2]]
    assert found("number[ak.argsort(pt, axis=1)]") == [[0, 1], [], [0, 1, 2]]


def test_a_row_without_objects_has_the_number_that_is_given():
    assert found("ak.fill_none(ak.firsts(number), -5)") == [0, -5, 2]


def test_lists_are_joined_row_by_row():
    assert found("ak.concatenate([number, number * 10], axis=1)") == [
        [0, 1, 0, 10],
        [],
        [2, 0, 1, 20, 0, 10],
    ]
