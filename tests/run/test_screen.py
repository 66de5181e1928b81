"""What a terminal shows before and after a training."""

import io
import re
import shlex

import pytest
from rich.console import Console

from weaver_tt import cli
from weaver_tt.options.train import RunOptions, parse_options
from weaver_tt.run import screen
from weaver_tt.tasks.base import Task


class Judged(Task):
    """Judged as most tasks are."""

    def __init__(self):
        pass


Judged.__abstractmethods__ = frozenset()


def options_of(arguments) -> RunOptions:
    return parse_options(arguments.split())


def test_next_commands_predict_report_and_export_what_was_trained():
    options = options_of("-i a.root -c data.yaml -n net.py -m models/a --custom-functions f.py")
    predict, report, export = screen.next_commands(options, Judged(), [])
    assert predict[:3] == ["weaver-tt", "train", "--predict"]
    again = parse_options(predict[2:])
    assert again.data.data_config == "data.yaml"
    assert again.network.network_config == "net.py"
    assert again.network.model_prefix == "models/a"
    assert again.data.custom_functions == "f.py"
    assert report == ["weaver-tt", "report", "a:pred.root", "-o", "report"]
    assert export[:2] == ["weaver-tt", "export"]


def test_what_is_predicted_already_is_judged():
    options = options_of("-t 'x y.root' -c data.yaml -n net.py -m models/a")
    commands = screen.next_commands(options, Judged(), ["out/pred.root"])
    assert [command[1:3] for command in commands] == [
        ["report", "a:out/pred.root"],
        ["export", "-c"],
    ]


def test_folds_are_predicted_together_and_not_exported():
    options = options_of("-i a.root -c data.yaml -n net.py -m models/a --cross-validation number%3")
    predict, *others = screen.next_commands(options, Judged(), [])
    assert "--cross-validation number%3" in " ".join(predict)
    assert len(others) == 1


@pytest.mark.parametrize("width", [40, 80])
def test_a_command_is_broken_where_a_shell_goes_on_reading(width):
    words = ["weaver-tt", "train", "-t", "x y.root", "-c", "data.yaml", "-m", "a", "--predict"]
    text = screen.command_text(words, width)
    # a shell leaves out what ends a line that goes on
    assert shlex.split(text.replace("\\\n", "")) == words
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert (len(lines) > 1) == (width == 40)
    # a flag stays with its values
    assert not any(re.search(r" -\w \\$", line) for line in lines)


@pytest.fixture
def shown(monkeypatch):
    """What is shown on a terminal of 80 columns."""
    text = io.StringIO()
    drawn = Console(file=text, width=80, force_terminal=True, color_system=None)
    for module in ("log", "run.screen", "engine.trackers.make"):
        monkeypatch.setattr(f"weaver_tt.{module}.is_terminal", lambda: True)
    for module in ("run.screen", "engine.trackers.make"):
        monkeypatch.setattr(f"weaver_tt.{module}.console", lambda: drawn)
    return text


@pytest.mark.parametrize("members", [1, 2])
def test_a_training_shows_header_epochs_best_epoch_and_next_commands(training, shown, members):
    assert cli.train(training.flags("--ensemble", str(members))) == 0
    lines = shown.getvalue().splitlines()
    framed = [line for line in lines if line.startswith(("╭", "│", "╰"))]
    assert {len(line) for line in framed} == {80}
    text = "\n".join(lines)
    assert text.index("─ out/net ─") < text.index("train loss") < text.index("best epoch")
    assert "parameters" in text
    assert "Linear" not in text  # the module is in the log file
    rows = [line for line in lines if line.endswith(" *")]
    # the first epoch is the best so far, of each member
    assert len(rows) >= members
    assert "accuracy" in text.split("best epoch")[1]
    assert "±" in text.split("best epoch")[1]
    assert "weaver-tt train --predict" in text


def test_without_a_terminal_there_are_lines_alone(training, capsys):
    assert cli.train(training.flags("--num-epochs", "1")) == 0
    shown = capsys.readouterr().err
    assert "INFO    epoch 0: train/loss" in shown
    assert "INFO    best epoch: 0 with" in shown
    assert "Linear(in_features" in shown
    assert "─" not in shown
