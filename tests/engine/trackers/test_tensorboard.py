"""What TensorBoard is given, and where it lies."""

import re
import time

import numpy as np

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
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tell_all(TensorBoard(str(tmp_path)))
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    tags = events.Tags()
    assert {"step/loss", "step/learning_rate", "train/loss", "best/loss"} <= set(tags["scalars"])
    assert tags["images"] == ["confusion"]
    assert [(event.step, event.value) for event in events.Scalars("step/loss")] == [(7, 0.25)]


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
