"""Durations as flags have them."""

from __future__ import annotations

import re

from weaver_tt.errors import ConfigError

_DURATION = re.compile(r"(\d{1,5}):([0-5]\d)")


def seconds_of(duration: str, flag: str) -> int:
    """``HH:MM`` in seconds; hours may have up to five digits.

    Raises:
        ConfigError: it is none, or of no length; names the ``flag``.
    """
    match = _DURATION.fullmatch(duration)
    seconds = 0
    if match is not None:
        hours, minutes = map(int, match.groups())
        seconds = 3600 * hours + 60 * minutes
    if seconds == 0:
        raise ConfigError(
            f"{flag} {duration}: expected hours and minutes as HH:MM, above 00:00, such as 11:45"
        )
    return seconds
