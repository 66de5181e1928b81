"""Entries are rows, or the objects of rows with what is known of their row."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.applications.density_ratio.entries import EntrySources, random_half, read_entries
from weaver_tt.errors import DataError

JETS = {"jet_pt": [[30.0, 20.0], [], [50.0]], "met": [1.0, 2.0, 3.0], "other": [[1.0], [], [2.0]]}


@pytest.fixture
def path(tmp_path):
    file = str(tmp_path / "jets.parquet")
    ak.to_parquet(ak.Array(JETS), file)
    return file


def test_the_first_role_makes_entries_and_rows_are_repeated_for_their_objects(path):
    sources = EntrySources({"variable": "jet_pt / 10", "weight": "met"})
    found = read_entries([path], sources, None)
    assert found["variable"].tolist() == [3.0, 2.0, 5.0]
    # the second row has no jet
    assert found["weight"].tolist() == [1.0, 1.0, 3.0]
    assert found.row.tolist() == [0, 0, 2]
    assert len(found) == 3
    assert found.take(found["variable"] > 2).row.tolist() == [0, 2]


def test_rows_of_several_files_are_counted_on(path):
    found = read_entries([path, path], EntrySources({"weight": "met"}), None)
    assert found.row.tolist() == [0, 1, 2, 3, 4, 5]
    assert found["weight"].tolist() == [1, 2, 3, 1, 2, 3]


def test_lists_of_other_lengths_are_refused_with_file_and_role(path):
    sources = EntrySources({"variable": "jet_pt", "weight": "other * 2"})
    message = r"jets.parquet.*, rows from 0: 'other \* 2' \(weight\) has another number of objects"
    with pytest.raises(DataError, match=message):
        read_entries([path], sources, None)
    with pytest.raises(DataError, match=r"'jet_pt' .*must give one number for each row"):
        read_entries([path], EntrySources({"weight": "met", "jet_pt": "jet_pt"}), None)


def test_objects_of_a_row_are_in_the_same_half(path):
    row = np.repeat(np.arange(1000), 3)
    half = random_half(row)
    assert (half.reshape(1000, 3).sum(1) % 3 == 0).all()
    # a binomial of 1,000 rows has a deviation of 16
    assert abs(half[::3].sum() - 500) < 64
    assert not np.array_equal(half, random_half(row, seed=1))
