"""Errors a user can act on: where it is, what was found, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

MAX_NAME = 200  # characters of a name that are compared with known ones
MAX_LINE = 1000  # characters of a line of a message
MAX_LINES = 300
HEAD = 600  # of a longer line, what is shown of its beginning
TAIL = 300  # and of its end, where the hint stands


class WeaverError(Exception):
    """Base of all errors that the input causes: shown without a traceback, exit code 1.

    What a message shows of the input may be of any size, so that long lines are cut.
    ``is_reported``: whether another rank shows the same error, so that this one need not.
    """

    is_reported = False

    def __init__(self, message: object = "") -> None:
        super().__init__(shorten(str(message)))


class ConfigError(WeaverError):
    """A data YAML, a network file or a flag says something that cannot be done."""


class DataError(WeaverError):
    """A data file cannot be read, or holds something that was not expected."""


class DataErrors:
    """Errors in the data that are found one after the other, and said together."""

    def __init__(self) -> None:
        self._found: list[DataError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """An error inside is noted, and ends what is done inside alone."""
        try:
            yield
        except DataError as error:
            self._found.append(error)

    def check(self) -> None:
        """Raise what was noted.

        Raises:
            DataError: there was something.
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise DataError("\n".join(map(str, self._found)))


class BadFileError(DataError):
    """A data file is damaged, cut short or unreadable.

    That is what ``--on-bad-file skip`` may leave out, unlike a wrong path or column name.
    """


class UserCodeError(WeaverError):
    """A user's own code failed, such as a network file: its lines and its error, ``__cause__``."""


class MissingTreeError(BadFileError):
    """A data file without the tree, or with a tree that has neither rows nor columns.

    A job that found no event leaves such a file; where all files are so, the name of the tree is
    wrong.
    """


class TrainingError(WeaverError):
    """Training cannot go on: a NaN loss, a checkpoint of another network."""


class OutputError(WeaverError):
    """Results cannot be written, or an exported network does not reproduce the trained one."""


def shorten(message: str) -> str:
    """A message without the middle of its lines, and its last lines, where there is too much."""
    lines = message.splitlines()
    shown = [_shorten_line(line) for line in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        shown.append(f"… ({len(lines) - MAX_LINES} more lines)")
    return "\n".join(shown)


def _shorten_line(line: str) -> str:
    if len(line) <= MAX_LINE:
        return line
    return f"{line[:HEAD]} … ({len(line)} characters) … {line[-TAIL:]}"


def nearest(name: str, known: Iterable[str], most: int = 12) -> str:
    """The end of an error message: the known names closest to ``name``.

    Where none is close, all of them, or the first ``most``.
    """
    names = sorted(set(known))
    # nobody means a name of so many characters
    name = name[:MAX_NAME]
    close = difflib.get_close_matches(name, names, n=3)
    if not close:
        # names that differ in case alone are far apart for the matcher
        folded = {known_name.casefold(): known_name for known_name in names}
        matches = difflib.get_close_matches(name.casefold(), folded, n=3)
        close = [folded[match] for match in matches]
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    if not names:
        return "there are none to choose from"
    shown = ", ".join(names[:most])
    if len(names) > most:
        shown += f", … ({len(names) - most} more)"
    return f"known: {shown}"


def unknown_key(key: str, known: Iterable[str], where: str) -> ConfigError:
    """The error for a key that ``where`` does not have, with the nearest that it has."""
    return ConfigError(f"{where}: unknown key {key!r}; {nearest(key, known)}")
