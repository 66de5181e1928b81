"""Errors a user can act on: each says where, what was found, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WeaverError(Exception):
    """Base of all errors that are the input's fault; the entry point prints the message without a traceback and exits with 1."""


class ConfigError(WeaverError):
    """A data YAML, a network file or a flag says something that cannot be done."""


class DataError(WeaverError):
    """A data file cannot be read, or holds something that was not expected."""


class BadFileError(DataError):
    """A data file is damaged, cut short or unreadable: what ``--on-bad-file skip`` may leave out, unlike a wrong path or column name."""


class TrainingError(WeaverError):
    """Training cannot go on: a NaN loss, a checkpoint of another network."""


class OutputError(WeaverError):
    """Results cannot be written, or an exported network does not reproduce the trained one."""


def nearest(name: str, known: Iterable[str], most: int = 12) -> str:
    """The end of an error message: the known names closest to ``name``, or (the first ``most`` of) all of them."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=3)
    if not close:  # differing case alone defeats the matcher
        folded = {known_name.casefold(): known_name for known_name in names}
        close = [folded[match] for match in difflib.get_close_matches(name.casefold(), folded, n=3)]
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    if not names:
        return "there are none to choose from"
    more = f", … ({len(names) - most} more)" if len(names) > most else ""
    return f"known: {', '.join(names[:most])}{more}"


def unknown_key(key: str, known: Iterable[str], where: str) -> ConfigError:
    """The error for a key that ``where`` does not have, with the nearest that it has."""
    return ConfigError(f"{where}: unknown key {key!r}; {nearest(key, known)}")
