"""What all readers share: spellings, shared offsets, range checks, blame."""

from __future__ import annotations

import zlib

import awkward as ak
import numpy as np
import pytest

from weaver_tt.errors import BadFileError, ConfigError, DataError
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader, blame_file, column_spellings


class Numbers(Reader):
    """A file of 10 rows with the column ``row.number``; ``short`` rows are lost."""

    def __init__(self, short=0, borders=(0, 10)):
        super().__init__("numbers", "numbers, tree 't'")
        self.short = short
        self.borders = list(borders)
        self.asked = []
        self.closed = False

    def columns(self):
        return ["row.number"]

    def rows(self):
        return 10

    def known_columns(self):
        return column_spellings(self.columns())

    def clusters(self, columns=None):
        return self.borders

    def _close(self):
        self.closed = True

    def _read(self, names, first, last):
        self.asked.append((first, last))
        return {name: ak.Array(np.arange(first, last - self.short)) for name in names}


def test_columns_come_back_under_the_names_asked_for():
    with Numbers() as reader:
        assert {
            name: array.to_list()
            for name, array in reader.read(["number", "row_number"], 3, 5).items()
        } == {
            "number": [3, 4],
            "row_number": [3, 4],
        }
        assert "number" in reader
        assert "digit" not in reader
    assert reader.closed


def test_an_unknown_column_names_file_tree_and_nearest():
    with pytest.raises(
        DataError, match=r"numbers, tree 't': no column 'row\.numbr'; did you mean 'row\.number'\?"
    ) as caught:
        Numbers().read(["row.numbr"], 0, 1)
    assert not isinstance(caught.value, BadFileError)


@pytest.mark.parametrize(("first", "last"), [(-1, 2), (3, 2), (0, 11)])
def test_rows_outside_the_file_are_refused(first, last):
    with pytest.raises(DataError, match=f"rows {first} to {last} were asked for, there are 10"):
        Numbers().read(["number"], first, last)


def test_a_column_that_is_too_short_is_a_bad_file():
    with pytest.raises(
        BadFileError, match=r"column 'row\.number' has 3 rows in \[0, 4\) instead of 4"
    ):
        Numbers(short=1).read(["number"], 0, 4)


def test_small_pieces_of_a_cluster_are_cut_from_it_once_it_is_decoded():
    with Numbers() as reader:
        assert [
            reader.read(["number"], first, first + 2)["number"].to_list() for first in (0, 2, 4)
        ] == [[0, 1], [2, 3], [4, 5]]
        assert reader.asked == [(0, 2), (0, 10)]


def test_a_read_across_clusters_decodes_just_that():
    with Numbers(borders=(0, 5, 10)) as reader:
        reader.read(["number"], 4, 6)
        assert reader.asked == [(4, 6)]


def test_whatever_a_decoder_raises_is_blamed_on_the_file_except_want_of_memory_and_our_own_errors():
    for error in (ValueError("checksum"), KeyError("x"), AssertionError(), OSError("gone")):
        with (
            pytest.raises(
                BadFileError, match=rf"f\.root: rows cannot be read, .*{type(error).__name__}"
            ),
            blame_file("f.root", "rows"),
        ):
            raise error
    for error in (MemoryError(), ConfigError("mine")):
        with pytest.raises(type(error)), blame_file("f.root", "rows"):
            raise error


def test_a_package_that_a_url_needs_is_in_an_extra():
    with (
        pytest.raises(DataError, match=r"needs aiohttp\); pip install 'weaver_tt\[remote\]'"),
        blame_file("https://host/f.root", "rows"),
    ):
        raise ImportError("needs aiohttp")


def test_a_missing_package_or_file_is_not_damage():
    for error, text in (
        (ImportError("needs aiohttp"), "needs aiohttp"),
        (FileNotFoundError("f.root"), "no such file"),
    ):
        with pytest.raises(DataError, match=text) as caught, blame_file("f.root", "rows"):
            raise error
        assert not isinstance(caught.value, BadFileError)


@pytest.mark.parametrize("error", [NotImplementedError("v9"), UnboundLocalError("low")])
def test_a_limit_of_the_decoder_is_not_damage(error):
    with (
        pytest.raises(DataError, match=r"limit of the decoder") as caught,
        blame_file("f.root", "rows"),
    ):
        raise error
    assert not isinstance(caught.value, BadFileError)


class Unreadable(Numbers):
    """Decoding raises ``error``; with ``always`` also where no row is asked for."""

    def __init__(self, error, always):
        super().__init__()
        self.error = error
        self.always = always

    def stored_type(self, name):
        return "Quaternion_t"

    def _read(self, names, first, last):
        if self.always or first < last:
            raise self.error
        return super()._read(names, first, last)


@pytest.mark.parametrize("error", [TypeError("no such type"), NotImplementedError("unknown")])
def test_a_column_that_cannot_be_read_even_without_rows_is_of_a_type_that_cannot_be_read(error):
    match = r"numbers, tree 't': column 'row\.number': its type Quaternion_t cannot be read"
    with pytest.raises(DataError, match=match) as caught:
        Unreadable(error, always=True).read(["number"], 0, 5)
    assert not isinstance(caught.value, BadFileError)
    with pytest.raises(DataError, match=match):
        Unreadable(error, always=True).types(["number"])


@pytest.mark.parametrize(
    "error", [TypeError("garbage"), ValueError("checksum"), zlib.error("Error -3"), KeyError(7)]
)
def test_data_of_a_type_that_is_understood_are_damaged(error):
    with pytest.raises(BadFileError, match=r"rows 0 to 5 cannot be read, the file is damaged"):
        Unreadable(error, always=False).read(["number"], 0, 5)


@pytest.mark.parametrize("error", [OSError("gone"), zlib.error("Error -3")])
def test_what_fails_before_the_type_is_known_is_never_a_type_that_cannot_be_read(error):
    with pytest.raises(BadFileError, match=str(error)):
        Unreadable(error, always=True).types(["number"])


def test_a_column_can_be_spelt_as_an_identifier_or_by_its_last_word_where_that_is_clear():
    known = column_spellings(["Jets.pt", "Jets.eta", "Muons.eta", "a:b", "Jets_eta"])
    assert known == {
        "Jets.pt": "Jets.pt", "Jets_pt": "Jets.pt", "pt": "Jets.pt",
        "Jets.eta": "Jets.eta", "Muons.eta": "Muons.eta", "Muons_eta": "Muons.eta",
        "a:b": "a:b", "a_b": "a:b", "b": "a:b", "Jets_eta": "Jets_eta",
    }  # fmt: skip


def test_a_name_that_may_mean_several_columns_or_a_part_of_them_says_what_to_write(tmp_path):
    path = tmp_path / "f.parquet"
    names = ["Jets.pt", "Muons.pt", "MET:x", "MET.x", "track.p.x"]
    ak.to_parquet(ak.Array({name: [1.0] for name in names}), path)
    with open_reader(str(path)) as reader:
        read = reader.read(["Jets.pt", "Jets_pt", "track_p_x"], 0, 1)
        assert list(read) == ["Jets.pt", "Jets_pt", "track_p_x"]
        for name, message in {
            "pt": "it may be 'Jets.pt' or 'Muons.pt': write Jets_pt or Muons_pt",
            "MET_x": "it may be 'MET:x' or 'MET.x': write one of these names, for which `branch_m",
            "track": "its parts are columns, which expressions spell track_p_x",
            "Jets.eta": "did you mean 'Jets.pt'",
        }.items():
            with pytest.raises(DataError, match=f"no column '{name}'; {message}"):
                reader.resolve([name])
