"""Parquet files: row groups, structs, nulls."""

from __future__ import annotations

import gc
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from weaver_tt.errors import BadFileError, DataError
from weaver_tt.formats.parquet_reader import ParquetReader


@pytest.fixture
def write(tmp_path):
    """Columns -> path of a parquet file with row groups of 2 rows."""

    def write(**columns):
        path = str(tmp_path / "f.parquet")
        pq.write_table(pa.table(columns), path, row_group_size=2)
        return path

    return write


def test_half_a_row_group_and_several_of_them(write):
    with ParquetReader(
        write(x=np.arange(7), jagged=[[1.5], [], [2.0, 3.0], [4.0], [], [5.0], [6.0]])
    ) as reader:
        assert reader.clusters() == [0, 2, 4, 6, 7]
        for first, last in [(0, 7), (1, 2), (1, 6), (3, 3), (6, 7)]:
            got = reader.read(["jagged", "x"], first, last)
            assert got["x"].to_list() == list(range(first, last))
            assert (
                got["jagged"].to_list()
                == [[1.5], [], [2.0, 3.0], [4.0], [], [5.0], [6.0]][first:last]
            )
            assert "?" not in str(got["jagged"].type)


@pytest.mark.parametrize(("first", "last"), [(0, 10), (5, 25), (333, 350), (990, 1000), (20, 900)])
def test_a_small_piece_of_a_large_row_group_is_all_that_is_kept(tmp_path, first, last):
    pq.write_table(
        pa.table({"x": np.arange(1000), "jagged": [[row] * (row % 3) for row in range(1000)]}),
        tmp_path / "f.parquet",
    )
    with ParquetReader(str(tmp_path / "f.parquet")) as reader:
        got = reader.read(["x", "jagged"], first, last)
        again = reader.read(
            ["x", "jagged"], first, last
        )  # by now the row group may be in memory as a whole
    assert got["x"].to_list() == again["x"].to_list() == list(range(first, last))
    assert (
        got["jagged"].to_list()
        == again["jagged"].to_list()
        == [[row] * (row % 3) for row in range(first, last)]
    )


def test_members_of_structs_are_columns_and_only_they_are_read(write):
    # older versions of pyarrow have an order of their own where members are not declared
    of_jet = pa.struct([("pt", pa.float64()), ("id", pa.int64())])
    of_event = pa.struct([("run", pa.int64()), ("lumi", pa.int64())])
    jets = [[{"pt": 1.0, "id": 3}], [], [{"pt": 2.0, "id": 4}, {"pt": 3.0, "id": 5}]]
    with ParquetReader(
        write(
            jets=pa.array(jets, pa.list_(of_jet)),
            event=pa.array([{"run": 1, "lumi": 2}] * 3, of_event),
            **{"dotted.name": [7, 8, 9]},
        )
    ) as reader:
        assert reader.columns() == ["jets.pt", "jets.id", "event.run", "event.lumi", "dotted.name"]
        got = reader.read(["jets_pt", "jets.id", "run", "dotted.name"], 1, 3)
    assert [array.to_list() for array in got.values()] == [
        [[], [2.0, 3.0]],
        [[], [4, 5]],
        [1, 1],
        [8, 9],
    ]
    assert got["jets_pt"].layout.offsets is got["jets.id"].layout.offsets


def test_fixed_sizes_stay_regular(write):
    grid = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(12.0)), 3)
    with ParquetReader(write(grid=grid)) as reader:
        assert str(reader.read(["grid"], 1, 3)["grid"].type) == "2 * 3 * float64"


def test_null_numbers_are_nan_at_any_depth(write):
    with ParquetReader(write(x=[1.0, None, 3.0], jagged=[[1.0, None], [], [None]])) as reader:
        got = reader.read(["x", "jagged"], 0, 3)
    assert [math.isnan(x) for x in got["x"].to_list()] == [False, True, False]
    assert [[math.isnan(x) for x in row] for row in got["jagged"].to_list()] == [
        [False, True],
        [],
        [True],
    ]


def test_other_nulls_are_an_error_that_names_the_column_but_no_bad_file(write):
    with ParquetReader(write(n=[1, None, 3], lists=[[1.0], None, []])) as reader:
        for name in ("n", "lists"):
            with pytest.raises(DataError, match=f"column '{name}' has 1 null entries") as caught:
                reader.read([name], 0, 2)
            assert not isinstance(caught.value, BadFileError)
        assert reader.read(["n"], 2, 3)["n"].to_list() == [3]


def test_strings_and_booleans_are_left_alone(write):
    with ParquetReader(write(s=["a", "bc", ""], b=[True, False, True])) as reader:
        got = reader.read(["s", "b"], 0, 3)
    assert [array.to_list() for array in got.values()] == [["a", "bc", ""], [True, False, True]]


def test_types_are_told_from_the_schema_as_they_are_read(write):
    columns = {
        "flag": pa.array([True, False]),
        "byte": pa.array([1, None], pa.int8()).fill_null(2),
        "number": pa.array([1.0, None], pa.float32()),
        "lists": pa.array([[1], []], pa.list_(pa.uint16())),
        "large": pa.array([[[1]], [[]]], pa.large_list(pa.list_(pa.int64()))),
        "array": pa.array([[1, 2], [3, 4]], pa.list_(pa.int16(), 2)),
        "text": pa.array(["a", "b"]),
        "texts": pa.array([["a"], []]),
        "jet": pa.array([{"pt": 1.0, "id": 3}, {"pt": 2.0, "id": 4}]),
    }
    with ParquetReader(write(**columns)) as reader:
        types = reader.types(reader.columns())
        rows = reader.read(reader.columns(), 0, 2)
    assert {name: str(kind) for name, kind in types.items()} == {
        name: str(array.type.content) for name, array in rows.items()
    }
    assert str(types["array"]) == "2 * int16"
    assert str(types["jet.id"]) == "int64"


def test_a_closed_file_leaves_no_metadata_behind_until_python_looks_for_cycles(write):
    def metadata_alive():
        # the class itself is looked at: isinstance asks objects of all kinds
        return sum(type(item) is pq.FileMetaData for item in gc.get_objects())

    path = write(x=[1.0, 2.0, 3.0], lists=[[1.0], [], [2.0]])
    gc.collect()
    gc.disable()
    try:
        before = metadata_alive()
        with ParquetReader(path) as reader:
            reader.read(["x", "lists"], 0, 3)
            assert metadata_alive() == before + 1
        del reader
        assert metadata_alive() == before
    finally:
        gc.enable()


def test_lists_and_members_have_their_columns_also_without_row_groups(tmp_path):
    schema = pa.schema([("x", pa.float32()), ("lists", pa.list_(pa.int16()))])
    path = str(tmp_path / "empty.parquet")
    with pq.ParquetWriter(path, schema):
        pass
    with ParquetReader(path) as reader:
        assert (reader.columns(), reader.rows()) == (["x", "lists"], 0)
        assert reader.read(["lists"], 0, 0)["lists"].to_list() == []
