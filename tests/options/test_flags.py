"""Dataclass fields that are flags."""

import argparse
from dataclasses import dataclass

from weaver_tt.options.flags import add_flags, flag, read_flags


def test_any_dataclass_of_flags_makes_a_parser():
    @dataclass
    class Options:
        """Toy options."""

        size: int = flag(3, "how many", "-s")
        names: list[str] = flag([], "which", nargs="*")

    parser = argparse.ArgumentParser()
    add_flags(parser, Options)
    assert read_flags(parser.parse_args(["-s", "5", "--names", "a", "b"]), Options) == Options(
        size=5, names=["a", "b"]
    )
    assert "Toy options" in parser.format_help()
