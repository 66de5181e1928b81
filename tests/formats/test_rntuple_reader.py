"""RNTuples."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from weaver_tt.formats.root_reader import open_root

REAL = Path(__file__).parents[2].parent / "shared" / "data"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the folder of real files is not here")


@pytest.fixture
def path(tmp_path):
    """Clusters of 3 and 2 rows: numbers, strings, nested lists, fixed sizes, a list of records."""
    path = str(tmp_path / "f.root")
    rows = {
        "x": np.arange(5),
        "name": ak.Array(["a", "bb", "", "d", "eee"]),
        "nested": ak.Array([[[1.0], []], [], [[2.0, 3.0]], [[4.0]], [[], [5.0]]]),
        "jets": ak.Array(
            [
                [{"pt": 1.0, "n": 1}],
                [],
                [{"pt": 2.0, "n": 2}, {"pt": 3.0, "n": 3}],
                [],
                [{"pt": 4.0, "n": 4}],
            ]
        ),
    }
    with uproot.recreate(path) as file:
        tree = file.mkrntuple("tree", {name: values[:3] for name, values in rows.items()})
        tree.extend({name: values[3:] for name, values in rows.items()})
    return path


def test_columns_are_fields_and_members_of_lists_of_records(path):
    with open_root(path) as reader:
        assert sorted(reader.columns()) == ["jets.n", "jets.pt", "name", "nested", "x"]
        assert reader.clusters() == [0, 3, 5]
        got = reader.read(["x", "name", "nested", "jets_pt", "jets.n"], 2, 5)
    assert {name: array.to_list() for name, array in got.items()} == {
        "x": [2, 3, 4],
        "name": ["", "d", "eee"],
        "nested": [[[2.0, 3.0]], [[4.0]], [[], [5.0]]],
        "jets_pt": [[2.0, 3.0], [], [4.0]],
        "jets.n": [[2, 3], [], [4]],
    }
    assert got["jets_pt"].layout.offsets is got["jets.n"].layout.offsets


def test_a_read_decodes_only_the_clusters_it_needs_and_shared_offsets_once(path, monkeypatch):
    with open_root(path) as reader:
        asked = []
        decode = reader._ntuple.read_cluster_range
        monkeypatch.setattr(
            reader._ntuple,
            "read_cluster_range",
            lambda *arguments: asked.append(arguments[1:]) or decode(*arguments),
        )
        reader.read(["jets.pt", "jets.n"], 0, 3)
        assert asked == [(0, 1)] * 3  # offsets, pt, n


def test_types_that_need_more_than_lists_and_numbers_are_read_by_uproot(tmp_path):
    with uproot.recreate(tmp_path / "f.root") as file:
        file.mkrntuple("tree", {"maybe": ak.Array([1.0, None, 3.0, 4.0])})
    with open_root(str(tmp_path / "f.root")) as reader:
        assert reader.read(["maybe"], 1, 3)["maybe"].to_list() == [None, 3.0]


@needs_real
def test_the_same_events_as_in_the_ttree():
    with (
        open_root(str(REAL / "cms_nano_dy_40ev.root"), "Events") as ttree,
        open_root(str(REAL / "cms_nano_dy_40ev_rntuple.root")) as rntuple,
    ):
        columns = [
            name
            for name in ttree.columns()
            if name.startswith(("Jet_", "nJet", "Muon_", "HLT_Mu", "genWeight")) and name in rntuple
        ]
        assert len(columns) > 100
        one = ttree.read(columns, 5, 33)
        other = rntuple.read(columns, 5, 33)
    assert all(
        ak.array_equal(
            one[name], other[name], equal_nan=True, dtype_exact=False, check_parameters=False
        )
        for name in columns
    )
