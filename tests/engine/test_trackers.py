"""Who is told what."""

import logging
import re
import sys
import time

import numpy as np
import pytest
import torch

from weaver_tt.engine import trackers
from weaver_tt.engine.trackers import Console, MultiTracker, NullTracker, TensorBoard, Tracker, UserFunction, make_tracker, tensorboard_folder
from weaver_tt.errors import ConfigError
from weaver_tt.figures.classification import draw_matrix
from weaver_tt.options import TrainOptions


class Recorder(Tracker):
    """Writes down the names of what it was told."""

    def __init__(self):
        self.told = []

    def __getattribute__(self, name):
        if name in ("begin", "advance", "interval", "end", "epoch", "finish", "close"):
            return lambda *args: object.__getattribute__(self, "told").append((name, *args))
        return object.__getattribute__(self, name)


def tell_all(tracker):
    """A short run."""
    with tracker:
        tracker.begin("train", 0)
        tracker.advance(0.5, 100)
        tracker.interval({"loss": 0.25, "learning_rate": 1e-3}, 7)
        tracker.advance(1.0, 100)
        tracker.end()
        tracker.epoch({"train/loss": 0.25}, 0, lambda: {"confusion": draw_matrix(np.eye(1), ["a"], ("x", "y"), (0, 1), "{:.1f}")})
        tracker.finish({"start_lr": 0.1, "seed": None}, {"loss": 0.25})


def test_several_tell_each():
    first, second = Recorder(), Recorder()
    tell_all(MultiTracker([first, second]))
    assert first.told == second.told
    assert [name for name, *_ in first.told] == ["begin", "advance", "interval", "advance", "end", "epoch", "finish", "end", "close"]


def test_tensorboard_writes_scalars_figures_and_settings(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tell_all(TensorBoard(str(tmp_path)))
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    tags = events.Tags()
    assert {"step/loss", "step/learning_rate", "train/loss", "best/loss"} <= set(tags["scalars"])
    assert tags["images"] == ["confusion"]
    assert [(event.step, event.value) for event in events.Scalars("step/loss")] == [(7, 0.25)]


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


def test_options_choose_and_other_ranks_are_silent(tmp_path, monkeypatch):
    prefix = str(tmp_path / "net")
    with make_tracker(TrainOptions(tensorboard="off"), prefix) as tracker:
        assert isinstance(tracker, MultiTracker)
    assert list(tmp_path.iterdir()) == []
    with make_tracker(TrainOptions(), prefix):
        assert (tmp_path / "net_tensorboard").is_dir()
    monkeypatch.setattr(trackers, "is_main", lambda: False)
    assert isinstance(make_tracker(TrainOptions(), prefix), NullTracker)


def test_a_name_without_a_slash_is_weavers_comment():
    folder = tensorboard_folder("_particle_net", "m/net")
    assert re.fullmatch(r"runs/[A-Z][a-z]{2}\d\d_\d\d-\d\d-\d\d_.*_particle_net", folder)
    assert tensorboard_folder("_particle_net", "m/net", folder) == folder  # when resumed
    assert tensorboard_folder("_pfn", "m/net", folder) != folder
    assert [tensorboard_folder(choice, "m/net") for choice in ("./tb", "off", None)] == ["./tb", None, "m/net_tensorboard"]


def test_nothing_tells_nobody(capsys):
    tell_all(NullTracker())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("tracker", [NullTracker(), Console(bar=False)])
def test_trackers_can_be_closed_twice(tracker):
    tracker.close()
    tracker.close()
    assert tracker.__enter__() is tracker


def test_figures_take_a_small_part_of_the_time(tmp_path):
    drawn = []

    def figures():
        time.sleep(0.05)
        drawn.append(1)
        return {}

    board = trackers.TensorBoard(str(tmp_path))
    for number in range(3):  # at once after one another
        board.epoch({}, number, figures)
    board.close()
    assert len(drawn) == 1


USER = """
def get_tensorboard_custom_fn(tb_writer, model_output, model, epoch, i_batch, mode):
    import torch
    assert not torch.is_grad_enabled()
    tb_writer.append((mode, epoch, i_batch, model_output.tolist(), type(model).__name__))
"""


def test_a_users_function_gets_what_weaver_gives_it(tmp_path):
    (tmp_path / "f.py").write_text(USER)
    writer, module = [], torch.nn.Identity()
    with UserFunction(str(tmp_path / "f.py"), writer, module) as tracker:
        tracker.begin("train", 3)
        module(torch.tensor([1.0]))
        tracker.interval({}, 50)
        module(torch.tensor([2.0]))
        tracker.end()
        tracker.begin("validate", 3)
        module(torch.tensor([4.0]))
        tracker.end()
    assert writer == [("train", 3, 50, [1.0], "Identity"), ("train", 3, -1, [2.0], "Identity"), ("eval", 3, -1, [4.0], "Identity")]
    assert not module._forward_hooks


def test_a_file_without_the_function_is_refused(tmp_path):
    (tmp_path / "f.py").write_text("x = 1")
    with pytest.raises(ConfigError, match="has no function get_tensorboard_custom_fn"):
        UserFunction(str(tmp_path / "f.py"), None, torch.nn.Identity())
    with pytest.raises(ConfigError, match=r"--tensorboard-custom-fn .*g\.py: no such file"):
        UserFunction(str(tmp_path / "g.py"), None, torch.nn.Identity())


def test_the_function_writes_to_the_boards_folder(tmp_path):
    (tmp_path / "f.py").write_text(USER.replace("tb_writer.append", "tb_writer.add_text('x', str") + ")")
    module = torch.nn.Identity()
    with make_tracker(TrainOptions(tensorboard_custom_fn=str(tmp_path / "f.py")), str(tmp_path / "net"), module):
        assert module._forward_hooks
    assert not module._forward_hooks
