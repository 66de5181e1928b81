"""What is read while training."""

import logging
import time
from collections import Counter

import pytest
import torch
from torch import tensor

from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.loop import TimedBatches
from weaver_tt.engine.progress import IntervalMetrics, log_rows, nonfinite_columns
from weaver_tt.metrics.base import LossMeter, Scored


class Fake:
    """Only accounting."""

    steps = None

    def __init__(self, accounting):
        self.accounting = accounting


def test_readings_are_of_the_steps_since_the_last_reading():
    meter = LossMeter()
    readings = IntervalMetrics([meter], TimedBatches(iter([])))
    for loss in (4.0, 1.0):
        meter.update(Scored(torch.zeros(1, 1), None, torch.ones(1), torch.ones(1)), tensor([loss]))
        readings.rows += 10
        time.sleep(0.01)
        values = readings.read()
        assert values["loss"] == loss
        assert 0 < values["rows_per_second"] <= 1000
        assert values["data_wait"] == 0.0


def test_columns_that_are_not_finite_are_named():
    loader = Fake(Accounting(nonfinite=Counter(jet_pt=3)))
    batch = Batch(
        {"jets": tensor([[1.0, float("nan")]])},
        {},
        {},
        {"y": tensor([1.0])},
        weight=tensor([float("inf")]),
    )
    assert nonfinite_columns(loader, None) == ["jet_pt (3 in the data, replaced)"]
    assert nonfinite_columns(loader, batch)[1:] == [
        "jets (in the latest batch)",
        "event_weight (in the latest batch)",
    ]


def test_rows_are_logged_and_counted(caplog):
    logging.getLogger("weaver_tt").propagate = True
    accounting = Accounting(
        read=Counter(a=10, b=5),
        selected=Counter(a=8, b=5),
        dropped=Counter({("a", "selection"): 2}),
        used=Counter(a=8),
    )
    with caplog.at_level(logging.INFO, "weaver_tt"):
        values = log_rows("train", Fake(accounting))
    assert values["rows_train/read"] == 15
    assert values["rows_train/dropped"] == 2
    assert values["rows_train/used"] == 8
    assert "train data:" in caplog.text
    assert values["rows_train/nonfinite"] == pytest.approx(0)
