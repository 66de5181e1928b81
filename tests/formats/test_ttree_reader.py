"""TTrees, ours and those of experiments."""

from __future__ import annotations

import struct
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from uproot.writing import _cascadetree

from tests.cpu_time import cpu_seconds_below
from weaver_tt.errors import BadFileError, DataError
from weaver_tt.formats.root_reader import open_root

REAL = Path(__file__).parents[2].parent / "shared" / "data"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the folder of real files is not here")


def test_baskets_that_all_columns_share_are_the_clusters(tmp_path):
    path = str(tmp_path / "f.root")
    with uproot.recreate(path) as file:
        tree = file.mktree("tree", {"x": "int32", "y": "float64"})
        for rows in (4, 4, 2):
            tree.extend({"x": np.zeros(rows, "i4"), "y": np.zeros(rows)})
    with open_root(path) as reader:
        assert (
            reader.clusters()
            == reader.clusters(["x"])
            == reader.clusters(["x", "y"])
            == [0, 4, 8, 10]
        )


class Branch:
    """A branch that tells only where its baskets begin."""

    def __init__(self, borders):
        self.entry_offsets = borders
        self.num_baskets = len(borders) - 1


@pytest.mark.parametrize(
    ("fine", "coarse", "clusters"),
    [
        ([0, 2, 4, 6, 8, 10], [0, 4, 8, 10], [0, 4, 8, 10]),  # the coarse ones are shared
        (
            [0, 2, 4, 6, 8, 10],
            [0, 3, 5, 7, 10],
            [0, 3, 5, 7, 10],
        ),  # misaligned: the largest baskets are decoded once, small ones at times twice
        ([0, 2, 4, 6, 8, 10], [0, 4, 7, 10], [0, 4, 10]),  # three of four are shared
        ([0, 5, 10], [0, 10], [0, 10]),
    ],
)
def test_misaligned_baskets_give_the_borders_of_the_largest(tmp_path, fine, coarse, clusters):
    path = str(tmp_path / "f.root")
    with uproot.recreate(path) as file:
        file.mktree("tree", {"x": np.arange(10), "y": np.arange(10)})
    with open_root(path) as reader:
        reader._branches = {"x": Branch(fine), "y": Branch(coarse)}
        assert reader.clusters(["x", "y"]) == clusters


def test_fixed_size_arrays_keep_their_shape(tmp_path):
    path = str(tmp_path / "f.root")
    values = np.arange(4 * 16 * 20, dtype="float64").reshape(4, 16, 20)
    with uproot.recreate(path) as file:
        file.mktree("tree", {"grid": values, "flags": values[:, :, 0] > 500})
    with open_root(path) as reader:
        got = reader.read(["grid", "flags"], 1, 3)
    assert str(got["grid"].type) == "2 * 16 * 20 * float64"
    assert str(got["flags"].type) == "2 * 16 * bool"
    assert np.array_equal(ak.to_numpy(got["grid"]), values[1:3])


@needs_real
def test_nanoaod_bytes_stay_bytes_and_jets_share_their_offsets():
    with open_root(str(REAL / "cms_nanov12_ttbar_200ev.root")) as reader:
        got = reader.read(["Jet_hadronFlavour", "Jet_pt", "nJet", "Jet_btagDeepFlavB"], 0, 200)
    flavour = ak.to_numpy(ak.flatten(got["Jet_hadronFlavour"]))
    assert flavour.dtype == np.uint8
    assert [int((flavour == value).sum()) for value in (5, 4, 0)] == [
        406,
        150,
        948,
    ]  # the numbers of the folder's README
    assert (
        got["Jet_hadronFlavour"].layout.offsets
        is got["Jet_pt"].layout.offsets
        is got["Jet_btagDeepFlavB"].layout.offsets
    )
    assert ak.num(got["Jet_pt"]).to_list() == got["nJet"].to_list()


@needs_real
def test_vectors_of_numbers_and_booleans():
    with open_root(str(REAL / "jetclass2_100jets.root")) as reader:
        names = [name for name in reader.columns() if name.startswith("part_")]
        got = reader.read(names, 0, 100)
    assert ak.sum(ak.num(got["part_px"])) == 4529
    assert len({id(array.layout.offsets) for array in got.values()}) == 1
    assert {str(array.type).split(" * ")[-1] for array in got.values()} == {
        "float32",
        "bool",
        "int32",
    }


@needs_real
def test_parts_of_split_objects_have_spellings_that_an_expression_can_use():
    with open_root(str(REAL / "cms_treemaker_lorentzvectors_10ev.root")) as reader:
        names = [
            "Jets/Jets.fCoordinates.fPt",
            "Jets.fCoordinates.fPt",
            "Jets_fCoordinates_fPt",
            "Jets_hadronFlavor",
        ]
        assert names[1] in reader.columns()
        assert "Jets" not in reader  # a group of columns, itself none
        assert "fPt" not in reader  # of which object?
        got = reader.read(names, 2, 10)
    assert got[names[0]].to_list() == got[names[1]].to_list() == got[names[2]].to_list()
    assert got["Jets_hadronFlavor"].layout.offsets is got[names[0]].layout.offsets
    assert got[names[0]][0, 0] > 30


