"""Weaver's logger."""

import logging

import pytest

from weaver_tt.weaver_compat.logger import _configLogger, _logger, warn_n_times, warn_once


@pytest.fixture
def log(caplog, monkeypatch):
    """What was logged."""
    monkeypatch.setattr(logging.getLogger("weaver_tt"), "propagate", True)
    caplog.set_level(logging.DEBUG, "weaver_tt")
    return caplog


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_messages_reach_the_one_log_without_their_color(log, level):
    getattr(_logger, level)("%d of %s", 3, "them", color="bold")
    assert [(record.levelname, record.getMessage()) for record in log.records] == [
        (level.upper(), "3 of them")
    ]


def test_a_warning_comes_as_often_as_it_may(log):
    for _ in range(5):
        warn_once("only once")
        warn_n_times("thrice", 3)
    assert (log.text.count("only once"), log.text.count("thrice")) == (1, 3)


def test_the_log_stays_as_the_entry_point_made_it():
    handlers = list(logging.getLogger("weaver_tt").handlers)
    _configLogger("weaver", stdout=None, filename="x.log")
    assert logging.getLogger("weaver_tt").handlers == handlers
