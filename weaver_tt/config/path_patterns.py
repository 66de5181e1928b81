"""Which files a pattern of ``file_magic`` is for: groups, or paths by regular expressions.

Regular expressions must not run for ever. Python's engine tries again and again: ``(a+)+$`` takes
twice as long for each further letter. What may do so is left to RE2, whose time grows with the
length of the path alone.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

MAX_CHARACTERS = 1000
# repetitions in one pattern, each of which multiplies Python's time by the length of the path
MAX_REPEATS = 2
# the same of patterns that RE2 does not know: lookaheads and back references
MAX_REPEATS_WITHOUT_RE2 = 5

# not the ? of (?!...) and of .*?
_REPEAT = re.compile(r"(?<!\()[*+{?]\??")
# a group that is repeated; verbose patterns may have anything before the repetition
_REPEATED_GROUP = re.compile(r"\)\s*[*+{]|\(\?[a-zA-Z]*x")


def pattern_problem(pattern: str) -> str | None:
    """Why ``pattern`` cannot be used; None where it can."""
    if len(pattern) > MAX_CHARACTERS:
        return f"has more than {MAX_CHARACTERS} characters"
    try:
        re.compile(pattern)
    # OverflowError: a{99999999999}
    except (re.error, OverflowError, RecursionError) as error:
        return f"is not a regular expression: {error}"
    if not _may_backtrack(pattern, MAX_REPEATS):
        return None
    try:
        _is_found_by_re2(pattern, "")
    except pa.ArrowInvalid:
        if _may_backtrack(pattern, MAX_REPEATS_WITHOUT_RE2):
            return (
                "may take for ever: it repeats a group, or too much, besides a lookahead or a back "
                "reference"
            )
    return None


def group_of(pattern: str) -> str | None:
    """The group of files of the pattern ``NAME:``, as ``-i`` and ``-t`` name it; None of a path."""
    return pattern[:-1] if pattern.endswith(":") else None


def is_for_file(pattern: str, path: str, group: str) -> bool:
    """Whether ``pattern`` names the ``group`` of a file, or matches some part of its ``path``."""
    named = group_of(pattern)
    if named is not None:
        return named == group
    return is_found(pattern, path)


def is_found(pattern: str, path: str) -> bool:
    """Whether ``pattern``, which has no problem, matches some part of ``path``."""
    if _may_backtrack(pattern, MAX_REPEATS):
        try:
            return _is_found_by_re2(pattern, path)
        except pa.ArrowInvalid:
            # few repetitions, and a lookahead or a back reference
            pass
    return re.search(pattern, path) is not None


def _may_backtrack(pattern: str, most: int) -> bool:
    """Whether Python's time may grow faster than the path's length to the power ``most`` + 1."""
    if _REPEATED_GROUP.search(pattern):
        return True
    return len(_REPEAT.findall(pattern)) > most


def _is_found_by_re2(pattern: str, path: str) -> bool:
    # a path need not be text that arrow can hold
    text = path.encode(errors="replace").decode()
    return bool(pc.match_substring_regex(pa.scalar(text), pattern).as_py())