@needs_real
def test_every_column_of_real_files_is_read_or_refused_by_name():
    for name in (
        "cms_nanov12_ttbar_200ev.root",
        "cms_treemaker_lorentzvectors_10ev.root",
        "jetclass2_100jets.root",
    ):
        with open_root(str(REAL / name)) as reader:
            for column in reader.columns()[::7]:
                assert len(reader.read([column], 1, 9)[column]) == 8


@needs_real
def test_columns_that_have_no_array_form_are_refused_without_blaming_the_file(monkeypatch):
    with open_root(str(REAL / "cms_treemaker_lorentzvectors_10ev.root")) as reader:
        branch = reader._branches["RunNum"]
        monkeypatch.setattr(
            branch,
            "_interpretation",
            uproot.interpretation.identify.UnknownInterpretation("no streamer", "f", "b"),
        )
        with pytest.raises(
            DataError, match=r"column 'RunNum': its type .* cannot be read .*no streamer"
        ) as caught:
            reader.read(["RunNum"], 0, 1)
    assert not isinstance(caught.value, BadFileError)


@needs_real
def test_listing_1500_branches_is_cheap():
    file = str(REAL / "cms_nano_dy_40ev.root")
    with open_root(file, "Events") as reader, cpu_seconds_below(0.1):
        assert len(reader.columns()) == 1499
        assert reader.clusters() == [0, 40]


@needs_real
def test_a_tree_without_events_is_fine():
    with open_root(str(REAL / "edge_nano_0events.root")) as reader:
        assert (reader.rows(), reader.clusters(["Jet_pt"])) == (0, [0])
        assert str(reader.read(["Jet_pt"], 0, 0)["Jet_pt"].type) == "0 * var * float32"


def objects_in_bytes(name, body):
    """An object of a class that comes for the first time in a file, as ROOT writes it."""
    content = struct.pack(">I", 0xFFFFFFFF) + name + b"\0" + body
    return struct.pack(">I", len(content) | 0x40000000) + content


def versioned(version, content):
    return struct.pack(">IH", (len(content) + 2) | 0x40000000, version) + content


def text(value):
    return bytes([len(value)]) + value


class Model_TFriendElement_v2(uproot.model.VersionedModel):  # noqa: N801
    """Members of ROOT's TFriendElement, as uproot finds them in a file of ROOT's own."""

    def read_members(self, chunk, cursor, context, file):
        self._bases.append(
            file.class_named("TNamed").read(
                chunk, cursor, context, file, self._file, self._parent, concrete=self._concrete
            )
        )
        self._members["fTreeName"] = cursor.string(chunk, context)
        self._members["fOwnFile"] = cursor.bytes(chunk, 1, context)[0]


@pytest.mark.skipif(
    not hasattr(_cascadetree.Tree, "_build_out"),
    reason="this uproot writes a tree in one piece, into which no list of friends can be put",
)
def test_a_column_of_a_friend_tree_is_said_to_be_there(tmp_path, monkeypatch):
    """The list of friends in the bytes of ROOT; uproot itself writes none."""
    tobject = b"\0\1" + 8 * b"\0"
    named = versioned(1, tobject + text(b"tags") + text(b"tags.root"))
    friend = objects_in_bytes(b"TFriendElement", versioned(2, named + text(b"tags") + b"\1"))
    friends = versioned(5, tobject + text(b"") + struct.pack(">I", 1) + friend + text(b""))
    written = _cascadetree.Tree._build_out

    def with_friend(tree):
        out = written(tree)
        # aliases, index values, index, tree index, FRIENDS, user info, branch references
        out[-1] = 16 * b"\0" + objects_in_bytes(b"TList", friends) + 8 * b"\0"
        out[0] = uproot.serialization.numbytes_version(sum(map(len, out[1:])), 20)
        return out

    path = str(tmp_path / "f.root")
    with monkeypatch.context() as patch:
        patch.setattr(_cascadetree.Tree, "_build_out", with_friend)
        with uproot.recreate(path) as file:
            file.mktree("tree", {"pt": np.arange(3.0)})
    model = uproot.model.DispatchByVersion.__class__(
        "Model_TFriendElement",
        (uproot.model.DispatchByVersion,),
        {"known_versions": {2: Model_TFriendElement_v2}},
    )
    monkeypatch.setitem(uproot.classes, "TFriendElement", model)
    with open_root(path) as reader:
        assert reader.read(["pt"], 0, 3)["pt"].tolist() == [0, 1, 2]
        message = r"no column 'btag'; known: pt; columns of its friends \('tags' in 'tags.root'\) "
        with pytest.raises(DataError, match=message + "have to be copied into this tree"):
            reader.read(["btag"], 0, 3)
