"""Rates of reading."""

import time

import pytest

from weaver_tt.data.accounting import Accounting
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.trackers.base import NullTracker
from weaver_tt.engine.trials.read_test import measure_reading
from weaver_tt.system.stage_times import Stage, StageTimes


class Slow:
    """Three batches of 5 rows; the second one is waited for."""

    steps = None
    accounting = Accounting()
    times = StageTimes()
    times.seconds |= {Stage.DECOMPRESSING: 3.0, Stage.SCALING: 1.0}

    def epoch(self, number, skip=0):
        for index in range(3):
            if index == 1:
                time.sleep(0.02)
            yield Batch({}, {}, {}, {}, progress=(index + 1) / 3, size=5)


def test_rows_batches_and_waits_are_counted(caplog):
    with caplog.at_level("INFO", "weaver_tt"):
        found = measure_reading("training", Slow(), NullTracker())
    assert (found["rows"], found["batches"]) == (15, 3)
    assert found["rows_per_second"] * found["seconds"] == pytest.approx(15)
    assert found["batches_per_second"] * found["seconds"] == pytest.approx(3)
    assert found["seconds"] >= found["waited"] >= found["longest_wait"] >= 0.02
    assert "training: 15 rows in 3 batches" in caplog.text
    assert "time to make the batches: decompressing 75 %, scaling 25 %" in caplog.text
