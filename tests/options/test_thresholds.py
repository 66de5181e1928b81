"""Thresholds of improvement: absolute, or with % relative."""

import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.options.thresholds import Threshold, read_threshold
from weaver_tt.options.train import parse_options


@pytest.mark.parametrize(
    ("text", "size", "is_relative", "shown"),
    [
        ("1e-4", 1e-4, False, "0.0001"),
        ("0", 0.0, False, "0"),
        ("1%", 0.01, True, "1%"),
        (" 0.5 %", 0.005, True, "0.5%"),
    ],
)
def test_a_percentage_is_relative(text, size, is_relative, shown):
    threshold = read_threshold(text, "--plateau-threshold")
    assert threshold == Threshold(size, is_relative)
    assert str(threshold) == shown
    assert read_threshold(shown, "--plateau-threshold") == threshold


def test_a_share_is_of_the_size_of_a_value():
    assert Threshold(0.5).of(-8.0) == 0.5
    assert Threshold(0.5, is_relative=True).of(-8.0) == 4.0


@pytest.mark.parametrize("text", ["", "%", "small", "-1e-4", "-1%", "100%", "nan", "inf", "nan%"])
def test_what_is_no_threshold_is_refused_with_its_flag(text):
    with pytest.raises(ConfigError, match=rf"--early-stopping-threshold {text}: expected a number"):
        read_threshold(text, "--early-stopping-threshold")


def test_help_shows_the_percentage(capsys):
    with pytest.raises(SystemExit):
        parse_options(["--help"])
    assert "(default: 1%)" in " ".join(capsys.readouterr().out.split())
