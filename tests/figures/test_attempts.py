"""A figure that fails is said once, with its reason, and nothing ends."""

import logging

import pytest

from weaver_tt.figures.attempts import attempting


def test_a_failing_figure_is_said_the_first_time(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        for _ in range(2):
            with attempting("a figure of this test"):
                raise ZeroDivisionError("no entries")
    [message] = [record.getMessage() for record in caplog.records]
    assert "a figure of this test" in message
    assert "ZeroDivisionError: no entries" in message


def test_what_ends_a_program_is_no_failure() -> None:
    with pytest.raises(KeyboardInterrupt), attempting("another figure"):
        raise KeyboardInterrupt
