"""Every metric of every epoch, as a table."""

import math

import pytest

from weaver_tt.engine.trackers.history import History, read_history
from weaver_tt.errors import DataError, OutputError


def test_each_epoch_is_a_row_and_each_metric_a_column(tmp_path):
    path = tmp_path / "net_history.csv"
    history = History(path)
    history.epoch({"train/loss": 0.1 + 0.2, "learning_rate": 1e-3}, 0)
    history.epoch({"train/loss": math.nan, "val/auc": 0.75}, 1)
    assert path.read_text().splitlines() == [
        "epoch,train/loss,learning_rate,val/auc",
        "0,0.30000000000000004,0.001,",
        "1,nan,,0.75",
    ]
    # all digits come back
    assert read_history(path)[0] == {"train/loss": 0.1 + 0.2, "learning_rate": 1e-3}


def test_a_training_that_goes_on_keeps_the_epochs_before_and_replaces_those_after(tmp_path):
    path = tmp_path / "net_history.csv"
    for epoch in range(4):
        History(path).epoch({"loss": float(epoch)}, epoch)
    History(path).epoch({"loss": 7.0}, 2)
    assert read_history(path) == {0: {"loss": 0.0}, 1: {"loss": 1.0}, 2: {"loss": 7.0}}
    # a new training under the same prefix
    History(path).epoch({"loss": 9.0}, 0)
    assert read_history(path) == {0: {"loss": 9.0}}


def test_what_is_no_history_is_named(tmp_path):
    path = tmp_path / "net_history.csv"
    assert read_history(path) == {}
    path.write_text("epoch,loss\nfirst,1\n")
    with pytest.raises(DataError, match=r"net_history\.csv: cannot be read as a history"):
        read_history(path)
    with pytest.raises(OutputError, match="missing"):
        History(tmp_path / "missing" / "net_history.csv").epoch({"loss": 1.0}, 0)
