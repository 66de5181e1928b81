"""The options of ``weaver-tt check``."""

from __future__ import annotations

from dataclasses import dataclass, field

from weaver_tt.options.flags import flag
from weaver_tt.options.train import COUNT, RunOptions


@dataclass(kw_only=True)
class CheckOptions:
    """What to look at and how to show it."""

    rows: int = flag(
        2000, "rows of each file group to look at; all files are opened in any case", bounds=COUNT
    )
    json: bool = flag(False, "print everything as JSON instead of tables")


@dataclass(kw_only=True)
class CheckRun(RunOptions):
    """All options of ``weaver-tt check``: those of a training, and its own."""

    check: CheckOptions = field(default_factory=CheckOptions)
