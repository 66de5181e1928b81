"""Flags of Weaver that are not needed here."""

from weaver_tt.options.train import RunOptions, parse_options


def test_flags_that_are_not_needed_here_say_what_replaces_them(caplog):
    with caplog.at_level("WARNING"):
        assert parse_options(["--fetch-step", "0.1", "--no-in-memory"]) == RunOptions()
    assert "--fetch-step is not needed: rows are shuffled in a pool" in caplog.text
    assert "--no-in-memory is not needed" in caplog.text
