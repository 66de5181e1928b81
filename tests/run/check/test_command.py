"""``weaver-tt check`` as a user and as a script see it."""

import io
import json
import shlex

import pytest
from rich.console import Console

from weaver_tt.cli import main
from weaver_tt.options.train import parse_options
from weaver_tt.run.check import command


def check(training, *more, config=None) -> int:
    return main(["check", *training.flags(*more, config=config)])


def test_a_training_that_runs_is_shown_and_ends_with_0(training, capsys):
    assert check(training, "-t", "b.parquet") == 0
    shown = capsys.readouterr().out
    assert "no problem found" in shown
    # 32 of the 40 rows of each file are trained on
    assert "training  (no name)      2    80    100.0%    64  is_a 50%, is_b 50%" in shown
    assert "test      (no name)      1    40    100.0%    40  is_b 100%" in shown
    assert "64 in 8 batches" in shown
    # nothing is left behind
    assert sorted(path.name for path in training.path.iterdir()) == [
        "a.parquet",
        "b.parquet",
        "d.yaml",
        "net.py",
    ]


@pytest.fixture
def shown(monkeypatch):
    """What is shown on a terminal of 100 columns."""
    drawn = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    monkeypatch.setattr(command, "prints_to_terminal", lambda: True)
    monkeypatch.setattr(command, "console", lambda stderr: drawn)
    return drawn.file


def test_a_terminal_shows_what_was_looked_at_the_findings_and_the_training(training, shown):
    assert check(training, "--batch-size", "16", "--extra-selection-train", "x > -1000") == 0
    text = shown.getvalue()
    assert text.startswith("╭─ check ─")
    header, _, findings = text.partition("╰")
    assert "d.yaml" in header
    assert "net.py" in header
    assert "training  (no name)      2    80    100.0%    64  is_a 50%, is_b 50%" in findings
    # the training that is shown is the one that was tried
    _, _, words = text.partition("no problem found\nnext\n")
    again = parse_options(shlex.split(words.replace("\\\n", ""))[2:])
    assert again.data.data_config == "d.yaml"
    assert again.data.data_train == ["a.parquet", "b.parquet"]
    assert again.network.network_config == "net.py"
    flags = training.flags("--batch-size", "16", "--extra-selection-train", "x > -1000")
    assert again == parse_options(flags)


def test_a_check_without_a_network_goes_on_with_the_one_beside_the_data_yaml(training, shown):
    flags = training.flags()
    place = flags.index("-n")
    del flags[place : place + 2]
    (training.path / "network.py").touch()
    assert main(["check", *flags]) == 0
    _, _, words = shown.getvalue().partition("no problem found\nnext\n")
    assert "-n network.py" in words
    # it is there, which a name that stands for one yet to be chosen need not be
    assert (training.path / "network.py").is_file()


def test_with_a_problem_nothing_comes_next(training, shown):
    assert check(training, config={"event_weight": "y"}) == 1
    text = shown.getvalue()
    assert "no column 'y' (needed by event_weight)" in text
    assert "weaver-tt train" not in text


def test_all_problems_are_listed_at_once_and_end_with_1(training, capsys):
    config = {"labels": {"type": "simple", "value": ["is_a", "is_c"]}, "event_weight": "y"}
    assert check(training, config=config) == 1
    found = capsys.readouterr()
    assert "no column 'is_c' (needed by labels.is_c) in a.parquet and 1 more" in found.out
    assert "no column 'y' (needed by event_weight)" in found.out
    assert "2 problems, listed above" in found.err


def test_json_holds_the_same(training, capsys):
    assert check(training, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["problems"], found["groups"][0]["rows"]) == ([], 80)
    assert found["groups"][0]["targets"] == {"is_a": 40, "is_b": 40}
    assert [column["name"] for column in found["columns"]] == ["x", "n"]
    # 4 x 2 + 4 and 2 x 4 + 2 of the layers, 2 x 2 of the norm
    assert found["epoch"]["parameters"] == 12 + 10 + 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data-config and files"),
        (["-c", "d.yaml"], "--data-config and files"),
        (["-c", "d.yaml", "-i", "a.parquet", "--batch-size", "0"], "--batch-size 0"),
        (["-c", "d.yaml", "-i", "a.parquet", "--rows", "0"], "--rows 0"),
        (["-c", "d.yaml", "-i", "a.parquet", "--optimizer", "adm"], "did you mean"),
    ],
)
def test_flags_that_are_missing_or_impossible(training, arguments, message, capsys):
    assert main(["check", *arguments]) == 1
    assert message in capsys.readouterr().err
