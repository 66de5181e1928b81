"""Rows that go through a network together need similarly many slots, and few in all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.deploy.similar_rows import similar_rows


@pytest.mark.parametrize(
    ("lengths", "most_rows", "expected"),
    [
        ([], 9, []),
        ([7], 9, [(0, 1)]),
        # two more slots are nothing, three are too many
        ([1, 2, 3, 4, 6, 9], 9, [(0, 3), (3, 5), (5, 6)]),
        # a sixteenth of 64, where 64 slots of four rows do not fit into 192
        ([60, 60, 64, 64], 9, [(0, 3), (3, 4)]),
        ([59, 64], 9, [(0, 1), (1, 2)]),
        # one row may have more
        ([300, 300], 9, [(0, 1), (1, 2)]),
        ([1, 1, 1, 1, 1], 2, [(0, 2), (2, 4), (4, 5)]),
    ],
)
def test_batches_end_where_padding_or_size_would_be_too_large(
    lengths: list[int], most_rows: int, expected: list[tuple[int, int]]
) -> None:
    assert list(similar_rows(lengths, most_rows)) == expected


@given(st.lists(st.integers(1, 400), max_size=60), st.integers(1, 20))
def test_every_row_is_in_one_batch_that_is_small_enough(lengths: list[int], most_rows: int) -> None:
    lengths.sort()
    ranges = list(similar_rows(lengths, most_rows))
    assert [row for first, last in ranges for row in range(first, last)] == list(
        range(len(lengths))
    )
    for first, last in ranges:
        number = last - first
        assert number <= most_rows
        assert number == 1 or number * lengths[last - 1] <= 192
