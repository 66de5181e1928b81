"""Names of parameters chosen by regular expressions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from weaver_tt.errors import ConfigError, nearest


def match_names(patterns: Iterable[str], names: Iterable[str], flag: str) -> set[str]:
    """The names that one of the regular expressions matches from their beginning.

    Raises:
        ConfigError: a pattern is no regular expression, or matches nothing; ``flag`` says where the
            patterns come from.
    """
    known = list(names)
    found: set[str] = set()
    for pattern in patterns:
        try:
            matched = {name for name in known if re.match(pattern, name)}
        except re.error as error:
            raise ConfigError(f"{flag}: {pattern!r} is not a regular expression: {error}") from None
        if not matched:
            # most likely a misspelt name, and what was to be frozen would be trained
            raise ConfigError(
                f"{flag}: {pattern!r} matches no name from its beginning; {nearest(pattern, known)}"
            )
        found |= matched
    return found
