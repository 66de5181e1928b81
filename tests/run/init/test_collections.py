"""Columns that belong together, and how long their lists are made."""

import numpy as np

from weaver_tt.run.init.collections import find_collections, padded_length
from weaver_tt.run.init.columns import Column


def column(name, counts):
    return Column(name, counts, 1, 0.0, 0.0, 0.5, 1.0, None, None)


def test_few_objects_lie_beyond_the_length():
    # 99 rows of 2 and one of 6: beyond a length of 3 lie 3 of 204 objects, beyond 4 two
    counts = np.array([2] * 99 + [6])
    assert padded_length(counts) == (4, 2 / 204)


def test_a_long_length_is_a_multiple_of_four():
    assert padded_length(np.array([9, 10])) == (12, 0.0)


def test_rows_without_objects_have_a_length_of_one():
    assert padded_length(np.zeros(3, dtype=np.int64)) == (1, 0.0)


def test_columns_of_equal_counts_and_names_are_a_collection():
    ours, others = np.array([1, 2]), np.array([2, 1])
    columns = [column(name, ours) for name in ("part_px", "part_py", "sv_m", "sv_pt", "energy")]
    columns += [column(name, others) for name in ("track_d0", "track_z0", "hits")]
    found = {}
    for collection in find_collections(columns):
        found[collection.name] = [part.name for part in collection.columns]
    assert found == {
        "part": ["part_px", "part_py"],
        "sv": ["sv_m", "sv_pt"],
        "track": ["track_d0", "track_z0"],
        "energy": ["energy"],
        "hits": ["hits"],
    }


def test_collections_that_begin_alike_have_names_of_their_own():
    # EDM4hep of ILD: tracks, the same refitted, and two more of one name
    names = [
        ("Tracks_chi2", "Tracks_ndf"),
        ("Tracks_Refitted_chi2", "Tracks_Refitted_ndf"),
        ("Tracks_a", "Tracks_b"),
        ("Tracks_c", "Tracks_d"),
    ]
    columns = []
    for number, of_one in enumerate(names):
        counts = np.array([number + 1, 2])
        columns += [column(name, counts) for name in of_one]
    found = [collection.name for collection in find_collections(columns)]
    assert found == ["Tracks", "Tracks_Refitted", "Tracks_2", "Tracks_3"]


def test_lists_without_a_common_name_are_one_collection_by_their_counts():
    counts = np.array([1, 2])
    (found,) = find_collections([column(name, counts) for name in ("px", "py", "charge")])
    assert found.name == "objects"
    assert len(found.columns) == 3
