"""Who is told what."""

import logging

import numpy as np
import pytest
import torch

from weaver_tt.engine.trackers.base import MultiTracker, NullTracker, OptionalTracker, Tracker
from weaver_tt.engine.trackers.console import Console
from weaver_tt.figures.classification import draw_matrix


class Recorder(Tracker):
    """Writes down the names of what it was told."""

    def __init__(self):
        self.told = []

    def __getattribute__(self, name):
        told = (
            "start",
            "begin",
            "advance",
            "interval",
            "end",
            "epoch",
            "histograms",
            "finish",
            "close",
        )
        if name in told:
            return lambda *args: object.__getattribute__(self, "told").append((name, *args))
        return object.__getattribute__(self, name)


def tell_all(tracker):
    """A short run."""
    with tracker:
        tracker.start(0, 0)
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
        tracker.histograms(lambda: {"weights/a": torch.ones(2)}, 0)
        tracker.finish({"loss": 0.25}, 0)


def test_several_tell_each():
    first = Recorder()
    second = Recorder()
    tell_all(MultiTracker([first, OptionalTracker(second, "the second")]))
    assert first.told == second.told
    assert [name for name, *_ in first.told] == [
        "start",
        "begin",
        "advance",
        "interval",
        "advance",
        "end",
        "epoch",
        "histograms",
        "finish",
        "end",
        "close",
    ]


def test_nothing_tells_nobody(capsys):
    tell_all(NullTracker())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("tracker", [NullTracker(), Console()])
def test_trackers_can_be_closed_twice(tracker):
    tracker.close()
    tracker.close()
    assert tracker.__enter__() is tracker


USER = """
def get_tensorboard_custom_fn(tb_writer, model_output, model, epoch, i_batch, mode):
    import torch
    assert not torch.is_grad_enabled()
    tb_writer.append((mode, epoch, i_batch, model_output.tolist(), type(model).__name__))
"""


class FullDisk(Tracker):
    """Fails from the second report on."""

    def __init__(self):
        self.reports = 0

    def interval(self, values, step):
        self.reports += 1
        if self.reports > 1:
            raise OSError(28, "No space left on device")


def test_a_tracker_that_fails_is_said_once_and_left_alone(caplog):
    board = FullDisk()
    tracker = OptionalTracker(board, "the board")
    with caplog.at_level(logging.WARNING, "weaver_tt"), tracker:
        for step in range(5):
            tracker.begin("train", 0)
            tracker.interval({}, step)
            tracker.epoch({}, 0)
        tracker.finish({}, -1)
    assert board.reports == 2
    assert caplog.text.count("the board has failed and is given no more; the run goes on") == 1
    assert "No space left" in caplog.text
    assert tracker.files() == []


def test_ctrl_c_is_no_failure_of_a_tracker():
    class Interrupted(Tracker):
        def advance(self, progress, rows):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        OptionalTracker(Interrupted(), "it").advance(0.5, 1)
