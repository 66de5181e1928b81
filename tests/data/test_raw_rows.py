"""Rows of files are found again by their number: as the file has them, before any selection."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan
from weaver_tt.data.chunks import number_files
from weaver_tt.data.raw_rows import evaluate_raw_rows, raw_column_names, read_raw_rows
from weaver_tt.data.rows.bootstrap import identify_rows
from weaver_tt.data.scan import scan_files
from weaver_tt.formats.file_groups import parse_groups

CONFIG = from_mapping(
    {
        "selection": "number > 1",
        "object_selection": {"jets": {"selection": "jet_pt > 20", "columns": ["jet_*"]}},
        "file_magic": {"year": {"second": 2018}},
        "new_variables": {"jet_logpt": "np.log(jet_pt)", "is_late": "year > 2000"},
        "inputs": {
            "jets": {"length": 2, "vars": [["jet_logpt", None]]},
            "event": {"length": None, "vars": [["is_late", None], ["met", None]]},
        },
        "labels": {"type": "simple", "value": ["is_a", "is_b"]},
    },
    source="test.yaml",
)


@pytest.fixture
def scan(tmp_path):
    """Two files; row i of the first one has i jets of 10, 20, ... GeV, and MET 100 + i."""
    for name, start in (("first", 100), ("second", 200)):
        number = np.arange(5)
        columns = {
            "jet_pt": ak.Array([np.arange(1.0, i + 1) * 10 for i in number]),
            "met": (start + number).astype(np.float32),
            "number": number,
            "is_a": number % 2,
            "is_b": 1 - number % 2,
        }
        ak.to_parquet(ak.zip(columns, depth_limit=1), tmp_path / f"{name}.parquet")
    files = parse_groups([str(tmp_path / "first.parquet"), str(tmp_path / "second.parquet")])
    return scan_files(files, CONFIG, make_plan(CONFIG, "train"))


def test_rows_come_in_the_order_of_their_numbers(scan, monkeypatch):
    monkeypatch.setattr("weaver_tt.data.raw_rows.MOST_AT_ONCE", 2)
    assert sorted(number_files(scan.sources).values()) == [0, 1]
    identity = np.concatenate([identify_rows(1, np.array([4, 0])), identify_rows(0, np.array([3]))])
    raw = read_raw_rows(identity, scan, CONFIG)
    # what the inputs are made of: no label, and nothing of the selection of rows
    assert sorted(raw) == ["jet_pt", "met", "year"] == sorted(raw_column_names(CONFIG))
    assert raw["met"].tolist() == [204, 200, 103]
    assert str(raw["met"].type) == "3 * float32"
    assert raw["jet_pt"].tolist() == [[10, 20, 30, 40], [], [10, 20, 30]]
    assert raw["year"].tolist() == [2018, 2018, 0]


def test_inputs_are_computed_from_them_as_in_training(scan):
    raw = read_raw_rows(identify_rows(1, np.array([4, 0])), scan, CONFIG)
    table, rows = evaluate_raw_rows(raw, CONFIG, "the sample")
    # jets of 10 and 20 GeV do not pass
    assert table["jet_logpt"].tolist() == [[np.log(30), np.log(40)], []]
    assert rows.objects["jets"].counts.tolist() == [2, 0]
    assert rows.scalars["event"].tolist() == [[1, 204], [1, 200]]
