"""Float16_t and Double32_t branches whose title has a length before the range."""

from __future__ import annotations

import math
from types import SimpleNamespace

import awkward as ak
import numpy as np
import pytest
import uproot
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDouble32, AsDtype, AsFloat16

from weaver_tt.errors import BadFileError, DataError
from weaver_tt.formats.root_reader import open_root
from weaver_tt.formats.truncated_floats import truncated_interpretation


class Members:
    """An object of a ROOT file: members by name."""

    def __init__(self, classname, **members):
        self.classname = classname
        self._members = members

    def member(self, name, none_if_missing=False):
        return self._members.get(name) if none_if_missing else self._members[name]


def branch(classname, title, count="n", streamer=None, **members):
    """A branch with one leaf, as ROOT writes it; uproot writes no such leaves."""
    leaf = Members(classname, fTitle=title, fLeafCount=count, **members)
    found = Members("TBranch", fLeaves=[leaf])
    found.streamer = streamer
    return found


@pytest.mark.parametrize(
    ("classname", "title", "expected"),
    [
        ("TLeafF16", "pt[n]/f[-10,10,16]", AsFloat16(-10, 10, 16)),
        ("TLeafF16", "pt[n]/f[0,0,10]", AsFloat16(0, 0, 10)),
        ("TLeafF16", "pt[n]/f", AsFloat16(0, 0, 12)),
        ("TLeafF16", "pt[n]/f[0, 100]", AsFloat16(0, 100, 32)),
        ("TLeafD32", "pt[n]/d[0,1000,20]", AsDouble32(0, 1000, 20)),
        ("TLeafD32", "phi[n]/d[-pi,2*pi,16]", AsDouble32(-math.pi, 2 * math.pi, 16)),
        ("TLeafD32", "phi[n]/d[-pi/2,twopi,40]", AsDouble32(-math.pi / 2, 2 * math.pi, 32)),
        ("TLeafD32", "pt[n]/d", AsDtype(np.dtype(">f4"), np.dtype("f8"))),
    ],
)
def test_the_range_of_lists_stands_behind_the_length(classname, title, expected):
    assert truncated_interpretation(branch(classname, title)) == AsJagged(expected)


def test_a_fixed_size_array_keeps_its_shape():
    found = truncated_interpretation(branch("TLeafF16", "x[3]/f[-1,1,12]", count=None))
    assert found == AsFloat16(-1, 1, 12, (3,))


def test_a_member_of_an_object_has_its_range_in_the_comment_of_the_class():
    streamer = SimpleNamespace(title="[fN][0,10,8] momenta")
    # 59: a list (40) of Float16_t (19)
    found = branch("TLeafElement", "pt_", streamer=streamer, fType=59)
    assert truncated_interpretation(found) == AsJagged(AsFloat16(0, 10, 8))


@pytest.mark.parametrize(
    ("classname", "title"),
    [("TLeafF16", "pt/f[-10,10,16]"), ("TLeafD32", "pt"), ("TLeafF", "pt[n]/F")],
)
def test_what_uproot_reads_rightly_is_left_to_it(classname, title):
    assert truncated_interpretation(branch(classname, title)) is None


def test_a_vector_has_no_type_of_its_own():
    found = branch("TLeafElement", "x", streamer=object(), fType=-1)
    assert truncated_interpretation(found) is None


@pytest.mark.parametrize("title", ["pt[n][3]/f[0,1,8]", "pt[n]/f[low,1,8]"])
def test_what_cannot_be_read_is_no_damage(title):
    with pytest.raises(NotImplementedError):
        truncated_interpretation(branch("TLeafF16", title))


@pytest.fixture
def lists(tmp_path):
    """Lists [[], [-2.5], [-2.5, -1.5], ...] as whole numbers (x + 10) * 2^16 / 20 of 32 bits.

    That is what ROOT writes for ``pt[n]/f[-10,10,16]``.
    """
    values = ak.Array([[-2.5 + i for i in range(n)] for n in range(6)])
    stored = ak.values_astype((values + 10) * 2**16 / 20, np.uint32)
    path = str(tmp_path / "f.root")
    with uproot.recreate(path) as file:
        file.mktree("tree", {"pt": stored.type.content}).extend({"pt": stored})
    return path, values


def with_leaf(reader, classname, title):
    """Let the branch of ``reader`` have another leaf."""
    members = reader._branches["pt"].member("fLeaves")[0]
    leaf = Members(classname, fTitle=title, fLeafCount=members.member("fLeafCount"))
    reader._branches["pt"]._members["fLeaves"] = [leaf]


def test_the_numbers_of_a_list_are_those_that_were_written(lists):
    path, values = lists
    with open_root(path) as reader:
        with_leaf(reader, "TLeafF16", "pt[n]/f[-10,10,16]")
        assert str(reader.types(["pt"])["pt"]) == "var * float32"
        got = reader.read(["pt"], 1, 6)["pt"]
    assert ak.num(got).tolist() == [1, 2, 3, 4, 5]
    # one step of 16 bits is 20 / 2^16
    assert ak.max(np.abs(got - values[1:])) <= 20 / 2**16


def test_a_type_that_cannot_be_read_is_named_and_never_called_damage(lists):
    path, _ = lists
    with open_root(path) as reader:
        with_leaf(reader, "TLeafF16", "pt[n][3]/f[0,1,8]")
        for read in (lambda: reader.types(["pt"]), lambda: reader.read(["pt"], 0, 6)):
            with pytest.raises(
                DataError, match=r"f\.root.*column 'pt': its type TLeafF16 .* cannot be read"
            ) as caught:
                read()
            assert not isinstance(caught.value, BadFileError)
            assert "is damaged" not in str(caught.value)
