"""The flags of ``weaver-tt inputs``."""

from __future__ import annotations

from dataclasses import dataclass

from weaver_tt.options.figures import MAX_CLASSES
from weaver_tt.options.flags import COUNT, flag


@dataclass(kw_only=True)
class InputsOptions:
    """Every input variable of each class, before and after scaling, on one page."""

    data_config: str = flag("", "the data YAML, or weaver_tt:NAME of an example", "-c", needed=True)
    data_train: list[str] = flag(
        [],
        "data files, as a training takes them: path, pattern or name:pattern",
        "-i",
        needed=True,
        nargs="+",
    )
    output: str = flag("inputs", "folder to write to", "-o")
    rows: int = flag(
        200_000, "rows to look at, spread evenly over all files; of fewer, all", bounds=COUNT
    )
    classes: list[str] = flag(
        [],
        f"classes to draw (default: all, or the {MAX_CLASSES} with most rows); the others are "
        "drawn together, and the table has all",
        nargs="+",
    )
    custom_functions: str | None = flag(
        None, "Python file with functions for expressions of the data YAML"
    )
