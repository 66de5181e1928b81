"""The type that the columns of several files have in common, and arrays of that type."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from awkward.types import from_datashape
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.formats.column_types import cast_column, common_type, empty_column

NUMBERS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


def kind(text):
    return from_datashape(text, highlevel=False)


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        ("uint32", "int32", "int64"),
        ("int32", "uint8", "int32"),
        ("uint64", "int32", "int64"),
        ("bool", "uint8", "uint8"),
        ("bool", "float32", "float32"),
        ("int16", "float32", "float32"),
        ("int32", "float32", "float64"),
        ("float32", "float64", "float64"),
        ("var * uint8", "var * int32", "var * int32"),
        ("3 * int8", "3 * int16", "3 * int16"),
        ("3 * int8", "5 * int8", "var * int8"),
        ("3 * int8", "var * int8", "var * int8"),
        ("var * unknown", "var * float32", "var * float32"),
        ("unknown", "string", "string"),
        ("var * var * uint32", "var * var * int32", "var * var * int64"),
    ],
)
def test_the_common_type_does_not_depend_on_the_order(first, second, common):
    assert str(common_type(kind(first), kind(second))) == common
    assert str(common_type(kind(second), kind(first))) == common
    assert str(common_type(kind(common), kind(first))) == common


@pytest.mark.parametrize(
    ("first", "second"),
    [("float32", "var * float32"), ("string", "int32"), ("string", "var * uint8")],
)
def test_what_is_not_the_same_thing_has_no_common_type(first, second):
    with pytest.raises(ValueError, match="no type in common"):
        common_type(kind(first), kind(second))
    with pytest.raises(ValueError, match="no type in common"):
        common_type(kind(second), kind(first))


@given(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.sampled_from(NUMBERS))
def test_three_files_have_one_type_in_any_order(a, b, c):
    types = [kind(name) for name in (a, b, c)]
    forth = common_type(common_type(types[0], types[1]), types[2])
    back = common_type(types[0], common_type(types[1], types[2]))
    # whole numbers stay whole, so that no digit is lost
    assert "float" not in str(forth)
    # int64 takes the place of uint64 once a signed type has been met
    assert str(forth) == str(back)


def test_values_stay_and_lists_keep_their_offsets():
    array = ak.values_astype(ak.Array([[1, 2], [], [255]]), "uint8")
    cast = cast_column(array, kind("var * int32"))
    assert (str(cast.type), cast.tolist()) == ("3 * var * int32", [[1, 2], [], [255]])
    assert cast.layout.offsets is array.layout.offsets
    assert cast_column(array, kind("var * uint8")) is array


def test_fixed_size_arrays_become_lists_and_empty_ones_get_a_type():
    array = ak.from_numpy(np.arange(6, dtype="int16").reshape(2, 3), regulararray=True)
    cast = cast_column(array, kind("var * int64"))
    assert (str(cast.type), cast.tolist()) == ("2 * var * int64", [[0, 1, 2], [3, 4, 5]])
    # as numpy stores it
    plain = ak.from_numpy(np.arange(6, dtype="int16").reshape(2, 3))
    assert cast_column(plain, kind("3 * int32")).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert str(cast_column(ak.Array([[], []]), kind("var * uint8")).type) == "2 * var * uint8"


@pytest.mark.parametrize(
    ("value", "stored", "wanted"),
    [(2**63, "uint64", "int64"), (2**53 + 1, "int64", "float64"), (-1, "int8", "uint8")],
)
def test_a_number_that_does_not_fit_is_an_error(value, stored, wanted):
    with pytest.raises(ValueError, match=r"fit into|too large"):
        cast_column(ak.Array(np.array([0, value], stored)), kind(wanted))


def test_the_largest_whole_number_that_a_double_has_fits():
    cast = cast_column(ak.Array(np.array([2**53, 5])), kind("float64"))
    assert cast.tolist() == [2.0**53, 5.0]


@pytest.mark.parametrize("text", ["uint8", "var * float32", "3 * int32", "string", "var * bool"])
def test_a_column_of_no_rows_has_its_type(text):
    assert str(empty_column(kind(text)).type) == f"0 * {text}"
