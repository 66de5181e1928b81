"""What TensorBoard is given, and where it lies."""

import logging
import math
import re
import time

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from weaver_tt.engine.trackers.tensorboard import TensorBoard, tensorboard_folder
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
        tracker.finish({"start_lr": 0.1, "seed": None}, {"loss": 0.25})


def test_tensorboard_writes_scalars_figures_and_settings(tmp_path):
    tell_all(TensorBoard(str(tmp_path)))
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    tags = events.Tags()
    assert {"step/loss", "step/learning_rate", "train/loss", "best/loss"} <= set(tags["scalars"])
    assert tags["images"] == ["confusion"]
    assert [(event.step, event.value) for event in events.Scalars("step/loss")] == [(7, 0.25)]


def test_histograms_are_of_the_finite_values(tmp_path):
    tensors = {
        "weights/a": torch.tensor([[1.0, 2.0], [2.0, math.inf]]),
        "weights/half": torch.tensor([1.0], dtype=torch.bfloat16),
        "gradients/a": torch.tensor([math.nan]),
        "gradients/empty": torch.zeros(0),
    }
    board = TensorBoard(str(tmp_path))
    board.histograms(lambda: tensors, 3)
    board.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Tags()["histograms"] == ["weights/a", "weights/half"]
    [event] = events.Histograms("weights/a")
    assert event.step == 3
    values = event.histogram_value
    assert (values.num, values.min, values.max, values.sum) == (3, 1, 2, 5)


def test_a_name_without_a_slash_is_weavers_comment():
    folder = tensorboard_folder("_particle_net", "m/net")
    assert re.fullmatch(r"runs/[A-Z][a-z]{2}\d\d_\d\d-\d\d-\d\d_.*_particle_net", folder)
    assert tensorboard_folder("_particle_net", "m/net", folder) == folder  # when resumed
    assert tensorboard_folder("_pfn", "m/net", folder) != folder
    assert [tensorboard_folder(choice, "m/net") for choice in ("./tb", "off", None)] == [
        "./tb",
        None,
        "m/net_tensorboard",
    ]


def test_a_prefix_without_a_folder_is_not_taken_for_a_comment():
    folder = tensorboard_folder(None, "net")
    assert folder == "./net_tensorboard"
    assert tensorboard_folder(folder, "net") == folder


def test_figures_take_a_small_part_of_the_time(tmp_path):
    drawn = []

    def figures():
        time.sleep(0.05)
        drawn.append(1)
        return {}

    board = TensorBoard(str(tmp_path))
    for number in range(3):  # at once after one another
        board.epoch({}, number, figures)
    board.close()
    assert len(drawn) == 1


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch):
    """What is said once is said in each test."""
    monkeypatch.setattr("weaver_tt.figures.attempts._reported", set())


def test_a_figure_that_fails_is_said_once_and_the_others_are_drawn(tmp_path, caplog):
    def broken():
        raise ValueError("no ink")

    with caplog.at_level(logging.WARNING, "weaver_tt"), TensorBoard(str(tmp_path)) as board:
        for epoch in range(3):
            board.PATIENCE = 0
            board.epoch({"loss": 1.0}, epoch, broken)
            board.epoch({}, epoch, lambda: {"a": None, "b": Figure()})
    assert caplog.text.count("ValueError: no ink") == 1
    assert caplog.text.count("figure a in TensorBoard: cannot be made, and left out") == 1
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Tags()["images"] == ["b"]
    assert [event.step for event in events.Scalars("loss")] == [0, 1, 2]
