"""Commands as they stand in ``--help`` and in the docs, read as the command line reads them."""

from weaver_tt.cli import COMMANDS
from weaver_tt.options.check import CheckRun
from weaver_tt.options.flags import FlagParser, add_flags, check_bounds, read_flags
from weaver_tt.options.train import RunOptions, parse_options
from weaver_tt.options.tune import TuneRun

OF_TRAINING = {"train": RunOptions, "check": CheckRun, "tune": TuneRun}


def parse(command, words):
    """Read the flags ``words`` of a command; one that is not understood ends or raises."""
    if command in OF_TRAINING:
        parse_options(words, f"weaver-tt {command}", kind=OF_TRAINING[command])
        return
    parts = COMMANDS[command].parts
    parser = FlagParser()
    add_flags(parser, *parts)
    namespace = parser.parse_flags(words)
    for part in parts:
        check_bounds(read_flags(namespace, part))
