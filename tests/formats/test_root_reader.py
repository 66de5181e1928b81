"""Which tree of a ROOT file is read."""

from __future__ import annotations

import numpy as np
import pytest
import uproot

from weaver_tt.errors import DataError
from weaver_tt.formats.rntuple_reader import RNTupleReader
from weaver_tt.formats.root_reader import open_root
from weaver_tt.formats.ttree_reader import TTreeReader


@pytest.fixture
def path(tmp_path):
    """A file with the TTree Events, the TTree folder/Runs and the RNTuple New."""
    path = str(tmp_path / "f.root")
    with uproot.recreate(path) as file:
        file.mktree("Events", {"x": np.arange(3)})
        file.mktree("folder/Runs", {"x": np.arange(1)})
        file.mkrntuple("New", {"x": np.arange(5)})
    return path


@pytest.mark.parametrize(
    ("name", "kind", "rows"),
    [
        ("Events", TTreeReader, 3),
        ("Events;1", TTreeReader, 3),
        ("folder/Runs", TTreeReader, 1),
        ("New", RNTupleReader, 5),
    ],
)
def test_a_tree_is_opened_by_name(path, name, kind, rows):
    with open_root(path, name) as reader:
        assert type(reader) is kind
        assert reader.rows() == rows


def test_of_several_trees_one_must_be_named(path):
    with pytest.raises(
        DataError,
        match=r"f\.root: treename is needed, the file holds 3 trees; "
        "known: Events, New, folder/Runs",
    ):
        open_root(path)


def test_a_missing_tree_names_the_nearest(path):
    with pytest.raises(DataError, match=r"f\.root: no tree 'events'; did you mean 'Events'\?"):
        open_root(path, "events")


@pytest.mark.parametrize("make", ["mktree", "mkrntuple"])
def test_the_only_tree_needs_no_name(tmp_path, make):
    with uproot.recreate(tmp_path / "f.root") as file:
        getattr(file, make)("whatever", {"x": np.arange(4)})
        file["histogram"] = np.histogram([1.0, 2.0])
    with open_root(str(tmp_path / "f.root")) as reader:
        assert reader.read(["x"], 1, 3)["x"].to_list() == [1, 2]


def test_several_cycles_are_one_tree_and_the_last_counts(tmp_path):
    path = str(tmp_path / "f.root")
    with uproot.recreate(path) as file:
        file.mktree("tree", {"x": np.arange(4)})
        file.mktree("tree", {"x": np.arange(6)})
    with uproot.open(path) as file:
        assert set(file.keys()) == {"tree;1", "tree;2"}
    with open_root(path) as reader:
        assert reader.rows() == 6


def test_a_file_without_trees_says_so(tmp_path):
    with uproot.recreate(tmp_path / "f.root") as file:
        file["histogram"] = np.histogram([1.0, 2.0])
    with pytest.raises(DataError, match="the file holds no TTree or RNTuple"):
        open_root(str(tmp_path / "f.root"))
