"""Bars at the bottom of a terminal."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from weaver_tt.engine.trackers.bars import Bars, with_bar


class Clock:
    """Stands still but for what a test adds."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)


def picture(bars):
    """The bars as text, by their titles."""
    out = Console(file=io.StringIO(), width=100, color_system=None)
    out.print(bars._picture())
    return out.file.getvalue().splitlines()


def test_a_quarter_of_a_pass_in_ten_seconds_leaves_thirty(console, clock):
    bars = Bars(console, clock=clock)
    bars.begin("predict", 0)
    clock.now = 10.0
    bars.advance(0.25, 500)
    [line] = picture(bars)
    assert line.startswith("predict")
    assert "25%" in line
    assert "30 s left" in line
    assert "50 rows/s" in line
    bars.close()


def test_a_resumed_pass_is_timed_from_where_it_goes_on(console, clock):
    bars = Bars(console, clock=clock)
    bars.begin("train", 0, progress=0.5)
    clock.now = 10.0
    bars.advance(0.75, 500)
    assert "75%" in picture(bars)[0]
    assert "10 s left" in picture(bars)[0]
    bars.close()


def test_a_remark_is_of_the_running_pass(clock):
    wide = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    bars = Bars(wide, 2, clock)
    bars.begin("train", 0)
    bars.remark = "loss 0.1234"
    assert "loss 0.1234" in picture(bars)[0]
    bars.begin("validate", 0)
    assert "loss" not in picture(bars)[0]
    bars.close()


def test_the_whole_counts_validation_by_the_time_it_takes(console, clock):
    # of each epoch 6 s are training and 2 s validation; of 4 epochs 3 are left: 24 s
    bars = Bars(console, epochs=4, clock=clock)
    for stage, seconds in (("train", 6.0), ("validate", 2.0)):
        bars.begin(stage, 0)
        for part in (0.5, 1.0):
            clock.now += seconds / 2
            bars.advance(part, 100)
        bars.end()
    _, whole = picture(bars)
    assert whole.startswith("1 of 4 epochs")
    assert "25%" in whole
    assert "24 s left" in whole
    # and half through the next training: 21 s
    bars.begin("train", 1)
    clock.now += 3.0
    bars.advance(0.5, 100)
    _, whole = picture(bars)
    assert whole.startswith("2 of 4 epochs")
    assert "21 s left" in whole
    bars.close()


@pytest.mark.parametrize("width", [60, 80, 100])
def test_bars_leave_room_for_what_a_terminal_shows_of_ctrl_c(clock, width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    bars = Bars(console, epochs=100, clock=clock)
    bars.begin("validate", 99)
    bars.remark = "loss 0.1234"
    clock.now = 1000.0
    bars.advance(0.25, 10**9)
    lines = picture(bars)
    assert len(lines) == 2
    assert max(map(len, lines)) < width - 2
    bars.close()


def test_lines_that_are_printed_meanwhile_stay(console, clock):
    bars = Bars(console, epochs=2, clock=clock)
    bars.begin("train", 0)
    console.print("a warning")
    bars.close()
    assert "a warning" in console.file.getvalue()
    # the cursor is there again
    assert console.file.getvalue().rindex("\x1b[?25h") > console.file.getvalue().rindex("\x1b[?25l")


def test_what_is_printed_into_a_file_stays_there(console, clock, capsys):
    bars = Bars(console, clock=clock)
    bars.begin("train", 0)
    print("of a network file")
    bars.close()
    assert capsys.readouterr().out == "of a network file\n"
    assert "of a network file" not in console.file.getvalue()


def test_a_bar_around_batches_goes_when_an_error_comes(console):
    batches = [SimpleNamespace(progress=0.5, size=3), SimpleNamespace(progress=1.0, size=3)]
    assert list(with_bar(batches, "predict", console)) == batches
    shown = with_bar(batches, "predict", console)
    next(shown)
    with pytest.raises(ZeroDivisionError):
        shown.throw(ZeroDivisionError())
    # the cursor is there again
    assert console.file.getvalue().rindex("\x1b[?25h") > console.file.getvalue().rindex("\x1b[?25l")
