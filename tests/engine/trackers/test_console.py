"""What the log has of a training, and who shows more."""

import io
import logging
from types import SimpleNamespace

import pytest
import rich.console

from weaver_tt.engine.trackers import make
from weaver_tt.engine.trackers.bars import Bars
from weaver_tt.engine.trackers.console import Console
from weaver_tt.engine.trackers.make import make_console, with_progress
from weaver_tt.engine.trackers.terminal import Terminal
from weaver_tt.options.train import TrainOptions

TASK = SimpleNamespace(headline_metrics=["auc"])


@pytest.fixture
def on_a_terminal(monkeypatch):
    """What is shown on a terminal."""
    shown = io.StringIO()
    screen = rich.console.Console(file=shown, force_terminal=True, width=80)
    monkeypatch.setattr(make, "is_terminal", lambda: True)
    monkeypatch.setattr(make, "console", lambda: screen)
    return shown


def test_the_log_has_each_epoch_as_a_line(caplog):
    logging.getLogger("weaver_tt").propagate = True
    with caplog.at_level(logging.INFO, "weaver_tt"):
        Console().epoch({"train/loss": 0.25, "rows_train/read": 9.0}, 0)
    assert caplog.messages == ["epoch 0: train/loss 0.25"]


def test_a_line_has_losses_headline_metrics_and_what_is_no_metric():
    values = {"train/loss": 0.5, "train/loss_mass": 0.25, "train/auc": 0.75, "val/accuracy": 0.5}
    values |= {"val/loss": 0.25, "val/auc_b": 0.5, "val/auc": 1.0, "learning_rate": 0.125}
    # a term of whole batches, which is not measured in validation
    values |= {"train/disco": 0.75}
    shown = Console(["auc", "accuracy", "unknown"]).values_of_line(values)
    # names of what is shown, in their order
    line = "train/loss train/loss_mass val/loss train/disco val/accuracy val/auc learning_rate"
    assert list(shown) == line.split()
    assert shown["val/auc"] == 1.0


def test_a_validation_without_a_loss_is_shown():
    values = {"train/loss": 0.5, "train/gain": 0.75, "val/gain": 0.5}
    assert list(Console(["gain"]).values_of_line(values)) == ["train/loss", "val/gain"]


def test_without_a_validation_a_line_has_the_metrics_of_the_training():
    values = {"train/loss": 0.5, "train/auc": 0.75, "train/accuracy": 0.5}
    assert list(Console(["auc"]).values_of_line(values)) == ["train/loss", "train/auc"]


def test_without_a_terminal_nothing_but_lines_is_shown(capsys):
    with make_console(TrainOptions()) as console:
        console.begin("train", 0)
        console.advance(0.5, 100)
        console.end()
    assert type(console) is Console
    batches = iter([])
    assert with_progress(batches, "predict") is batches
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_table_and_bars(on_a_terminal):
    with make_console(TrainOptions(), TASK) as console:
        console.begin("train", 0)
        console.advance(1.0, 100)
        console.end()
        console.epoch({"train/loss": 0.25, "learning_rate": 0.5}, 0)
    assert isinstance(console, Terminal)
    shown = on_a_terminal.getvalue()
    assert "train" in shown
    assert "100%" in shown
    assert "0.2500" in shown


def test_a_trial_has_a_bar_and_no_table_of_epochs(on_a_terminal):
    with make_console(TrainOptions()) as console:
        console.begin("learning-rate test", 0)
        console.advance(1.0, 100)
        console.end()
        console.epoch({"lr_finder/suggested": 0.25}, 0)
    shown = on_a_terminal.getvalue()
    assert "100%" in shown
    assert "epoch" not in shown


def test_without_progress_a_terminal_shows_the_table_alone(on_a_terminal, monkeypatch):
    monkeypatch.setattr(Bars, "begin", lambda *arguments: pytest.fail("a bar is shown"))
    with make_console(TrainOptions(progress=False), TASK) as console:
        console.begin("train", 0)
        console.advance(0.5, 100)
        console.end()
        console.epoch({"train/loss": 0.25, "learning_rate": 0.5}, 0)
    shown = on_a_terminal.getvalue()
    assert "%" not in shown
    assert "0.2500" in shown
