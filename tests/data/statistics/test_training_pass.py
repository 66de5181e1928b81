"""Passes over the training rows: what they read, and that one rank's failure is everybody's."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.data.statistics import training_pass
from weaver_tt.data.statistics.training_pass import (
    restrict_to_inputs,
    run_on_main,
    selected_tables,
    training_sources,
)
from weaver_tt.errors import DataError
from weaver_tt.options.train import DataOptions

CONFIG = from_mapping(
    {
        "selection": "x % 2 == 0",
        "inputs": {"e": {"length": None, "vars": ["x"]}},
        "observers": ["y"],
        "event_weight": "w",
    },
    "x.yaml",
)


@pytest.fixture
def file(tmp_path):
    ak.to_parquet(ak.Array({"x": np.arange(100)}), str(tmp_path / "a.parquet"), row_group_size=10)
    return str(tmp_path / "a.parquet")


def test_selected_rows_of_the_training_share_come_in_bounded_tables(file, monkeypatch):
    monkeypatch.setattr(training_pass, "ROWS_AT_ONCE", 30)
    needed = restrict_to_inputs(
        CONFIG, CONFIG.inputs
    )  # neither observers nor weights, which the file lacks
    sources = training_sources(needed, DataOptions(data_train=[file], train_val_split=0.8))
    found = [
        (np.asarray(table["x"]), rows, path)
        for table, rows, path in selected_tables(needed, sources, skip_bad=False)
    ]
    assert np.concatenate([x for x, _, _ in found]).tolist() == list(range(0, 80, 2))
    assert all(len(x) == rows <= 15 and path == file for x, rows, path in found)
    half = [
        np.asarray(table["x"])
        for table, _, _ in selected_tables(needed, sources, skip_bad=False, fraction=0.5)
    ]
    assert sum(map(len, half)) == pytest.approx(20, abs=2)
    assert max(map(max, half)) > 60


def test_what_the_first_rank_finds_or_fails_at_is_told_to_all(monkeypatch):
    assert run_on_main(lambda: 3) == 3

    def fail():
        raise DataError("no such row")

    with pytest.raises(DataError, match="no such row"):
        run_on_main(fail)
    monkeypatch.setattr(training_pass.distributed, "is_main", lambda: False)
    monkeypatch.setattr(training_pass.distributed, "broadcast_from_main", lambda _: 4)
    assert run_on_main(fail) == 4
