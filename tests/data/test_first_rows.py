"""The rows that are tried out first: of every group, and rows that pass."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.data.first_rows import first_batch, first_rows_of_all, read_first_rows
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
    return plan, read_first_rows(chosen, plan, scan, **options)


def test_every_group_gives_its_first_rows(patterns):
    _, (a, b) = read(patterns, config(), rows=4)
    assert (a.group, a.selected, b.group, b.selected) == ("a", 3, "b", 3)
    # a file of 10 rows in parts of at most 4: 3, 3 and 4
    assert ak.to_list(a.raw["number"]) == [0, 1, 2]
    assert ak.to_list(b.table["number"]) == [100, 101, 102]


def test_where_the_selection_drops_the_first_rows_later_ones_are_read(patterns):
    _, (a, b) = read(patterns, config(selection="number % 50 > 16"), rows=4)
    # after parts of 3, 3, 4 and 4 rows comes that of rows 14 to 17, of which the last one passes
    assert ak.to_list(a.table["number"]) == [17]
    assert (a.accounting.read.total(), a.selected) == (18, 1)
    assert (b.accounting.read.total(), b.selected, b.table["number"].tolist()) == (3, 0, [])


def test_reading_ends_where_no_row_seems_to_pass(patterns, monkeypatch):
    monkeypatch.setattr("weaver_tt.data.first_rows.MOST_ROWS", 12)
    _, (a, _) = read(patterns, config(selection="number > 200"), rows=4)
    assert (a.accounting.read.total(), a.selected) == (14, 0)


def test_a_small_batch_has_rows_of_all_groups(patterns):
    plan, first = read(patterns, config(), rows=20)
    rows = first_rows_of_all(first, config(), plan, size=8)
    assert rows is not None
    assert rows.scalars["event"][:, 0].tolist() == [0, 1, 2, 3, 100, 101, 102]
    assert rows.labels["_label_"].tolist() == [0, 0, 0, 0, 1, 1, 1]
    # of more groups than rows, one row of each
    rows = first_rows_of_all(first, config(), plan, size=1)
    assert rows is not None
    assert rows.scalars["event"][:, 0].tolist() == [0, 100]
    batch = first_batch(first, config(), plan, size=2)
    assert batch is not None
    assert batch.inputs["jets"].tolist() == [[[0, 0, 0]], [[0, 0, 0]]]
    assert batch.real["jets"] == 0


def test_without_a_row_that_passes_there_is_no_batch(patterns):
    chosen = config(selection="number > 200")
    plan, first = read(patterns, chosen)
    assert first_batch(first, chosen, plan) is None


def test_damaged_files_are_passed_over_only_where_that_is_asked_for(patterns, monkeypatch):
    def read_chunk(chunk, *rest):
        if chunk.path.endswith("a1.parquet"):
            raise BadFileError("a1.parquet: cut short")
        return original(chunk, *rest)

    original = read_first_rows.__globals__["_read_chunk"]
    monkeypatch.setattr("weaver_tt.data.first_rows._read_chunk", read_chunk)
    with pytest.raises(BadFileError, match="cut short"):
        read(patterns, config())
    _, (a, _) = read(patterns, config(), rows=4, skip_bad=True)
    assert ak.to_list(a.raw["number"]) == [10, 11, 12, 13]


def test_labels_of_the_first_rows_are_judged(patterns):
    chosen = config(
        labels={"type": "simple", "value": ["is_a", "is_a2"]}, new_variables={"is_a2": "is_a * 1"}
    )
    plan, first = read(patterns, chosen)
    with pytest.raises(DataError, match="10 belong to several"):
        first_batch(first, chosen, plan)
