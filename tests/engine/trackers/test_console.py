"""What the terminal and the log show."""

import logging
import sys
import time

import numpy as np
import pytest

from weaver_tt.engine.trackers.console import Console
from weaver_tt.figures.classification import draw_matrix


def tell_all(tracker):
    """A short run."""
    with tracker:
        tracker.begin("train", 0)
        tracker.advance(0.5, 100)
        tracker.interval({"loss": 0.25, "learning_rate": 1e-3}, 7)
        tracker.advance(1.0, 100)
        tracker.end()
        tracker.epoch(
            {"train/loss": 0.25},
            0,
            lambda: {"confusion": draw_matrix(np.eye(1), ["a"], ("x", "y"), (0, 1), "{:.1f}")},
        )
        tracker.finish({"loss": 0.25}, 0)


def test_the_console_shows_loss_and_rate_and_logs_epochs(capsys, caplog, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    logging.getLogger("weaver_tt").propagate = True
    with caplog.at_level(logging.INFO, "weaver_tt"):
        console = Console()
        console.begin("train", 0)
        console.interval({"loss": 0.25}, 7)
        for progress in (0.3, 0.6, 1.0):
            time.sleep(0.11)  # the bar redraws itself at most ten times a second
            console.advance(progress, 100)
        console.end()
        console.epoch({"train/loss": 0.25, "rows_train/read": 9.0}, 0)
    shown = capsys.readouterr().err
    assert "train" in shown
    assert "100%" in shown
    assert "loss 0.2500, " in shown
    assert "rows/s" in shown
    assert caplog.messages == ["epoch 0: train/loss 0.25"]


@pytest.mark.parametrize("bar", [True, False])
def test_the_bar_is_off_in_log_files_and_where_not_wanted(capsys, bar):
    tell_all(Console(bar))
    assert "%" not in capsys.readouterr().err
