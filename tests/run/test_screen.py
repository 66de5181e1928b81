"""What a terminal shows before and after a training."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from weaver_tt import cli
from weaver_tt.config.schema import DataConfig
from weaver_tt.log import quiet_terminal
from weaver_tt.options.train import RunOptions, parse_options
from weaver_tt.output.predict import Prediction
from weaver_tt.run import screen
from weaver_tt.tasks.base import Task


class Judged(Task):
    """Judged as most tasks are."""

    def __init__(self):
        self.config = DataConfig(source="c.yaml", text="", inputs={})


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
    assert ("member 1" in text.split("best epoch")[1]) == (members == 2)
    assert "accuracy" in text.split("best epoch")[1]
    assert "±" in text.split("best epoch")[1]
    assert "weaver-tt train --predict" in text


def test_a_prediction_shows_header_files_with_metrics_and_next_commands(training, shown):
    assert cli.train(training.flags("--num-epochs", "1")) == 0
    shown.truncate(0)
    predict = [
        "--predict",
        "-t",
        "a:a.parquet",
        "b.parquet",
        "--predict-output",
        "out/pred.parquet",
    ]
    assert cli.train(training.flags(*predict)) == 0
    text = shown.getvalue()
    header, _, rest = text.partition("─ predicted ─")
    assert "─ prediction ─" in header
    assert "out/net_best_epoch_state.pt" in header
    assert "40 rows, in 1 file" in header
    files, _, commands = rest.partition("next")
    assert "out/pred_a.parquet, 40 rows" in files
    assert "out/pred_metrics.json" in files
    # 40 rows
    assert "accuracy" in files
    assert "±" in files
    # a class alone has no area under its curve, but both files are judged together
    assert "report 'net:out/pred*.parquet'" in commands
    assert "inspect out/pred_a.parquet" in commands
    assert "train --predict" not in commands


def test_many_files_of_a_prediction_are_one_pattern_and_the_first_of_them():
    words = "--predict -t in -c data.yaml -n net.py -m models/a --predict-output "
    options = options_of(f"{words} out/{{group}}_{{file}}.root")
    measured = Prediction(Path("out/x_0.root"), 5, {"loss": 1.0})
    found = screen.commands_after_prediction(options, Judged(), {"0": measured, "1": measured})
    assert [command[1:3] for command in found] == [
        ["report", "a:out/*_*.root"],
        ["inspect", "out/x_0.root"],
        ["export", "-c"],
    ]
    # the same behind a training
    report, _ = screen.next_commands(options, Judged(), [measured.path, measured.path])
    assert report[2] == "a:out/*_*.root"


def test_files_of_several_test_groups_are_judged_as_one_network_by_its_whole_name():
    options = options_of("--predict -t in -c data.yaml -n net.py -m models/a.v2")
    files = {
        name: Prediction(Path(f"out/pred_{name}.root"), 5, {"loss": 1.0}) for name in ("qcd", "top")
    }
    report, *_ = screen.commands_after_prediction(options, Judged(), files)
    assert report[1:3] == ["report", "a.v2:out/pred_*.root"]


def test_what_has_no_truth_is_not_judged_and_an_exported_network_not_exported():
    options = options_of("--predict -t in -c data.yaml -m exported/model.onnx")
    found = screen.commands_after_prediction(
        options, Judged(), {"0": Prediction(Path("p.root"), 5, {})}
    )
    assert found == [["weaver-tt", "inspect", "p.root"]]


def test_a_trial_of_a_search_shows_nothing_of_its_own(training, shown):
    with quiet_terminal():
        assert cli.train(training.flags("--num-epochs", "1")) == 0
    text = shown.getvalue()
    assert "─" not in text.replace("━", "")
    assert "train loss" not in text


def test_without_a_terminal_there_are_lines_alone(training, capsys):
    assert cli.train(training.flags("--num-epochs", "1")) == 0
    shown = capsys.readouterr().err
    assert "INFO    epoch 0: train/loss" in shown
    # with the metrics that say most; metrics.json has all
    line = next(line for line in shown.splitlines() if "best epoch: 0 with" in line)
    assert re.fullmatch(r".*INFO    best epoch: 0 with loss \S+, accuracy \S+, auc \S+.*", line)
    assert "calibration_error" not in line
    assert "Linear(in_features" in shown
    assert "─" not in shown
