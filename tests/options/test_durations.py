"""Durations are hours and minutes."""

import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.options.durations import seconds_of


def test_hours_and_minutes_are_seconds():
    assert seconds_of("11:45", "--max-time") == 42300
    assert seconds_of("0:01", "--max-time") == 60
    assert seconds_of("168:00", "--max-time") == 604800


@pytest.mark.parametrize("text", ["1", "00:00", "12:60", "-1:00", "1:00:00", "123456:00", ""])
def test_anything_else_is_refused(text):
    with pytest.raises(ConfigError, match=f"--max-time {text}: expected .* HH:MM"):
        seconds_of(text, "--max-time")
