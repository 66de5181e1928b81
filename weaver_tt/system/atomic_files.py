"""Small files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from weaver_tt.errors import OutputError


@contextmanager
def writing(path: str | Path, make_folders: bool = False) -> Iterator[IO[bytes]]:
    """Open a binary file that becomes ``path`` once all of it is on the disk.

    Whatever goes wrong, ``path`` still holds what it held before, and nothing else is left behind.
    With ``make_folders``, missing folders are made.

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".part")
    try:
        if make_folders:
            path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            yield file
            file.flush()
            # without this, a crash of the machine could leave the new name on an empty file
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        if partial.parent.is_dir():
            partial.unlink(missing_ok=True)
        # torch reports a failed write as a RuntimeError
        if isinstance(error, OSError | RuntimeError):
            problem = f"cannot be written ({error}); what it held before is untouched"
            raise OutputError(f"{path}: {problem}") from error
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all, and make the folders that are missing.

    Raises:
        OutputError: the file cannot be written.
    """
    with writing(path, make_folders=True) as file:
        file.write(text.encode())
