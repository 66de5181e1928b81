"""Flags are the fields of dataclasses."""

import argparse
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from weaver_tt.options import RunOptions, add_flags, flag, parse, read_flags


def test_defaults_of_the_command_line_are_those_of_the_dataclasses():
    assert parse([]) == RunOptions()


def test_weavers_short_spellings_mean_the_long_flags():
    data = ["-i", "a:x.root", "b:y.root", "-t", "t.root", "-c", "d.yaml"]
    options = parse([*data, "-n", "n.py", "-o", "depth", "3", "-o", "wide", "True", "-m", "p/x"])
    assert options.data.data_train == ["a:x.root", "b:y.root"]
    assert options.data.data_config == "d.yaml"
    assert options.data.data_test == ["t.root"]
    assert options.network.network_option == [["depth", "3"], ["wide", "True"]]
    assert options.network.model_prefix == "p/x"


def test_an_empty_gpus_flag_is_kept_apart_from_an_absent_one():
    assert parse(["--gpus", ""]).train.gpus == ""
    assert parse([]).train.gpus is None


def test_lists_are_not_shared_between_options():
    first = parse([])
    first.data.data_train.append("x.root")
    assert parse([]).data.data_train == []


def test_numbers_are_converted_and_wrong_ones_refused(capsys):
    assert parse(["--batch-size", "7"]).data.batch_size == 7
    with pytest.raises(SystemExit) as stop:
        parse(["--batch-size", "many"])
    assert stop.value.code == 2
    assert "--batch-size" in capsys.readouterr().err


def test_any_dataclass_of_flags_makes_a_parser():
    @dataclass
    class Options:
        """Toy options."""

        size: int = flag(3, "how many", "-s")
        names: list[str] = flag([], "which", nargs="*")

    parser = argparse.ArgumentParser()
    add_flags(parser, Options)
    assert read_flags(parser.parse_args(["-s", "5", "--names", "a", "b"]), Options) == Options(size=5, names=["a", "b"])
    assert "Toy options" in parser.format_help()


def test_every_flag_is_in_the_documentation():
    page = (Path(__file__).parents[1] / "docs" / "command-line.md").read_text()
    flags = ["--" + item.name.replace("_", "-") for part in fields(RunOptions) for item in fields(part.default_factory) if item.name != "log"]
    assert [name for name in flags if f"`{name}`" not in page] == []


def test_flags_that_are_not_needed_here_say_what_replaces_them(caplog):
    with caplog.at_level("WARNING"):
        assert parse(["--fetch-step", "0.1", "--no-in-memory"]) == RunOptions()
    assert "--fetch-step is not needed: rows are shuffled in a pool" in caplog.text
    assert "--no-in-memory is not needed" in caplog.text
