"""Dataclass fields that are flags."""

import argparse
from dataclasses import dataclass, fields
from typing import get_args, get_type_hints

import pytest

from weaver_tt.cli import COMMANDS, load_object
from weaver_tt.errors import ConfigError
from weaver_tt.options.check import CheckOptions
from weaver_tt.options.flags import (
    Bounds,
    FlagParser,
    add_flags,
    check_bounds,
    flag,
    read_flags,
    usage_of,
    words_of,
)
from weaver_tt.options.train import RunOptions, parse_options


def test_any_dataclass_of_flags_makes_a_parser():
    @dataclass
    class Options:
        """Toy options."""

        size: int = flag(3, "how many", "-s")
        names: list[str] = flag([], "which", nargs="*")

    parser = argparse.ArgumentParser()
    add_flags(parser, Options)
    assert read_flags(parser.parse_args(["-s", "5", "--names", "a", "b"]), Options) == Options(
        size=5, names=["a", "b"]
    )
    assert "Toy options" in parser.format_help()


OPTIONS = [
    CheckOptions,
    *(type(getattr(RunOptions(), part.name)) for part in fields(RunOptions)),
    *(load_object(command.options) for command in COMMANDS.values()),
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: options.__name__)
def test_every_number_has_bounds(options):
    """Without them, 0 or -1 ends in an error of some library, or never."""
    hints = get_type_hints(options)
    numbers = [
        item
        for item in fields(options)
        if {int, float} & {hints[item.name], *get_args(hints[item.name])}
    ]
    without = [item.name for item in numbers if item.metadata["bounds"] is None]
    # -1 of Weaver is one pass over the data: checked in weaver_tt/run/checks.py
    assert set(without) <= {"steps_per_epoch", "steps_per_epoch_val"}


@pytest.mark.parametrize(
    ("bounds", "value", "words"),
    [
        (Bounds(at_least=1), 0, "0: expected a number of at least 1"),
        (Bounds(above=0, at_most=1), 1.5, "1.5: expected a number above 0 and at most 1"),
        (Bounds(above=0), float("inf"), "inf: expected a finite number above 0"),
        (Bounds(), float("nan"), "nan: expected a finite number"),
        (Bounds(at_least=0), [3, -2], "-2: expected a number of at least 0"),
        (Bounds(at_least=1), 1, None),
        (Bounds(at_least=1), None, None),
        (Bounds(at_least=1), [], None),
    ],
)
def test_numbers_out_of_bounds_are_met_with_the_bounds(bounds, value, words):
    @dataclass
    class Options:
        """Toy options."""

        size: float = flag(3.0, "how many", bounds=bounds)

    if words is None:
        check_bounds(Options(size=value))
        return
    with pytest.raises(ConfigError) as refusal:
        check_bounds(Options(size=value))
    assert str(refusal.value) == f"--size {words}"


def test_options_are_a_command_line_again_without_their_defaults():
    words = ["-c", "d.yaml", "-i", "a.root", "b:c.root", "-o", "hidden", "64", "-o", "act", "relu"]
    words += ["--batch-size", "8", "--start-lr", "0.25", "--use-amp", "--no-progress"]
    words += ["--no-figures"]
    options = parse_options(words)
    again = []
    for part in fields(options):
        again += words_of(getattr(options, part.name))
    assert sorted(again) == sorted(words)
    assert parse_options(again) == options
    assert all(words_of(getattr(RunOptions(), part.name)) == [] for part in fields(RunOptions))


def test_a_usage_says_what_takes_several_values():
    @dataclass
    class Options:
        """Toy options."""

        files: list[str] = flag([], "which", positional=True, nargs="+")
        more: list[str] = flag([], "further", positional=True, nargs="*")
        data: list[str] = flag([], "what", "-d", needed=True, nargs="+")

    assert usage_of(Options) == "%(prog)s -d DATA ... FILES ... [MORE ...] [more flags]"


@pytest.mark.parametrize("width", [60, 80])
def test_a_usage_is_broken_between_flags(width, monkeypatch):
    @dataclass
    class Options:
        """Toy options."""

        files: list[str] = flag([], "which", positional=True, nargs="+")
        data_config: str = flag("", "what", "-c", needed=True)
        network_config: str = flag("", "what", "-n", needed=True)

    monkeypatch.setenv("COLUMNS", str(width))
    usage = FlagParser(prog="weaver-tt train", usage=usage_of(Options)).format_usage()
    lines = usage.rstrip().splitlines()
    assert " ".join(line.strip() for line in lines) == (
        "usage: weaver-tt train -c DATA_CONFIG -n NETWORK_CONFIG FILES ... [more flags]"
    )
    assert max(map(len, lines)) <= width - 2
    # a value stands behind its flag
    assert not any(line.endswith((" -c", " -n")) for line in lines)
