"""Frames, commands to be copied, numbers and times in few characters."""

import io
import re
import shlex

import pytest
from rich.console import Console

from weaver_tt.system import terminal
from weaver_tt.system.terminal import (
    command_text,
    console,
    print_commands,
    report_results,
    short_number,
    short_time,
    show_panel,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.0, "0.0000"), (0.43125, "0.4313"), (-0.43125, "-0.4313"), (5e-3, "5.0e-03")),
        *(
            (1.0, "1"),
            (1.2, "1.200"),
            (-9.9996, "-10.00"),
            (187, "187"),
            (12.3456, "12.35"),
            (1234.5, "1,234"),
            (366160, "366,160"),
        ),
        *((12_345_678, "12.3M"), (2.5e9, "2.5G"), (float("nan"), "nan")),
    ],
)
def test_a_number_has_few_characters(value, text):
    assert short_number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1:00")),
        *((187, "3:07"), (3765, "1:02:45")),
    ],
)
def test_a_time_has_few_characters(seconds, text):
    assert short_time(seconds) == text


def test_there_is_one_console_on_stderr():
    assert console() is console()
    assert console().stderr


@pytest.mark.parametrize("width", [40, 80])
def test_a_command_is_broken_where_a_shell_goes_on_reading(width):
    words = ["weaver-tt", "train", "-t", "x y.root", "-c", "data.yaml", "-m", "a", "--predict"]
    text = command_text(words, width)
    # a shell leaves out what ends a line that goes on
    assert shlex.split(text.replace("\\\n", "")) == words
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert (len(lines) > 1) == (width == 40)
    # a flag stays with its values
    assert not any(re.search(r" -\w \\$", line) for line in lines)


def test_without_a_terminal_a_command_is_one_line(capsys):
    words = ["weaver-tt", "check", "-i", *(f"file number {number}.root" for number in range(9))]
    print_commands([words])
    title, line = capsys.readouterr().out.splitlines()
    assert title == "next:"
    assert shlex.split(line) == words


def test_on_a_terminal_it_is_broken_where_results_are_printed(monkeypatch):
    drawn = Console(file=io.StringIO(), width=40, force_terminal=True, color_system=None)
    monkeypatch.setattr(terminal, "prints_to_terminal", lambda: True)
    monkeypatch.setattr(terminal, "console", lambda stderr: drawn if not stderr else None)
    print_commands([["weaver-tt", "check", "-c", "data.yaml", "-i", "a_long_name.root"]])
    lines = drawn.file.getvalue().splitlines()
    assert lines == ["next", "  weaver-tt check -c data.yaml \\", "      -i a_long_name.root"]


def test_a_frame_is_as_wide_as_the_terminal_but_not_wider_than_can_be_read():
    for width, expected in ((60, 60), (300, 100)):
        drawn = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
        show_panel(drawn, "jets", [("data", "d.yaml"), ("file", "x" * 150)])
        lines = drawn.file.getvalue().splitlines()
        assert {len(line) for line in lines} == {expected}
        assert lines[0].startswith("╭─ jets ─")
        # what is too long for a line is all there
        assert drawn.file.getvalue().count("x") == 150


def test_a_frame_is_broken_between_items_and_a_number_stays_with_its_error():
    drawn = Console(file=io.StringIO(), width=40, force_terminal=True, color_system=None)
    text = "brier 0.4764 ± 0.0024, log_loss 1.2070 ± 0.0053, auc 0.9"
    show_panel(drawn, "predicted", [("file", text), ("note", "a sentence of many words, " * 3)])
    lines = [line.strip("│ ") for line in drawn.file.getvalue().splitlines()]
    assert lines[1:5] == [
        "file  brier 0.4764 ± 0.0024,",
        "log_loss 1.2070 ± 0.0053,",
        "auc 0.9",
        "note  a sentence of many words,",
    ]


RESULTS = [("map", "chi2/ndf 1.2"), ("", "of two flavours"), ("figures", "closure/*.png")]
NEXT = [["weaver-tt", "inspect", "a file.root"]]


def test_a_command_ends_in_lines_of_the_log_where_there_is_no_terminal(caplog, capfd):
    with caplog.at_level("INFO"):
        report_results("closure", RESULTS, NEXT)
    assert caplog.messages == [
        "map: chi2/ndf 1.2",
        "map: of two flavours",
        "figures: closure/*.png",
    ]
    assert capfd.readouterr() == ("", "")


def test_a_line_of_the_log_names_all_that_it_belongs_to(caplog):
    results = [("pT 300 to 400", ""), ("  SF b", "0.9"), ("", "few jets"), ("  SF c", "1.1")]
    with caplog.at_level("INFO"):
        report_results("calibration", [*results, ("page", "a.html")])
    assert caplog.messages == [
        "pT 300 to 400, SF b: 0.9",
        "pT 300 to 400, SF b: few jets",
        "pT 300 to 400, SF c: 1.1",
        "page: a.html",
    ]


def test_a_command_ends_in_a_frame_and_the_next_commands_on_a_terminal(monkeypatch, caplog):
    drawn = Console(file=io.StringIO(), width=40, force_terminal=True, color_system=None)
    monkeypatch.setattr(terminal, "is_terminal", lambda: True)
    monkeypatch.setattr(terminal, "console", lambda: drawn)
    report_results("closure", RESULTS, NEXT)
    lines = drawn.file.getvalue().splitlines()
    assert lines[0].startswith("╭─ closure ─")
    assert [line.strip("│ ") for line in lines[1:4]] == [
        *("map      chi2/ndf 1.2", "of two flavours", "figures  closure/*.png"),
    ]
    assert lines[5:] == ["next", "  weaver-tt inspect 'a file.root'"]
    assert not caplog.messages
    # nothing is next after some
    report_results("closure", RESULTS)
    assert drawn.file.getvalue().count("next") == 1
