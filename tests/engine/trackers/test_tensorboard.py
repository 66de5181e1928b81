"""What TensorBoard is given, and where it lies."""

import logging
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from weaver_tt.engine.trackers.base import RunDescription
from weaver_tt.engine.trackers.tensorboard import TensorBoard, tensorboard_folder
from weaver_tt.figures.classification import draw_matrix

ABOUT = RunDescription(
    name="models/net",
    settings={"batch_size": 128, "network.hidden": "(32, 64)"},
    texts={"data.yaml": "labels:\n  type: simple\n"},
    headline=["auc"],
)


def read(folder):
    """What lies in a folder, without those below it."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def points(folder, tag):
    return [(event.step, event.value) for event in read(folder).Scalars(tag)]


def figures():
    return {"confusion": draw_matrix(np.eye(1), ["a"], ("x", "y"), (0, 1), "{:.1f}")}


EPOCH = {
    "train/loss": 0.25,
    "train/auc": 0.5,
    "val/loss": 0.75,
    "val/auc": 1.0,
    "val/brier": 0.125,
    "learning_rate": 0.5,
    "rows_train/read": 100.0,
    "padding_train/jets": 0.5,
}


def tell_all(folder):
    """A short run."""
    with TensorBoard(str(folder), ABOUT) as tracker:
        tracker.start(0, 0)
        tracker.begin("train", 0)
        tracker.interval({"loss": 0.25, "learning_rate": 1e-3}, 7)
        tracker.end()
        tracker.epoch(EPOCH, 0, figures)
        tracker.finish({"loss": 0.75, "auc": 1.0}, 0)
        return tracker


def test_training_and_validation_are_on_one_card_under_the_same_names(tmp_path):
    tell_all(tmp_path)
    train = read(tmp_path / "train").Tags()
    val = read(tmp_path / "val").Tags()
    assert train["scalars"] == ["loss", "headline/auc", "training/learning_rate"]
    assert val["scalars"] == ["loss", "headline/auc", "metrics/brier"]
    assert points(tmp_path / "train", "loss") == [(0, 0.25)]
    assert points(tmp_path / "val", "loss") == [(0, 0.75)]
    # figures are of the validation
    assert (train["images"], val["images"]) == ([], ["plots/confusion"])


def test_cards_say_what_a_metric_is_with_its_unit_and_range(tmp_path):
    tell_all(tmp_path)
    said = {}
    for folder in (tmp_path, tmp_path / "val"):
        for tag, metadata in read(folder).summary_metadata.items():
            said[tag] = metadata.summary_description
    area = "area under the ROC curve; 0.5 (no separation) to 1; larger is better"
    assert said["headline/auc"] == area
    assert said["step/loss"] == "mean of the loss, by weight; no unit; smaller is better"


def test_what_to_look_at_first_comes_first(tmp_path):
    tell_all(tmp_path)
    tags = []
    for folder in (tmp_path, tmp_path / "train", tmp_path / "val"):
        found = read(folder).Tags()
        tags += [*found["scalars"], *found["images"]]
    groups = sorted({tag.partition("/")[0] for tag in tags})
    assert groups == ["headline", "loss", "metrics", "plots", "step", "training"]


def test_the_best_epoch_is_a_point_on_these_cards_and_has_no_cards_of_its_own(tmp_path):
    tell_all(tmp_path)
    assert read(tmp_path / "best").Tags()["scalars"] == ["loss", "headline/auc"]
    assert points(tmp_path / "best", "headline/auc") == [(0, 1.0)]
    # numbers of rows, that hardly change, are in the history
    every = [read(path).Tags()["scalars"] for path in (tmp_path, *tmp_path.iterdir())]
    assert not [tag for tags in every for tag in tags if "rows" in tag or "best" in tag]


def test_steps_and_texts_are_of_the_run_itself(tmp_path):
    tell_all(tmp_path)
    assert read(tmp_path).Tags()["scalars"] == ["step/loss", "step/learning_rate"]
    assert points(tmp_path, "step/loss") == [(7, 0.25)]
    [text] = read(tmp_path).Tensors("data.yaml/text_summary")
    [shown] = text.tensor_proto.string_val
    # a block of code: nothing in it means anything in Markdown
    assert shown.decode() == "    labels:\n      type: simple"


def hparams_of(folder):
    """Settings and names of metrics that the table of hparams has."""
    metadata = read(folder).summary_metadata
    content = {
        tag: HParamsPluginData.FromString(metadata[tag].plugin_data.content)
        for tag in ("_hparams_/experiment", "_hparams_/session_start_info")
    }
    session = content["_hparams_/session_start_info"].session_start_info
    settings = {
        name: value.number_value or value.string_value for name, value in session.hparams.items()
    }
    metrics = content["_hparams_/experiment"].experiment.metric_infos
    return settings, [metric.name.tag for metric in metrics]


def test_the_table_of_hparams_has_settings_and_metrics_of_the_best_epoch(tmp_path):
    tell_all(tmp_path)
    settings, metrics = hparams_of(tmp_path / "best")
    assert settings == {"batch_size": 128, "network.hidden": "(32, 64)"}
    assert metrics == ["loss", "headline/auc"]


def test_a_run_that_goes_on_shows_no_epoch_twice_and_has_one_best_epoch(tmp_path):
    with TensorBoard(str(tmp_path), ABOUT) as board:
        board.start(0, 0)
        for epoch in range(3):
            board.interval({"loss": 1.0}, 10 * epoch + 10)
            board.epoch({"val/loss": 1.0}, epoch)
        board.finish({"loss": 1.0}, 0)
    # the clock of event files is one of seconds: they are read in the order of their names
    for path in tmp_path.rglob("events*"):
        path.rename(path.with_name(path.name.replace("tfevents.1", "tfevents.0")))
    # back to the end of epoch 0
    with TensorBoard(str(tmp_path), replace(ABOUT, settings={"batch_size": 256})) as board:
        board.start(1, 10)
        # a run that goes on has no best epoch yet
        assert not list((tmp_path / "best").iterdir())
        board.interval({"loss": 2.0}, 20)
        board.epoch({"val/loss": 2.0}, 1)
        board.finish({"loss": 2.0}, 1)
    assert points(tmp_path / "val", "loss") == [(0, 1.0), (1, 2.0)]
    assert points(tmp_path, "step/loss") == [(10, 1.0), (20, 2.0)]
    assert points(tmp_path / "best", "loss") == [(1, 2.0)]
    assert hparams_of(tmp_path / "best")[0] == {"batch_size": 256}


def test_the_files_of_a_board_are_those_that_it_has_made(tmp_path):
    board = tell_all(tmp_path)
    assert {str(path.parent.relative_to(tmp_path)) for path in board.files()} == {
        *(".", "train", "val", "best")
    }
    assert set(board.files()) == {path for path in tmp_path.rglob("*") if path.is_file()}


def test_a_learning_rate_test_has_names_of_its_own(tmp_path):
    with TensorBoard(str(tmp_path), ABOUT) as board:
        board.epoch({"lr_finder/suggested": 0.5}, 0, figures)
    tags = read(tmp_path).Tags()
    assert (tags["scalars"], tags["images"]) == (["lr_finder/suggested"], ["plots/confusion"])


def test_histograms_are_of_the_finite_values(tmp_path):
    tensors = {
        "weights/a": torch.tensor([[1.0, 2.0], [2.0, math.inf]]),
        "weights/half": torch.tensor([1.0], dtype=torch.bfloat16),
        "gradients/a": torch.tensor([math.nan]),
        "gradients/empty": torch.zeros(0),
    }
    board = TensorBoard(str(tmp_path), ABOUT)
    board.histograms(lambda: tensors, 3)
    board.close()
    events = read(tmp_path / "train")
    assert events.Tags()["histograms"] == ["tensors/weights/a", "tensors/weights/half"]
    [event] = events.Histograms("tensors/weights/a")
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


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch):
    """What is said once is said in each test."""
    monkeypatch.setattr("weaver_tt.figures.attempts._reported", set())


def test_a_figure_that_fails_is_said_once_and_the_others_are_drawn(tmp_path, caplog):
    def broken():
        raise ValueError("no ink")

    with caplog.at_level(logging.WARNING, "weaver_tt"), TensorBoard(str(tmp_path), ABOUT) as board:
        for epoch in range(3):
            board._figures.PATIENCE = 0
            board.epoch({"val/loss": 1.0}, epoch, broken)
            board.epoch({"val/auc": 1.0}, epoch, lambda: {"a": None, "b": Figure()})
    assert caplog.text.count("ValueError: no ink") == 1
    assert caplog.text.count("figure a in TensorBoard: cannot be made, and left out") == 1
    assert read(tmp_path / "val").Tags()["images"] == ["plots/b"]
    assert points(tmp_path / "val", "loss") == [(0, 1), (1, 1), (2, 1)]
