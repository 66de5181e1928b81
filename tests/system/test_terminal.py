"""Numbers and times in few characters."""

import pytest

from weaver_tt.system.terminal import console, short_number, short_time


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.0, "0.0000"), (0.43125, "0.4313"), (-0.43125, "-0.4313"), (5e-3, "5.0e-03")),
        *((1.0, "1"), (12.3456, "12.35"), (1234.5, "1,234"), (366160, "366,160")),
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
