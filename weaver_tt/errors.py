"""Errors a user can act on: where it is, what was found, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WeaverError(Exception):
    """Base of all errors that the input causes: shown without a traceback, exit code 1."""


class ConfigError(WeaverError):
    """A data YAML, a network file or a flag says something that cannot be done."""


class DataError(WeaverError):
    """A data file cannot be read, or holds something that was not expected."""


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


def nearest(name: str, known: Iterable[str], most: int = 12) -> str:
    """The end of an error message: the known names closest to ``name``.

    Where none is close, all of them, or the first ``most``.
    """
    names = sorted(set(known))
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
