"""The terminal that a command runs in, drawn on with rich, which is imported only for that."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@cache
def console() -> Console:
    """The one console, which all that is drawn shares: lines are printed above what is displayed.

    It is on stderr, as the log is. Without colours where ``NO_COLOR`` is set.
    """
    # takes a tenth of a second to import: only where there is a terminal
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def short_number(value: float) -> str:
    """A number in at most six characters, four digits of it: ``0.4312``, ``3.1e-05``, ``12.3M``."""
    size = abs(value)
    if not math.isfinite(size):
        return str(value)
    if size >= 1e6:
        for letter, unit in (("G", 1e9), ("M", 1e6)):
            if size >= unit:
                return f"{value / unit:.1f}{letter}"
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 1:
        return f"{value:.4g}"
    return f"{value:.4f}" if size >= 0.01 or size == 0 else f"{value:.1e}"


def short_time(seconds: float) -> str:
    """A time as ``0.4 s``, ``12 s``, ``3:07`` or ``1:02:45``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
