"""What a terminal shows of a training."""

import io
import logging

import pytest
from rich.console import Console

from weaver_tt.engine.trackers.terminal import Terminal


class Clock:
    """Stands still but for what a test adds."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def screen(width=100):
    return Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)


def values(loss, auc=0.5):
    return {
        "train/loss": loss + 0.01,
        "train/auc": 0.4,
        "val/loss": loss,
        "val/auc": auc,
        "val/accuracy": 0.9,
        "learning_rate": 1e-3,
        "rows_train/read": 100.0,
    }


def run_epoch(terminal, clock, number, of_members, seconds=2.0):
    """Train on 100 rows for so many seconds, and validate for one."""
    terminal.begin("train", number)
    clock.now += seconds
    terminal.advance(1.0, 100)
    terminal.end()
    terminal.begin("validate", number)
    clock.now += 1
    terminal.end()
    names = list(terminal._members)
    for name, (of_member, _) in zip(names, of_members, strict=True):
        terminal._members[name].epoch(of_member, number)
    terminal.epoch(of_members[0][0], number)
    for name, (_, is_best) in zip(names, of_members, strict=True):
        terminal._members[name].kept(number, is_best)
    terminal.kept(number, True)


@pytest.fixture
def clock():
    return Clock()


def lines_of(console):
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_each_epoch_is_a_row_with_a_star_at_those_that_are_best_so_far(clock):
    console = screen()
    with Terminal(console, ["auc", "accuracy"], clock=clock) as terminal:
        terminal.member("net")
        run_epoch(terminal, clock, 0, [(values(0.5, 0.75), True)])
        run_epoch(terminal, clock, 1, [(values(0.625, 0.625), False)], seconds=0.5)
    titles, first, second = lines_of(console)
    assert " ".join(titles) == "epoch train loss val loss auc accuracy lr rows/s time"
    assert " ".join(first) == "0 0.5100 0.5000 0.7500 0.9000 1.0e-03 50 3.0 s *"
    assert " ".join(second) == "1 0.6350 0.6250 0.6250 0.9000 1.0e-03 200 1.5 s"


def test_an_epoch_that_goes_on_in_its_validation_has_no_speed_of_training(clock):
    console = screen()
    with Terminal(console, [], clock=clock) as terminal:
        terminal.member("net").epoch(values(0.5), 2)
        terminal.epoch(values(0.5), 2)
        terminal.kept(2, False)
    titles, row = console.file.getvalue().splitlines()
    assert row[: titles.index("rows/s") + 6].endswith("       ")


def test_members_have_rows_of_their_own_below_their_mean(clock):
    console = screen()
    with Terminal(console, ["auc"], clock=clock) as terminal:
        terminal.member("net_member-0")
        terminal.member("net_member-1")
        run_epoch(terminal, clock, 3, [(values(0.5), False), (values(0.25), True)])
    titles, mean, first, second = lines_of(console)
    assert titles[:2] == ["epoch", "member"]
    assert mean[:3] == ["3", "mean", "0.5100"]
    assert first == ["0", "0.5100", "0.5000", "0.5000", "1.0e-03"]
    assert second == ["1", "0.2600", "0.2500", "0.5000", "1.0e-03", "*"]


def test_a_member_that_has_stopped_has_no_row(clock):
    console = screen()
    with Terminal(console, [], clock=clock) as terminal:
        stopped = terminal.member("net_member-0")
        going_on = terminal.member("net_member-1")
        stopped.epoch(values(0.5), 2)
        going_on.epoch(values(0.5), 3)
        terminal.epoch(values(0.5), 3)
        terminal.kept(3, False)
    assert [line[0] for line in lines_of(console)] == ["epoch", "3", "1"]


def test_an_epoch_whose_weights_are_not_kept_has_a_row_without_a_star(clock):
    console = screen()
    with Terminal(console, [], clock=clock) as terminal:
        terminal.member("net").epoch(values(float("nan")), 0)
        terminal.epoch(values(float("nan")), 0)
    _, row = lines_of(console)
    assert row[:3] == ["0", "nan", "nan"]
    assert "*" not in row


def test_without_validation_metrics_are_those_of_the_training(clock):
    console = screen()
    of_training = {"train/loss": 0.5, "train/auc": 0.25, "learning_rate": 0.1}
    with Terminal(console, ["auc"], clock=clock) as terminal:
        terminal.member("net").epoch(of_training, 0)
        terminal.epoch(of_training, 0)
        terminal.kept(0, True)
    titles, row = lines_of(console)
    assert " ".join(titles) == "epoch train loss auc lr rows/s time"
    assert row[1:4] == ["0.5000", "0.2500", "0.1000"]


@pytest.mark.parametrize("width", [64, 80, 102, 120])
def test_the_table_is_as_wide_as_the_terminal_at_most(clock, width):
    console = screen(width)
    names = ["auc", "accuracy", "calibration_error"]
    with Terminal(console, names, clock=clock) as terminal:
        for member in range(2):
            terminal.member(f"net_member-{member}")
        run_epoch(terminal, clock, 0, [(values(0.5), True), (values(0.25), True)])
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert ("calibration_error" in lines[0]) == (width >= 102)


def test_the_log_file_has_each_epoch_as_a_line(clock, caplog):
    logging.getLogger("weaver_tt").propagate = True
    with (
        caplog.at_level(logging.INFO, "weaver_tt"),
        Terminal(screen(), [], clock=clock) as terminal,
    ):
        terminal.epoch({"train/loss": 0.25, "rows_train/read": 9.0}, 0)
    assert caplog.messages == ["epoch 0: train/loss 0.25"]
