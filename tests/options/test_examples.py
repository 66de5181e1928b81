"""The examples at the end of ``--help``."""

import re
import shlex
from dataclasses import fields

import pytest

from tests.options.parsing import OF_TRAINING, parse
from weaver_tt.cli import COMMANDS, main
from weaver_tt.options.examples import EXAMPLES, examples_of
from weaver_tt.options.flags import spellings
from weaver_tt.options.tune import TuneOptions


def test_each_command_has_three_examples():
    assert EXAMPLES.keys() == COMMANDS.keys() | OF_TRAINING.keys()
    assert {len(examples) for examples in EXAMPLES.values()} == {3}


@pytest.mark.parametrize("command", EXAMPLES)
def test_examples_are_commands_that_are_understood(command):
    for arguments in EXAMPLES[command]:
        parse(command, shlex.split(arguments))


@pytest.mark.parametrize("command", EXAMPLES)
def test_examples_have_all_that_a_command_cannot_do_without(command):
    parts = [TuneOptions] if command == "tune" else []
    if command in COMMANDS:
        parts = COMMANDS[command].parts
    needed = [item for part in parts for item in fields(part) if item.metadata["needed"]]
    for arguments in EXAMPLES[command]:
        words = shlex.split(arguments)
        for item in needed:
            assert any(spelling in words for spelling in spellings(item)), (arguments, item.name)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_usage_of_a_command_fits_a_line_and_its_arguments_come_first(
    command, capsys, monkeypatch
):
    text = help_of(command, capsys, monkeypatch)
    usage, _, rest = text.partition("\n\n")
    assert len(usage.splitlines()) <= 2
    assert usage.endswith("[more flags]")
    daily = rest.partition("Daily flags:\n")[2].partition("\n\n")[0]
    for part in COMMANDS[command].parts:
        for item in fields(part):
            settings = item.metadata["argparse"]
            # an argument with choices is shown as these
            is_named = "choices" not in settings
            if is_named and (settings.get("positional") or item.metadata["needed"]):
                assert re.search(rf"^  .*\b{item.name.replace('_', '-')}\b", daily, flags=re.M)


@pytest.mark.parametrize("command", sorted(EXAMPLES))
def test_examples_are_broken_where_a_shell_reads_on(command, capsys, monkeypatch):
    text = help_of(command, capsys, monkeypatch, columns=80).partition("examples:\n")[2]
    assert max(map(len, text.splitlines())) <= 80
    shown = [shlex.split(line) for line in text.replace("\\\n", "").strip().splitlines()]
    assert shown == [shlex.split(line) for line in examples_of(command).splitlines()[1:]]


def help_of(command, capsys, monkeypatch, columns=100):
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    return capsys.readouterr().out


def test_daily_flags_come_first_and_examples_last(capsys, monkeypatch):
    text = help_of("train", capsys, monkeypatch)
    usage, shown = text.split("Daily flags:")
    # the daily flags are on the first screen
    assert len(usage.splitlines()) < 12
    daily, *_ = re.split(r"\n(?=\S)", shown)
    assert "--data-config" in daily
    assert "--start-lr" in daily
    assert "--plateau-factor" not in daily
    # each flag once, in one group
    assert len(re.findall(r"^  .*--start-lr ", shown, flags=re.M)) == 1
    last = text.rstrip().partition("examples:\n")[2].replace("\\\n", "")
    assert len(last.splitlines()) == 3


def test_the_usage_of_a_search_has_what_the_search_needs(capsys, monkeypatch):
    usage, *_ = help_of("tune", capsys, monkeypatch).split("\n\n")
    # broken between flags
    usage = " ".join(usage.split())
    assert "-c DATA_CONFIG -n NETWORK_CONFIG -i DATA_TRAIN" in usage
    assert "--space SPACE --storage STORAGE" in usage


def test_flags_that_a_command_cannot_do_without_are_marked(capsys, monkeypatch):
    assert "data YAML of the training (required)" in help_of("export", capsys, monkeypatch)
    text = " ".join(help_of("train", capsys, monkeypatch).split())
    assert "comes with the package (required)" in text
    assert "(required to train)" in text
