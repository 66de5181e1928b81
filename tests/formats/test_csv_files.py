"""CSV: a line for each row, lists of numbers in a cell, and errors that name the place."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaver_tt.errors import DataError
from weaver_tt.formats.csv_files import read_csv, writing_csv

TABLE = """\
jet_pt,met,run,name
50.5;40,30,7,a
,1.5e2,8,"b, c"
20,nan,9,
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "in.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_cells_are_lists_numbers_whole_numbers_or_texts(tmp_path: Path) -> None:
    found = read_csv(write(tmp_path, TABLE), lists={"jet_pt"})
    assert list(found) == ["jet_pt", "met", "run", "name"]
    assert ak.to_list(found["jet_pt"]) == [[50.5, 40], [], [20]]
    assert found["met"].tolist() == [30, 150, pytest.approx(np.nan, nan_ok=True)]
    assert found["run"].tolist() == [7, 8, 9]
    assert found["run"].dtype == np.int64
    assert found["name"] == ["a", "b, c", ""]


def test_columns_that_nobody_calls_lists_are_what_all_of_their_cells_are(tmp_path: Path) -> None:
    found = read_csv(write(tmp_path, "tag,cut,whole\n1;0,pt>3;eta<2,1\n,none,2\n"), lists=())
    assert ak.to_list(found["tag"]) == [[1, 0], []]
    assert found["cut"] == ["pt>3;eta<2", "none"]
    assert found["whole"].tolist() == [1, 2]


def test_the_mark_that_spreadsheets_begin_with_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert list(read_csv(write(tmp_path, "\ufeffpt,eta\n1,2\n"), lists=())) == ["pt", "eta"]


def test_a_header_alone_is_no_rows(tmp_path: Path) -> None:
    found = read_csv(write(tmp_path, "jet_pt,met\n"), lists={"jet_pt"})
    assert [len(column) for column in found.values()] == [0, 0]
    assert found["jet_pt"].ndim == 2


def test_one_column_of_lists_may_have_empty_ones(tmp_path: Path) -> None:
    found = read_csv(write(tmp_path, "pt\n1;2\n\n3\n"), lists={"pt"})
    assert ak.to_list(found["pt"]) == [[1, 2], [], [3]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty; expected a line with the names"),
        ("pt,pt\n1,2\n", "line 1 names the column 'pt' twice"),
        ("pt,eta\n1,2\n3\n", "line 3 has 1 cells, the first one names 2 columns"),
        ("pt,eta\n1;2,1\n1;x,2\n", "column 'pt': '1;x' (row 1); expected numbers with ';'"),
        ("pt,eta\n1;;2,1\n", "column 'pt': '1;;2' (row 0)"),
    ],
)
def test_what_is_no_table_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read_csv(write(tmp_path, text), lists={"pt"})
    assert words in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"in\.csv: cannot be read as CSV"):
        read_csv(tmp_path / "in.csv", lists=())
    with pytest.raises(DataError, match=r"no\.csv: cannot be read as CSV: .*No such file"):
        read_csv(tmp_path / "no.csv", lists=())


FLOATS = st.floats(width=32)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.lists(FLOATS, max_size=3), FLOATS, st.integers(-9, 9)), max_size=5))
def test_what_is_written_is_read_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "out.csv"
    lists = ak.values_astype(ak.Array([*(row[0] for row in rows), [0.5]]), np.float32)
    numbers = np.array([*(row[1] for row in rows), 0.5], np.float32)
    whole = np.array([*(row[2] for row in rows), 1])
    with writing_csv(path) as file:
        # in two steps, the first of which may have no rows
        for part in (slice(0, 2), slice(2, None)):
            file.write({"a": lists[part], "b": numbers[part], "c": whole[part]})
    found = read_csv(path, lists={"a"})
    assert ak.num(found["a"]).tolist() == ak.num(lists).tolist()
    np.testing.assert_array_equal(
        ak.to_numpy(ak.flatten(found["a"])).astype(np.float32), ak.to_numpy(ak.flatten(lists))
    )
    np.testing.assert_array_equal(found["b"].astype(np.float32), numbers)
    np.testing.assert_array_equal(found["c"], whole)
