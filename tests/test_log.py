"""The logger speaks on rank 0 and writes its file."""

import io
import logging
import sys

import pytest

from weaver_tt.errors import OutputError
from weaver_tt.log import (
    SHOWN_OTHERWISE,
    configure_log,
    format_metrics,
    has_quiet_terminal,
    is_terminal,
    log,
    messages_of,
    quiet_terminal,
    shown_when_new,
    wrap_lines,
)


@pytest.fixture(autouse=True)
def silent_afterwards():
    yield
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    log.addHandler(logging.NullHandler())
    log.propagate = True
    log.setLevel(logging.NOTSET)


def test_messages_reach_stderr_and_the_file(tmp_path, capsys):
    configure_log(file=str(tmp_path / "new" / "run.log"))
    log.info("23 rows")
    assert "23 rows" in capsys.readouterr().err
    assert "INFO    23 rows" in (tmp_path / "new" / "run.log").read_text()


def test_other_ranks_are_silent_below_errors_and_write_no_file(tmp_path, capsys):
    configure_log(file=str(tmp_path / "run.log"), rank=1)
    log.warning("only rank 0 says this")
    log.error("everybody says this")
    assert "only rank 0" not in (err := capsys.readouterr().err)
    assert "everybody" in err
    assert not (tmp_path / "run.log").exists()


def test_configuring_twice_does_not_repeat_messages(capsys):
    configure_log()
    configure_log()
    log.info("once")
    assert capsys.readouterr().err.count("once") == 1


def test_what_is_not_defined_is_left_out_of_the_line():
    assert (
        format_metrics({"loss": 0.123456, "auc_c": float("nan"), "rejection": float("inf")})
        == "loss 0.12346, rejection inf"
    )


def test_a_log_that_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"run\.log: cannot be written"):
        configure_log(file=str(tmp_path / "file" / "run.log"))


@pytest.fixture
def on_a_terminal(monkeypatch):
    monkeypatch.setattr("weaver_tt.log.is_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_terminal_is_one_that_can_show_more_than_lines(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert not is_terminal()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert is_terminal()
    monkeypatch.setenv("TERM", "dumb")
    assert not is_terminal()
    monkeypatch.delenv("TERM")
    assert not is_terminal()


def test_a_terminal_leaves_out_what_it_shows_otherwise_and_the_file_has_it(
    on_a_terminal, tmp_path, capsys
):
    configure_log(file=str(tmp_path / "run.log"))
    log.info("epoch 3: loss 0.5", extra=SHOWN_OTHERWISE)
    log.info("copied")
    shown = capsys.readouterr().err
    assert "epoch 3" not in shown
    assert "INFO    copied" in shown
    assert "INFO    epoch 3: loss 0.5" in (tmp_path / "run.log").read_text()


def test_without_a_terminal_everything_is_a_line(capsys):
    configure_log()
    log.info("epoch 3: loss 0.5", extra=SHOWN_OTHERWISE)
    for _ in range(2):
        log.info("9 rows", extra=shown_when_new("rows", 9))
    log.warning("careful")
    shown = capsys.readouterr().err
    assert "INFO    epoch 3: loss 0.5" in shown
    assert shown.count("9 rows") == 2
    assert "\x1b" not in shown


def test_a_terminal_shows_numbers_of_rows_once_and_when_they_change(on_a_terminal, capsys):
    configure_log()
    for rows in (9, 9, 8, 8):
        log.info("%d rows", rows, extra=shown_when_new("rows", rows))
        log.info("%d others", 3, extra=shown_when_new("others", 3))
    shown = [line.split("INFO")[1].strip() for line in capsys.readouterr().err.splitlines()]
    assert shown == ["9 rows", "3 others", "8 rows"]


def test_further_lines_of_a_message_stand_below_its_first_on_a_terminal(on_a_terminal, capsys):
    configure_log()
    log.info("test data: 9 rows\n  dropped: 3")
    first, second = capsys.readouterr().err.splitlines()
    # the message begins behind the time and the level
    assert first.index("test data") + 2 == second.index("dropped")


def test_warnings_and_errors_are_coloured_on_a_terminal_unless_no_color_is_set(
    on_a_terminal, capsys, monkeypatch
):
    configure_log()
    log.warning("careful")
    log.error("wrong")
    shown = capsys.readouterr().err
    assert "\x1b[33mWARNING\x1b[0m careful" in shown
    assert "\x1b[1;31mERROR\x1b[0m   wrong" in shown
    monkeypatch.setenv("NO_COLOR", "1")
    log.warning("careful")
    assert "\x1b" not in capsys.readouterr().err


def test_messages_on_a_terminal_go_where_stderr_leads_when_they_come(on_a_terminal, monkeypatch):
    configure_log()
    elsewhere = io.StringIO()
    monkeypatch.setattr(sys, "stderr", elsewhere)
    log.info("above the bars")
    assert "above the bars" in elsewhere.getvalue()


def test_long_lines_are_broken_between_words_and_short_ones_stay():
    text = "12:00:00 INFO    jets/pred.root: auc 0.85\n  of pf_features, pf_mask, pf_points\nshort"
    assert wrap_lines(text, 33, " " * 17).splitlines() == [
        "12:00:00 INFO    jets/pred.root:",
        "                 auc 0.85",
        "  of pf_features, pf_mask,",
        "    pf_points",
        "short",
    ]
    # a path stays whole
    assert wrap_lines("a/long/path", 5) == "a/long/path"


def test_a_quiet_terminal_is_told_warnings_alone_and_the_file_everything(
    on_a_terminal, tmp_path, capsys
):
    configure_log(file=str(tmp_path / "run.log"))
    with quiet_terminal():
        assert has_quiet_terminal()
        # a trial has a log of its own
        configure_log(file=str(tmp_path / "run.log"))
        log.info("figures in out")
        log.warning("careful")
    log.info("done")
    shown = capsys.readouterr().err
    assert "figures" not in shown
    assert "careful" in shown
    assert "done" in shown
    assert "figures in out" in (tmp_path / "run.log").read_text()


def test_messages_say_which_of_several_networks_they_are_of(caplog):
    with messages_of("net_member-1 of 100%"), caplog.at_level("INFO"):
        log.info("the mean is %.1f", 0.25)
        log.warning("100% of it")
    log.warning("over")
    assert caplog.messages == [
        "net_member-1 of 100%: the mean is 0.2",
        "net_member-1 of 100%: 100% of it",
        "over",
    ]
