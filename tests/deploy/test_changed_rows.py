"""Rows are changed where the file has them, in the way that is stated."""

import awkward as ak
import numpy as np

from weaver_tt.deploy.changed_rows import Changes, collections_of, real_rows, without_objects

RAW = {
    "pt": ak.Array([[10.0, 20.0], [], [30.0, 40.0, 50.0]]),
    "charge": ak.values_astype(ak.Array([[1, -1], [], [1, 1, -1]]), np.int8),
    "sv_mass": ak.values_astype(ak.Array([[1.0], [2.0], []]), np.float32),
    "met": ak.Array([1.0, 2.0, 3.0]),
    "run": ak.values_astype(ak.Array([1, 2, 3]), np.uint32),
}
CHANGES = Changes(RAW, [0, 1, 2], longest=3)


def test_columns_with_equal_counts_are_of_one_collection():
    assert collections_of(RAW) == [["pt", "charge"], ["sv_mass"]]


def test_an_object_that_comes_twice_does_so_in_all_of_its_columns():
    row = CHANGES.twice(0).columns
    assert row["pt"].tolist() == [[10, 10, 20]]
    assert row["charge"].tolist() == [[1, 1, -1]]
    assert row["sv_mass"].tolist() == [[1]]
    # the first row from the second on that has a vertex
    assert CHANGES.twice(1).columns["sv_mass"].tolist() == [[2, 2]]


def test_an_over_long_row_has_more_objects_than_any_input_takes():
    row = CHANGES.over_long(0)
    assert row.columns["pt"].tolist() == [[10, 20, 30, 40, 50]]
    assert row.change == "objects of 3 rows in pt, charge: 5"
    assert str(row.columns["charge"].type) == "1 * var * int8"


def test_objects_that_come_several_times_are_said_where_there_are_too_few():
    """More than ten of rows with two, none and three: 2 + 0 + 3 + 2 + 0 + 3 + 2 are twelve."""
    few = Changes(RAW, [0, 1, 2], longest=10).over_long(0)
    assert few.change == "objects of 7 rows in pt, charge: 12, some of them several times"
    assert few.has_twins
    assert not CHANGES.over_long(0).has_twins


def test_each_column_of_floating_point_numbers_has_its_turn():
    found = [CHANGES.nan(i).change for i in range(3)]
    assert found == [
        "pt of object 0 is nan",
        "sv_mass of object 0 is nan",
        "met is nan",
    ]
    assert np.isnan(CHANGES.nan(0).columns["pt"][0]).tolist() == [True, False]
    assert str(CHANGES.nan(1).columns["sv_mass"].type) == "1 * var * float32"
    assert CHANGES.infinity(1).columns["sv_mass"].tolist() == [[-np.inf]]


def test_a_sentinel_stands_only_where_its_type_has_it():
    """-999 is no int8 and no unsigned number."""
    changed = {CHANGES.sentinel(i).change.split()[0] for i in range(9)}
    assert changed == {"pt", "sv_mass", "met"}


def test_what_cannot_be_changed_gives_no_row():
    only = Changes({"run": RAW["run"]}, [0, 1, 2], longest=0)
    assert [maker(0) for maker in only.makers.values()] == [None] * 5


def test_masks_are_not_changed_as_they_measure_nothing():
    masked = Changes({"pf_mask": ak.Array([[1.0], [1.0]])}, [0, 1], longest=1)
    assert masked.nan(0) is None


def test_a_row_without_objects_keeps_the_numbers_of_the_event():
    row = without_objects(RAW, 2).columns
    assert {name: values.tolist() for name, values in row.items()} == {
        "pt": [[]],
        "charge": [[]],
        "sv_mass": [[]],
        "met": [3.0],
        "run": [3],
    }


def test_real_rows_are_spread_over_all():
    raw = {"met": ak.Array(np.arange(191.0))}
    met = [row.columns["met"][0] for row in real_rows(raw, list(range(191)))]
    assert met == [10.0 * i for i in range(20)]
