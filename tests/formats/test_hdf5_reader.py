"""HDF5 files: plain columns, compound tables, groups."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from weaver_tt.errors import BadFileError, DataError
from weaver_tt.formats import hdf5_reader
from weaver_tt.formats.hdf5_reader import Hdf5Reader


@pytest.fixture
def path(tmp_path):
    """4 rows: jets (4,), tracks (4, 3) with a field ``valid``, hits (4, 2) without, plain columns.

    And a list of names, which is no column.
    """
    path = str(tmp_path / "f.h5")
    jets = np.array([(10.0, 5), (20.0, 0), (30.0, 4), (40.0, 5)], [("pt", "f4"), ("flavour", "u1")])
    tracks = np.zeros((4, 3), [("d0", ">f4"), ("n", "i2"), ("valid", "?")])
    tracks["d0"] = np.arange(12).reshape(4, 3)
    tracks["n"] = 7
    tracks["valid"] = [[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 1, 1]]
    with h5py.File(path, "w") as file:
        file.create_dataset("jets", data=jets, chunks=(2,))
        file.create_dataset("tracks", data=tracks, chunks=(3, 3), compression="gzip")
        file["hits"] = np.zeros((4, 2), [("r", "f8")])
        file["plain"] = np.arange(4)
        file["grid"] = np.arange(8.0).reshape(4, 2)
        file["text"] = ["a", "b", "cc", ""]
        file.create_dataset("vector", (4,), h5py.vlen_dtype("f4"))[:] = np.array(
            [np.ones(n, "f4") for n in (2, 0, 1, 3)], object
        )
        file["classes"] = ["b", "c"]
        file["scalar"] = 3.0
    return path


def test_fields_are_columns_named_table_field_and_valid_makes_them_lists(path):
    with Hdf5Reader(path) as reader:
        assert sorted(reader.columns()) == [
            "grid",
            "hits_r",
            "jets_flavour",
            "jets_pt",
            "plain",
            "text",
            "tracks_d0",
            "tracks_n",
            "tracks_valid",
            "vector",
        ]
        got = reader.read(["jets_pt", "tracks_d0", "jets_flavour", "tracks_n"], 0, 4)
    assert [array.to_list() for array in got.values()] == [
        [10, 20, 30, 40],
        [[0, 1], [], [7], [9, 10, 11]],
        [5, 0, 4, 5],
        [[7, 7], [], [7], [7, 7, 7]],
    ]
    assert [str(array.type) for array in got.values()] == [
        "4 * float32",
        "4 * var * float32",
        "4 * uint8",
        "4 * var * int16",
    ]
    assert got["tracks_d0"].layout.offsets is got["tracks_n"].layout.offsets


def test_plain_columns_of_all_kinds(path):
    with Hdf5Reader(path) as reader:
        got = reader.read(["grid", "hits_r", "plain", "text", "vector", "tracks_valid"], 1, 3)
    assert str(got["grid"].type) == "2 * 2 * float64"
    assert str(got["hits_r"].type) == "2 * 2 * float64"
    assert [got[name].to_list() for name in ("plain", "text", "vector", "tracks_valid")] == [
        [1, 2],
        ["b", "cc"],
        [[], [1.0]],
        [[], [True]],
    ]


def test_chunks_are_the_clusters(path):
    with Hdf5Reader(path) as reader:
        assert reader.clusters(["jets_pt"]) == [0, 2, 4]
        assert reader.clusters(["jets_pt", "tracks_d0"]) == [0, 3, 4]
        assert reader.clusters(["plain"]) == [0, 4]  # stored in one piece


def test_only_the_rows_asked_for_are_read(path, monkeypatch):
    with Hdf5Reader(path) as reader:
        asked = []
        read = h5py.Dataset.__getitem__
        monkeypatch.setattr(
            h5py.Dataset,
            "__getitem__",
            lambda dataset, rows, *more: asked.append(rows) or read(dataset, rows, *more),
        )
        reader.read(["plain", "grid"], 1, 3)
        assert asked == [slice(1, 3)] * 2


def test_a_group_is_chosen_by_name_or_for_being_the_only_one(tmp_path):
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["deep/events/x"] = np.arange(3)
        file["deep/y"] = np.arange(2)
    with Hdf5Reader(str(tmp_path / "one.h5")) as reader:
        assert (reader.columns(), reader.rows()) == (["y"], 2)
    with Hdf5Reader(str(tmp_path / "one.h5"), "deep/events") as reader:
        assert (reader.columns(), reader.rows()) == (["x"], 3)
        with pytest.raises(
            DataError, match=r"one\.h5, group 'deep/events': no column 'xx'; did you mean 'x'"
        ):
            reader.read(["xx"], 0, 1)


def test_a_missing_group_names_the_nearest(tmp_path):
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["events/x"] = np.arange(3)
        file["runs/x"] = np.arange(2)
    with pytest.raises(DataError, match=r"two\.h5: no group 'event'; did you mean 'events'"):
        Hdf5Reader(str(tmp_path / "two.h5"), "event")
    with pytest.raises(
        DataError, match=r"treename is needed, the file holds 2 groups; known: events, runs"
    ):
        Hdf5Reader(str(tmp_path / "two.h5"))


def test_the_treename_of_a_yaml_made_for_root_does_not_hide_columns_at_the_top(path):
    with Hdf5Reader(path, "tree") as reader:
        assert "jets_pt" in reader


def test_an_empty_file_has_no_columns(tmp_path):
    h5py.File(tmp_path / "f.h5", "w").close()
    with pytest.raises(DataError, match="holds no data sets"):
        Hdf5Reader(str(tmp_path / "f.h5"))


def test_texts_have_their_type_also_without_rows(tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["name"] = ["a", "bc"]
    with Hdf5Reader(str(tmp_path / "f.h5")) as reader:
        assert str(reader.types(["name"])["name"]) == "string"
        assert reader.read(["name"], 0, 2)["name"].to_list() == ["a", "bc"]


def test_a_compression_that_is_not_installed_is_no_damage(tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        dataset = file.create_dataset(
            "pt", (4,), "f4", chunks=(4,), compression=32099, allow_unknown_filter=True
        )
        dataset.id.write_direct_chunk((0,), b"compressed elsewhere")
    with (
        Hdf5Reader(str(tmp_path / "f.h5")) as reader,
        pytest.raises(DataError, match=r"without a further package \(HDF5 filter 32099") as caught,
    ):
        reader.read(["pt"], 0, 4)
    assert not isinstance(caught.value, BadFileError)


def test_rows_that_a_file_only_says_it_has_take_no_memory(tmp_path):
    with h5py.File(tmp_path / "sparse.h5", "w") as file:
        file.create_dataset("pt", (10**12,), "f4", chunks=(1,))
    assert (tmp_path / "sparse.h5").stat().st_size < 10_000
    with Hdf5Reader(str(tmp_path / "sparse.h5")) as reader:
        boundaries = reader.clusters()
        assert len(boundaries) == 1_000_001
        assert boundaries[:2] == [0, 1_000_000]
        assert boundaries[-1] == reader.rows() == 10**12
        assert reader.read(["pt"], 7, 9)["pt"].to_list() == [0, 0]


def test_rows_and_chunks_of_gigabytes_are_refused_before_they_are_read(tmp_path):
    with h5py.File(tmp_path / "wide.h5", "w") as file:
        file.create_dataset("row", (3, 10**9), "f4", chunks=(1, 1000))
        file.create_dataset("chunk", (3 * 10**8,), "f4", chunks=(3 * 10**8,))
        file.create_dataset("pt", data=np.ones(3))
    reader = Hdf5Reader(str(tmp_path / "wide.h5"))
    with pytest.raises(DataError, match="column 'chunk': a chunk takes 1200000000 bytes"):
        reader.read(["chunk"], 0, 1)
    reader.close()
    with h5py.File(tmp_path / "wide.h5", "a") as file:
        del file["chunk"]
    with Hdf5Reader(str(tmp_path / "wide.h5")) as reader:
        with pytest.raises(DataError, match="column 'row': a row takes 4000000000 bytes"):
            reader.read(["row"], 0, 1)
        assert reader.read(["pt"], 0, 1)["pt"].to_list() == [1]


def test_a_table_is_the_same_however_it_is_divided_into_blocks(path, monkeypatch):
    names = ["tracks_d0", "jets_pt", "hits_r"]
    with Hdf5Reader(path) as reader:
        in_one = reader.read(names, 0, 4)
        # an entry of the tracks has 7 bytes: blocks of one row, but not of less than a chunk
        monkeypatch.setattr(hdf5_reader, "BLOCK_BYTES", 21)
        in_blocks = reader.read(names, 0, 4)
        tracks, hits = (reader._file[name] for name in ("tracks", "hits"))
        assert hdf5_reader._blocks(tracks, 0, 4) == [(0, 3), (3, 4)]
        assert hdf5_reader._blocks(tracks, 1, 3) == [(1, 3)]
        assert hdf5_reader._blocks(hits, 1, 4) == [(1, 2), (2, 3), (3, 4)]
        assert hdf5_reader._blocks(hits, 2, 2) == [(2, 2)]
    for name in names:
        assert in_blocks[name].to_list() == in_one[name].to_list()
        assert in_blocks[name].type == in_one[name].type
    assert in_one["tracks_d0"].to_list() == [[0, 1], [], [7], [9, 10, 11]]


@pytest.mark.parametrize("text", ["S3", h5py.string_dtype()])
def test_a_small_part_of_large_entries_and_entries_with_texts_are_read_by_field(tmp_path, text):
    kind = np.dtype(
        [("d0", "f4"), ("name", text), ("cells", "f8", (20,)), ("xy", "i4", (2,)), ("valid", "?")]
    )
    tracks = np.zeros((2, 2), kind)
    tracks["name"] = "a"
    tracks["d0"] = [[1, 2], [3, 4]]
    tracks["xy"] = np.arange(8).reshape(2, 2, 2)
    tracks["valid"] = [[0, 1], [1, 1]]
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["tracks"] = tracks
    with Hdf5Reader(str(tmp_path / "f.h5")) as reader:
        assert reader.read(["tracks_d0"], 0, 2)["tracks_d0"].to_list() == [[2], [3, 4]]
        assert reader.read(["tracks_d0"], 0, 1)["tracks_d0"].to_list() == [[2]]
        # each entry has an array of its own
        assert reader.read(["tracks_xy"], 0, 2)["tracks_xy"].to_list() == [
            [[2, 3]],
            [[4, 5], [6, 7]],
        ]


def test_rows_stored_without_chunks_are_read_alone(path, monkeypatch):
    asked = []
    read = Hdf5Reader._read
    monkeypatch.setattr(
        Hdf5Reader,
        "_read",
        lambda reader, names, first, last: (
            asked.append((first, last)) or read(reader, names, first, last)
        ),
    )
    with Hdf5Reader(path) as reader:
        for first in range(4):
            reader.read(["hits_r"], first, first + 1)
        # a chunk of three rows is decoded as a whole with the second of them
        for first in range(2):
            reader.read(["tracks_d0"], first, first + 1)
    assert asked == [(0, 1), (1, 2), (2, 3), (3, 4), (0, 1), (0, 3)]
