"""Columns of the selected rows of files, as one table."""

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot

from weaver_tt.config.load import from_mapping
from weaver_tt.data import selected_table
from weaver_tt.data.selected_table import read_table
from weaver_tt.errors import ConfigError, DataError

YAML = {
    "selection": "jet_mass > 3",
    "test_time_selection": "jet_mass > 5",
    "file_magic": {"is_second": {"second": 1}},
    "new_variables": {"pt_twice": "part_pt * 2", "unused": "jet_mass + 1"},
    "inputs": {"particles": {"length": 4, "vars": ["pt_twice"]}},
    "labels": {"type": "simple", "value": ["is_a", "is_b"]},
    "observers": ["jet_mass"],
}


@pytest.fixture
def files(tmp_path):
    """Two files of ten rows, in which row n has mass n and n % 3 particles; labels in the first."""
    rows = np.arange(10)
    counts = rows % 3
    columns = {
        "jet_mass": rows.astype(np.float32),
        "part_pt": ak.unflatten(np.arange(counts.sum(), dtype=np.float32), counts),
    }
    labels = {"is_a": (rows % 2).astype(np.int32), "is_b": (1 - rows % 2).astype(np.int32)}
    for name, content in {"first": columns | labels, "second": columns}.items():
        kinds = {key: ak.type(ak.Array(value)).content for key, value in content.items()}
        with uproot.recreate(tmp_path / f"{name}.root") as file:
            tree = file.mktree("tree", kinds, counter_name=lambda key: "n" + key)
            tree.extend(content)
    return [tmp_path / "first.root", tmp_path / "second.root"]


@pytest.fixture
def config():
    return from_mapping(YAML, "d.yaml")


def test_selected_rows_have_columns_and_new_variables(config, files):
    table = read_table(config, files[0], ["jet_mass", "pt_twice", "unused", "is_second"])
    assert table.fields == ["jet_mass", "pt_twice", "unused", "is_second"]
    assert table.jet_mass.tolist() == [6, 7, 8, 9]
    assert ak.num(table.pt_twice).tolist() == [0, 1, 2, 0]
    assert table.pt_twice[1].tolist() == [12]  # rows 0 to 5 have 0 + 1 + 2 + 0 + 1 + 2 particles
    assert table.unused.tolist() == [7, 8, 9, 10]
    assert table.is_second.tolist() == [0, 0, 0, 0]


def test_the_purpose_chooses_the_selection(config, files):
    assert len(read_table(config, files[0], ["jet_mass"], purpose="train")) == 6
    few = read_table(config, files[0], ["jet_mass"], extra_selection="jet_mass < 8")
    assert few.jet_mass.tolist() == [6, 7]


def test_without_a_list_all_that_the_yaml_uses_is_read(config, files):
    table = read_table(config, files[0])
    assert {"part_pt", "pt_twice", "jet_mass", "is_a", "is_b"} == set(table.fields)
    # the second file has no labels, which prediction does not need
    both = read_table(config, [f"a:{files[0]}", f"b:{files[1]}"])
    assert {"part_pt", "pt_twice", "jet_mass"} == set(both.fields)
    assert len(both) == 8


def test_files_follow_each_other_and_reading_ends_where_asked(config, files, monkeypatch):
    monkeypatch.setattr(selected_table, "ROWS_AT_ONCE", 4)
    whole = read_table(config, files, ["jet_mass", "is_second"])
    assert whole.jet_mass.tolist() == [6, 7, 8, 9, 6, 7, 8, 9]
    assert whole.is_second.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    for rows in (1, 2, 3, 5, 9):
        part = read_table(config, files, ["jet_mass", "is_second"], rows=rows)
        assert part.tolist() == whole[:rows].tolist()


def test_no_row_that_passes_gives_no_rows(config, files):
    table = read_table(config, files[0], ["pt_twice"], extra_selection="jet_mass > 99")
    assert (len(table), table.fields) == (0, ["pt_twice"])


def test_a_column_that_is_not_there_is_named(config, files):
    with pytest.raises(DataError, match="jet_mas"):
        read_table(config, files, ["jet_mas"])
    config = from_mapping(
        {key: YAML[key] for key in ("file_magic", "inputs")}
        | {"new_variables": {"pt_twice": "part_pt * 2"}},
        "d.yaml",
    )
    with pytest.raises(ConfigError, match=r"none of .* is made of a file's columns"):
        read_table(config, files, ["is_second"])


def test_an_own_function_that_looks_across_rows_is_named(files, tmp_path):
    own = tmp_path / "own.py"
    own.write_text("def above_mean(x):\n    return x > sum(x) / len(x)\n")
    values = YAML | {"new_variables": YAML["new_variables"] | {"large": "above_mean(jet_mass)"}}
    config = from_mapping(values, "d.yaml", custom_functions=str(own))
    with pytest.raises(DataError, match=r"d.yaml: new variable 'large': .*depends on the other"):
        read_table(config, files[0], ["large"])


def test_a_column_has_one_type_in_files_of_all_formats(tmp_path):
    kinds = {"a.root": "uint32", "b.parquet": "int16", "c.h5": "uint8", "d.root": "int32"}
    # of uint64 and int64, numpy makes doubles, which have not all whole numbers
    kinds |= {"e.root": "uint64", "f.root": "int64"}
    for name, kind in kinds.items():
        large = 2**60 + 1 if kind.endswith("64") else 1
        columns = {"n": np.array([large, 3], kind), "met": np.ones(2, "float32")}
        if name.endswith("h5"):
            with h5py.File(tmp_path / name, "w") as file:
                file.update(columns)
        elif name.endswith("parquet"):
            ak.to_parquet(ak.Array(columns), tmp_path / name)
        else:
            with uproot.recreate(tmp_path / name) as file:
                make = file.mkrntuple if name == "d.root" else file.mktree
                make("tree", columns)
    config = from_mapping(
        {
            "new_variables": {"less": "n - 2"},
            "inputs": {"event": {"length": None, "vars": ["met"]}},
        }
    )
    for order in (list(kinds), list(kinds)[::-1]):
        table = read_table(config, [tmp_path / name for name in order], ["n", "less"])
        large = [1, 1, 1, 1, 2**60 + 1, 2**60 + 1]
        if order != list(kinds):
            large = large[::-1]
        assert table.n.tolist()[::2] == large
        assert table.n.tolist()[1::2] == [3] * 6
        assert table.less.tolist()[::2] == [number - 2 for number in large]
        assert str(table.n.type) == "12 * int64"
