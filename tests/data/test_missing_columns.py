"""Columns that files lack: all of them at once, with what needs them and what was meant."""

from pathlib import Path

import awkward as ak
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.config.plan import make_plan, with_extra_selection
from weaver_tt.data.missing_columns import (
    EXTRA_SELECTION,
    describe_missing,
    find_missing,
    keys_that_need,
)
from weaver_tt.data.scan import scan_files
from weaver_tt.errors import DataError
from weaver_tt.formats.file_groups import FileGroup

CONFIG = {
    "new_variables": {"jet_energy": "jet_pt * 2", "is_bb": "flavour == 5"},
    "selection": "event > 0",
    "inputs": {
        "jets": {"length": 2, "vars": [["jet_energy", None], ["jet_mass", None]]},
        "event": {"length": None, "vars": [["event", None]]},
    },
    "object_selection": {"jets": "jet_pt > 20"},
    "labels": {"type": "simple", "value": ["is_b", "is_c"]},
    "observers": ["run?"],
    "weights": {
        "reweight_method": "flat",
        "reweight_vars": {"event": [0, 1]},
        "reweight_classes": ["is_b", "is_c"],
        "reweight_basewgt": "generated",
    },
}


@pytest.fixture
def config():
    return from_mapping(CONFIG, "d.yaml")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A file with all columns, and two that lack some."""
    complete = {"event": [1], "jet_pt": [[30.0]], "jet_mass": [[1.0]], "generated": [1.0]}
    complete |= {"is_b": [1], "is_c": [0]}
    ak.to_parquet(ak.Array(complete), tmp_path / "a.parquet")
    lacking = {name: complete[name] for name in ("event", "jet_mass", "generated", "is_c")}
    for name in "bc":
        ak.to_parquet(ak.Array(lacking | {"jet_ptt": [[1.0]]}), tmp_path / f"{name}.parquet")
    return tmp_path


def test_all_keys_that_are_made_of_a_column(config):
    assert keys_that_need(config, "jet_pt") == ["object_selection.jets", "inputs.jets"]
    assert keys_that_need(config, "event") == [
        "selection",
        "inputs.event",
        "weights.reweight_vars",
    ]
    assert keys_that_need(config, "is_b") == ["labels.is_b", "weights.reweight_classes"]
    assert keys_that_need(config, "generated") == ["weights.reweight_basewgt"]
    assert keys_that_need(config, "flavour") == []


def test_a_selection_of_a_flag_is_none_of_the_yaml(config):
    config = with_extra_selection(config, "train", "(run % 2 == 0) & (jet_mass > 0)")
    assert keys_that_need(config, "run") == [EXTRA_SELECTION, "observers"]
    assert keys_that_need(config, "event")[0] == "selection"


def test_missing_columns_come_in_the_order_of_the_plan(config):
    plan = make_plan(config, "predict")
    found = find_missing([("a", ["run"]), ("b", []), ("c", ["run", "jet_pt"])], config, plan)
    assert [column.name for column in found] == ["jet_pt", "run"]
    assert [column.optional for column in found] == [False, True]
    assert [str(column) for column in found] == [
        "no column 'jet_pt' (needed by object_selection.jets, inputs.jets) in c of 3",
        "no column 'run' (needed by observers) in a and 1 more of 3",
    ]


def test_a_scan_names_all_missing_columns_of_all_files(folder, config):
    paths = tuple(str(folder / f"{name}.parquet") for name in "abc")
    with pytest.raises(DataError) as caught:
        scan_files([FileGroup("_", paths)], config, make_plan(config, "train"))
    head, *lines = str(caught.value).splitlines()
    assert head == "d.yaml: 2 columns are not in the files:"
    needed = "(needed by object_selection.jets, inputs.jets)"
    files = f"{paths[1]} and 1 more of 3"
    assert lines[0] == f"  no column 'jet_pt' {needed} in {files}; did you mean 'jet_ptt'?"
    # a new variable may be what was meant
    needed = "(needed by labels.is_b, weights.reweight_classes)"
    assert lines[1].startswith(f"  no column 'is_b' {needed} in {files}; ")
    assert lines[1].endswith("There is a new variable 'is_bb'.")


def test_what_is_probably_meant_is_looked_up_in_the_file_that_lacks_it(folder, config):
    path = str(folder / "b.parquet")
    plan = make_plan(config, "predict")
    missing = find_missing([(path, ["run"])], config, plan)
    (line,) = describe_missing(missing, config)
    assert line.startswith(f"no column 'run' (needed by observers) in {path}; known: ")


def test_the_columns_of_a_file_are_listed_for_one_missing_column_alone(folder, config):
    path = str(folder / "b.parquet")
    plan = make_plan(config, "predict")
    lines = describe_missing(find_missing([(path, ["run", "jet_pt"])], config, plan), config)
    assert lines == [
        "no column 'jet_pt' (needed by object_selection.jets, inputs.jets) "
        f"in {path}; did you mean 'jet_ptt'?",
        f"no column 'run' (needed by observers) in {path}",
    ]
