"""Differences of unsigned numbers of 64 bits, through expressions."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from weaver_tt.errors import DataError
from weaver_tt.expressions.evaluate import evaluate, parse_expression

LARGE = 2**64 - 3


def value(text, **columns):
    return evaluate(parse_expression(text, "test"), columns)


@pytest.mark.parametrize("text", ["n - 4", "np.subtract(n, 4)", "-(4 - n)", "np.negative(4 - n)"])
def test_below_zero_is_negative_whatever_else_is_in_the_file(text):
    n = np.array([0, 3, 5], np.uint64)
    found = value(text, n=n)
    assert (found.dtype, found.tolist()) == (np.int64, [-4, -1, 1])
    # row by row the same: a type that follows the values would depend on other rows
    for row in range(3):
        assert value(text, n=n[row : row + 1]).tolist() == [found[row]]


def test_objects_of_unsigned_64_bits_have_a_sign_too():
    pair = ak.unflatten(np.array([5, 0, 5], np.uint64), [2, 0, 1])
    found = value("x - 7", x=pair)
    assert found.tolist() == [[-2, -7], [], [-2]]


def test_large_event_numbers_are_exact_where_they_stay_unsigned():
    event = np.array([LARGE, 7], np.uint64)
    assert value("event % 5", event=event).tolist() == [LARGE % 5, 2]
    assert value("event + 1", event=event).tolist() == [LARGE + 1, 8]
    assert value("event - event + 1", event=event).tolist() == [1, 1]


@pytest.mark.parametrize("text", ["event - 1", "0 - event", "-event"])
def test_a_difference_beyond_the_range_is_an_error_and_no_other_number(text):
    with pytest.raises(DataError, match=r"beyond 2\^63"):
        value(text, event=np.array([7, LARGE], np.uint64))


def test_the_most_negative_number_still_fits():
    assert value("-x", x=np.array([2**63, 1], np.uint64)).tolist() == [-(2**63), -1]


def test_short_integers_in_lists_of_lists_are_computed_with_64_bits_as_all_others():
    deep = ak.values_astype(ak.Array([[[1, 200], []], []]), np.uint8)
    assert value("x - 5", x=deep).tolist() == [[[-4, 195], []], []]
    assert value("x * 2", x=deep).tolist() == [[[2, 400], []], []]
