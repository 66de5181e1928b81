"""Figures that fail are said once and left out: no training ends for want of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from weaver_tt.log import log
from weaver_tt.system.user_code import explain_user_error

_reported: set[str] = set()


@contextmanager
def attempting(figure: str) -> Iterator[None]:
    """Draw or write ``figure`` inside; where that fails, it is said the first time."""
    try:
        yield
    # a task of the user's own may draw, and matplotlib raises what its libraries do
    except Exception as error:
        if figure in _reported:
            return
        _reported.add(figure)
        reason = explain_user_error(error) or f"{type(error).__name__}: {error}"
        log.warning("%s: cannot be made, and left out: %s", figure, reason)
