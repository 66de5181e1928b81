"""The file of a search, Optuna's journal: opened, and one process at a time where that matters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from weaver_tt.errors import DataError, OutputError
from weaver_tt.system.optional_imports import require_module

STUDY_NAME = "weaver-tt tune"
MAX_LINE = 10_000  # bytes of the first line that are looked at


def open_journal(path: str, command: str) -> Any:
    """Optuna's storage in the journal ``path``, which is made where there is none.

    ``command`` is the one that needs it, for the message where Optuna is not installed.

    Raises:
        ConfigError: Optuna is not installed.
        OutputError: the file cannot be made.
        DataError: it is no journal.
    """
    optuna = require_module("optuna", "tune", command)
    # a line for each trial is ours to write
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = require_module("optuna.storages.journal", "tune", command)
    # a relative path would be lost in its lock, a link that points to it
    path = os.path.abspath(path)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _check_first_line(path)
        storage = optuna.storages.JournalStorage(journal.JournalFileBackend(path))
        # reads all of the file
        storage.get_all_studies()
    except OSError as error:
        raise OutputError(f"{path}: cannot be used: {error.strerror or error}") from error
    # of lines that are no JSON, or have no such keys, or come in an impossible order
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        problem = "not a file of weaver-tt tune, or a damaged one"
        raise DataError(f"{path}: {problem} ({type(error).__name__}: {error})") from error
    return storage


def _check_first_line(path: str) -> None:
    """Raise ValueError for a file of something else, to which a search must not be appended."""
    if not os.path.exists(path):
        return
    with open(path, "rb") as file:
        line = file.readline(MAX_LINE)
    if line and not (line.startswith(b"{") and b'"op_code"' in line):
        raise ValueError(f"its first line is {line[:40]!r}")


@contextmanager
def taking_turns(path: str) -> Iterator[None]:
    """Only one of the processes that share the journal ``path`` is inside at a time.

    A lock that a killed process has left is removed after half a minute. What a full disk has left
    of a last line is cut off.

    Raises:
        OutputError: the file cannot be written.
    """
    from optuna.storages.journal import JournalFileOpenLock, JournalFileSymlinkLock

    path = os.path.abspath(path)
    lock = JournalFileOpenLock(f"{path}.turn")
    try:
        lock.acquire()
        try:
            # the lock under which the journal itself is written
            writing = JournalFileSymlinkLock(path)
            writing.acquire()
            try:
                _cut_partial_line(path)
            finally:
                writing.release()
            yield
        finally:
            lock.release()
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def _cut_partial_line(path: str) -> None:
    """Remove the end of a file that is no whole line: the next one would be written behind it."""
    with open(path, "rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
