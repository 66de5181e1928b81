"""A lock on a name that several processes could write under, held by one of them.

The kernel releases it when its process ends, however that comes: a lock file that is left behind
blocks nobody.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from weaver_tt.errors import OutputError
from weaver_tt.log import log
from weaver_tt.system.json_files import json_text

# worker processes hold the lock of their parent, and end some tenths of a second after it
PATIENCE = 1.5  # seconds
BETWEEN_TRIES = 0.1  # seconds

MOST_CHARACTERS = 100_000  # of a lock file; what is longer is no lock file


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock ``path`` on ``what``, a flag and its value for messages; removes it at the end.

    Where the file system knows no locks, that is said, and nothing is held.

    Raises:
        OutputError: another process holds it; names that process. Or the file cannot be written.
    """
    file = open_locked(path, what)
    if file is None:
        yield
        return
    with file:
        file.truncate(0)
        file.write(json_text(_this_process(), indent=None))
        file.flush()
        try:
            yield
        finally:
            # still held: whoever waits for it sees that its name is gone, and opens it anew
            path.unlink(missing_ok=True)


def open_locked(path: Path, what: str) -> IO[str] | None:
    """The file ``path``, open and locked until it is closed; it is made where there is none.

    None where the file system knows no locks: that is said, and the name is free.

    Raises:
        OutputError: another process holds it; names that process. Or the file cannot be opened.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+")
        except OSError as error:
            raise OutputError(f"{what}: cannot write {path} ({error.strerror})") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _describe_holder(file)
            file.close()
            if time.monotonic() > end:
                raise OutputError(f"{what}: {holder} (lock {path})") from error
            time.sleep(BETWEEN_TRIES)
            continue
        except OSError as error:
            file.close()
            path.unlink(missing_ok=True)
            log.warning(
                "%s: the file system knows no locks (%s): nothing keeps a second process away",
                what,
                error.strerror,
            )
            return None
        if _is_still(path, file):
            return file
        # removed by its last holder in between
        file.close()


def _is_still(path: Path, file: IO[str]) -> bool:
    """Whether ``path`` is the name of the open ``file``."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _this_process() -> dict[str, object]:
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "command": " ".join(sys.argv),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _describe_holder(file: IO[str]) -> str:
    """Who holds the lock, as far as its file says."""
    file.seek(0)
    try:
        holder = json.loads(file.read(MOST_CHARACTERS))
        return (
            f"in use by process {holder['pid']} on {holder['host']} since {holder['started']}: "
            f"{holder['command']}"
        )
    # in the moment in which another process begins to hold it
    except (ValueError, KeyError, TypeError):
        return "in use by another process"
