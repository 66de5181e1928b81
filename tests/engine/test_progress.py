"""What is read while training."""

import logging
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import tensor

from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.loop import TimedBatches
from weaver_tt.engine.progress import IntervalMetrics, describe_nonfinite, log_rows
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
    replaced = "NaN or infinite in the data: values taken as 0: jet_pt 3"
    assert describe_nonfinite(loader) == replaced
    assert describe_nonfinite(loader, batch) == (
        f"{replaced}; in the latest batch: jets, event_weight"
    )


def test_labels_without_a_value_are_named_with_their_first_place_and_once():
    accounting = Accounting()
    accounting.add_rows("undefined", "mass", "qcd.root", np.array([7, 9]))
    nan = tensor([float("nan"), 1.0])
    batch = Batch({}, {}, {}, {"mass": nan}, monitors={"pt": nan}, undefined={"mass": 1})
    assert describe_nonfinite(Fake(accounting), batch) == (
        "NaN or infinite in the data: labels without a value, left out of the loss: "
        "mass 2 (first: qcd.root, row 7); in the latest batch: pt"
    )
    assert describe_nonfinite(Fake(Accounting()), replace(batch, monitors={})) == (
        "The inputs, labels, monitored columns and weights that were read are finite"
    )


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
