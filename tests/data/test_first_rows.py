"""The rows that are tried out first: of every group, and rows that pass."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.data import first_rows
from weaver_tt.data.scan import scan_files
from weaver_tt.errors import BadFileError, DataError
from weaver_tt.formats.file_groups import parse_groups

INPUTS = {
    "jets": {"length": 3, "vars": [["jet_pt", None]]},
    "event": {"length": None, "vars": [["number", None]]},
}
LABELS = {"type": "simple", "value": ["is_a", "is_b"]}


def config(**more):
    return from_mapping({"inputs": INPUTS, "labels": LABELS, **more})


def write(path: Path, numbers: np.ndarray, is_a: bool) -> str:
    content = {
        "number": numbers,
        "jet_pt": [[float(n) + k for k in range(n % 5)] for n in numbers.tolist()],
        "is_a": np.full(len(numbers), is_a),
        "is_b": np.full(len(numbers), not is_a),
    }
    ak.to_parquet(ak.Array(content), path)
    return str(path)


@pytest.fixture(scope="module")
def patterns(tmp_path_factory) -> list[str]:
    """Class a: 30 rows from 0 on in two files; class b: 3 rows from 100 on."""
    folder = tmp_path_factory.mktemp("data")
    return [
        "a:" + write(folder / "a1.parquet", np.arange(10), True),
        "a:" + write(folder / "a2.parquet", np.arange(10, 30), True),
        "b:" + write(folder / "b.parquet", np.arange(100, 103), False),
    ]


def read(patterns, chosen, **options):
    plan = make_plan(chosen, "train")
    scan = scan_files(parse_groups(patterns), chosen, plan)
    return plan, first_rows.read_first_rows(chosen, plan, scan, **options)


def test_files_of_every_group_give_their_first_rows(patterns):
    _, (a1, a2, b) = read(patterns, config(), rows=8)
    # 4 rows of each file of a; those of the first one, 10 in all, in parts of 3, 3 and 4
    assert [part.group for part in (a1, a2, b)] == ["a", "a", "b"]
    assert [part.selected for part in (a1, a2, b)] == [3, 4, 3]
    assert ak.to_list(a1.raw["number"]) == [0, 1, 2]
    assert ak.to_list(a2.table["number"]) == [10, 11, 12, 13]
    assert ak.to_list(b.table["number"]) == [100, 101, 102]


def test_where_the_selection_drops_the_first_rows_later_ones_are_read(patterns):
    _, (a1, a2, b) = read(patterns, config(selection="number % 50 > 16"), rows=8)
    # the second part of 4 rows of the second file has number 17, in its row 7
    assert (ak.to_list(a2.table["number"]), a2.row_numbers.tolist()) == ([17], [7])
    assert (a2.accounting.read.total(), a2.selected) == (8, 1)
    assert [part.accounting.read.total() for part in (a1, b)] == [10, 3]
    assert [part.selected for part in (a1, b)] == [0, 0]


def test_reading_ends_where_no_row_seems_to_pass(patterns, monkeypatch):
    monkeypatch.setattr(first_rows, "MOST_ROWS", 9)
    _, (_, a2, _) = read(patterns, config(selection="number > 200"), rows=8)
    assert (a2.accounting.read.total(), a2.selected) == (12, 0)


def test_files_are_spread_over_a_group():
    assert first_rows.spread_over(range(9), 5) == [0, 2, 4, 6, 8]
    assert first_rows.spread_over(range(10), 3) == [0, 4, 9]
    assert first_rows.spread_over(range(3), 5) == [0, 1, 2]
    assert first_rows.spread_over(range(3), 1) == [0]


def test_a_small_batch_has_rows_of_all_files(patterns):
    plan, first = read(patterns, config(), rows=40)
    rows = first_rows.first_rows_of_all(first, config(), plan, size=9)
    assert rows is not None
    assert rows.scalars["event"][:, 0].tolist() == [0, 1, 2, 10, 11, 12, 100, 101, 102]
    assert rows.labels["_label_"].tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1]
    # of more files than rows, one row of each
    rows = first_rows.first_rows_of_all(first, config(), plan, size=1)
    assert rows is not None
    assert rows.scalars["event"][:, 0].tolist() == [0, 10, 100]
    batch = first_rows.first_batch(first, config(), plan, size=2)
    assert batch is not None
    assert batch.inputs["jets"].tolist() == [[[0, 0, 0]], [[0, 0, 0]], [[0, 0, 0]]]
    assert batch.real["jets"] == 0


def test_without_a_row_that_passes_there_is_no_batch(patterns):
    chosen = config(selection="number > 200")
    plan, first = read(patterns, chosen)
    assert first_rows.first_batch(first, chosen, plan) is None


def test_damaged_files_are_passed_over_only_where_that_is_asked_for(patterns, monkeypatch):
    def read_columns(reader, *rest):
        if reader.path.endswith("a1.parquet"):
            raise BadFileError("a1.parquet: cut short")
        return original(reader, *rest)

    original = first_rows.read_columns
    monkeypatch.setattr(first_rows, "read_columns", read_columns)
    with pytest.raises(BadFileError, match="cut short"):
        read(patterns, config())
    _, (a2, _) = read(patterns, config(), rows=8, skip_bad=True)
    assert ak.to_list(a2.raw["number"]) == [10, 11, 12, 13]


def test_labels_of_the_first_rows_are_judged(patterns):
    chosen = config(
        labels={"type": "simple", "value": ["is_a", "is_a2"]}, new_variables={"is_a2": "is_a * 1"}
    )
    plan, first = read(patterns, chosen)
    with pytest.raises(DataError, match=r"a1\.parquet.* 10 belong to several"):
        first_rows.first_batch(first, chosen, plan)


def test_first_rows_have_the_types_that_fit_all_files(tmp_path):
    short = write(tmp_path / "short.parquet", np.arange(3, dtype="uint8"), True)
    _, parts = read([short, write(tmp_path / "long.parquet", np.arange(3), False)], config())
    assert [str(part.raw["number"].type.content) for part in parts] == ["int64", "int64"]
