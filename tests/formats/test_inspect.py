"""`weaver-tt inspect` of data files: trees, columns and their types."""

from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot

from weaver_tt.errors import DataError
from weaver_tt.formats.inspect import describe_data


def write_tree(file: uproot.WritableDirectory, name: str, rows: int) -> None:
    pt = ak.unflatten(np.arange(2.0 * rows, dtype=np.float32), np.full(rows, 2))
    # a TTree, which keeps a counter of Jet_pt
    tree = file.mktree(name, {"met": "f8", "run": "u4", "Jet_pt": "var * float32"})
    tree.extend({"met": np.ones(rows), "run": np.ones(rows, np.uint32), "Jet_pt": pt})


def test_columns_are_listed_with_the_types_of_a_row(tmp_path: Path) -> None:
    path = tmp_path / "events.root"
    with uproot.recreate(path) as file:
        write_tree(file, "Events", 3)
    head, *lines = describe_data(str(path))
    size = f"{path.stat().st_size / 1000:.3g} kB"
    assert head == f"{path}, tree 'Events': {size}, 3 rows, 4 columns"
    assert lines == [
        "a value for each row",
        "  met      float64",
        "  nJet_pt  int32",
        "  run      uint32",
        "lists, of any length (var) or a fixed one",
        "  Jet_pt  var * float32",
    ]


def test_columns_stand_in_the_order_of_the_alphabet(tmp_path: Path) -> None:
    path = str(tmp_path / "jets.parquet")
    ak.to_parquet(ak.Array({name: [1.0] for name in ("pt", "Eta", "area")}), path)
    lines = list(describe_data(path))
    assert [line.split()[0] for line in lines[2:]] == ["area", "Eta", "pt"]


def test_of_several_trees_each_is_named_until_one_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "events.root"
    with uproot.recreate(path) as file:
        write_tree(file, "Events", 3)
        write_tree(file, "more/Runs", 1)
    size = f"{path.stat().st_size / 1000:.3g} kB"
    assert list(describe_data(str(path))) == [
        f"{path}: {size}, 2 trees",
        "  Events: 3 rows, 4 columns",
        "  more/Runs: 1 row, 4 columns",
        "columns of one: --treename NAME",
    ]
    assert "1 row, 4 columns" in next(describe_data(str(path), "more/Runs"))
    with pytest.raises(DataError, match="did you mean 'Events'"):
        list(describe_data(str(path), "Event"))


def test_a_column_that_cannot_be_read_is_said_beside_the_others(tmp_path: Path) -> None:
    path = tmp_path / "jets.h5"
    with h5py.File(path, "w") as file:
        file["pt"] = np.ones(4, np.float32)
        file.create_dataset("link", (4,), dtype=h5py.ref_dtype)
    lines = list(describe_data(str(path)))
    assert lines[1:4] == ["a value for each row", "  pt  float32", "cannot be read"]
    assert lines[4].startswith("  link  its type object cannot be read")


def test_what_is_no_data_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "jets.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"jets\.parquet: the file cannot be read"):
        list(describe_data(str(tmp_path / "jets.parquet")))
    for name in ("none.parquet", "none.root", "none.h5"):
        with pytest.raises(DataError, match=f"{name}: no such file"):
            list(describe_data(str(tmp_path / name)))
