"""Columns in any form become values and offsets; what does not belong together is refused."""

from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.deploy.flat_columns import Collection, common_rows, take_apart
from weaver_tt.errors import DataError

LISTS = [[1.0, 2.0], [], [3.0]]


@pytest.mark.parametrize(
    "column",
    [
        LISTS,
        ak.Array(LISTS),
        # a range of the rows of a larger array
        ak.Array([[7.0], *LISTS, [8.0, 9.0]])[1:4],
        (np.array([1.0, 2.0, 3.0]), [0, 2, 2, 3]),
        # values of other rows before and behind
        (np.array([7.0, 1.0, 2.0, 3.0, 8.0]), np.array([1, 3, 3, 4], np.uint32)),
    ],
)
def test_lists_in_any_form_are_values_and_offsets_from_zero(column: Any) -> None:
    values, offsets = take_apart("pt", column)
    assert values.tolist() == [1, 2, 3]
    assert offsets is not None
    assert offsets.tolist() == [0, 2, 2, 3]
    assert offsets.dtype == np.int64


def test_a_table_of_numpy_is_lists_of_the_same_length() -> None:
    values, offsets = take_apart("pt", np.arange(6).reshape(3, 2))
    assert values.tolist() == [0, 1, 2, 3, 4, 5]
    assert offsets is not None
    assert offsets.tolist() == [0, 2, 4, 6]


def test_numbers_of_rows_have_no_offsets() -> None:
    values, offsets = take_apart("met", [1, 2])
    assert (values.tolist(), offsets) == ([1, 2], None)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (ak.Array([["a", "b"], ["c"]]), "column 'pt': expected numbers"),
        (ak.Array([[[1.0]], [[2.0]]]), "its type is 2 * var * var * float64"),
        (ak.Array([[1.0, None], [3.0]]), "column 'pt': expected numbers"),
        ((np.ones(3), [0, 2, 4]), "end at 4, beyond its 3 values"),
        ((np.ones(3), [0, 3, 2]), "its offsets decrease"),
        ((np.ones(3), [-1, 2]), "or are negative"),
        ((np.ones(3), [0.0, 2.0, 3.0]), "rows + 1 whole numbers"),
        ((np.ones(3), []), "rows + 1 whole numbers"),
    ],
)
def test_what_is_no_list_of_numbers_is_refused(column: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        take_apart("pt", column)
    assert words in str(caught.value)


def collection_of(has_lists: bool | None, **columns: Any) -> Collection:
    found = Collection("input 'jets'", has_lists)
    for name, column in columns.items():
        found.add(name, column)
    return found


def test_the_first_column_says_what_the_others_are_where_both_are_possible() -> None:
    with pytest.raises(DataError, match="'eta' of input 'jets': has lists; expected one number"):
        collection_of(None, pt=[1, 2, 3], eta=LISTS)
    with pytest.raises(DataError, match="'eta' of input 'jets': has one number for each row"):
        collection_of(None, pt=LISTS, eta=[1, 2, 3])


def test_different_lists_are_refused_with_the_row() -> None:
    with pytest.raises(DataError, match=r"'eta' .* has 2 values in row 2, others have 1"):
        collection_of(True, pt=LISTS, eta=[[1, 2], [], [3, 4]])


def test_collections_have_the_same_rows() -> None:
    jets = collection_of(True, pt=LISTS)
    of_rows = collection_of(False, met=[1, 2, 3])
    nothing = collection_of(None)
    assert common_rows([jets, nothing, of_rows]) == 3
    assert common_rows([nothing]) == 0
    with pytest.raises(DataError, match="different numbers of rows: pt: 3, met: 2"):
        common_rows([jets, collection_of(False, met=[1, 2])])


def test_values_of_slots_become_those_of_objects() -> None:
    jets = collection_of(True, pt=[[9], [1, 2, 3], [], [4]])
    padded = np.array([[10, 20], [0, 0], [40, 0]], np.float32)
    found = jets.without_padding(padded, 1, 4)
    # the third object of the first row has no slot
    assert found.tolist() == [10, 20, pytest.approx(np.nan, nan_ok=True), 40]


@given(st.lists(st.lists(st.floats(-10, 10), max_size=4), max_size=6), st.data())
def test_padding_any_rows_and_taking_it_away_gives_the_rows(
    rows: list[list[float]], data: st.DataObject
) -> None:
    jets = collection_of(True, pt=ak.values_astype(ak.Array([*rows, []]), np.float32))
    first = data.draw(st.integers(0, len(rows)))
    last = data.draw(st.integers(first, len(rows)))
    padded = np.full((last - first, 4), -99, np.float32)
    for row, values in enumerate(rows[first:last]):
        padded[row, : len(values)] = values
    flat = jets.without_padding(padded, first, last)
    assert flat.tolist() == jets.values["pt"][jets.range_of(first, last)].tolist()  # type: ignore[index]
    assert ak.to_list(jets.as_lists(jets.values["pt"]))[:-1] == [  # type: ignore[arg-type]
        np.array(row, np.float32).tolist() for row in rows
    ]
