"""How far something is: a bar on a terminal, lines in a log."""

import io
import logging

import pytest
from rich.console import Console

from weaver_tt.system import progress_bar as module
from weaver_tt.system.progress_bar import LoggedProgress, progress_bar


@pytest.fixture
def logged(caplog):
    logging.getLogger("weaver_tt").propagate = True
    with caplog.at_level(logging.INFO, "weaver_tt"):
        yield caplog


def test_without_a_terminal_there_is_a_line_a_minute_with_the_time_left(logged):
    now = 100.0
    advance = LoggedProgress("simulate", 4000, "jet", clock=lambda: now)
    for seconds in (59, 2, 58, 1, 1):
        now += seconds
        advance(500)
    # 1,000 jets in 61 s, then 3,000 take 183 s; 2,500 in 121 s, then 1,500 take 72.6 s
    assert logged.messages == [
        "simulate: 1,000 of 4,000 jets, 3:03 left",
        "simulate: 2,500 of 4,000 jets, 1:13 left",
    ]


def test_the_end_is_no_line(logged):
    now = 0.0
    advance = LoggedProgress("simulate", 10, "jet", clock=lambda: now)
    now = 100.0
    advance(10)
    assert logged.messages == []


def test_a_terminal_shows_a_bar_and_takes_it_away(monkeypatch):
    shown = io.StringIO()
    screen = Console(file=shown, width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr(module, "is_terminal", lambda: True)
    monkeypatch.setattr(module, "console", lambda: screen)
    monkeypatch.setattr(module, "REDRAW_EVERY", 0.0)
    with progress_bar("lund", 4000, "jet") as advance:
        advance(1000)
    text = shown.getvalue()
    assert "lund" in text
    assert " 25% 1,000 of 4,000 jets" in text
    # the line is erased
    assert text.rstrip().endswith("\x1b[2K")


def test_what_is_not_to_be_shown_is_neither_drawn_nor_logged(monkeypatch, logged, capsys):
    monkeypatch.setattr(module, "is_terminal", lambda: True)
    with progress_bar("lund", 4000, "jet", is_shown=False) as advance:
        advance(1000)
    assert capsys.readouterr().err == ""
    assert logged.messages == []
