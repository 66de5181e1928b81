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
    """A binary file that becomes ``path`` once all of it is on the disk; ``make_folders`` where they are missing.

    Whatever goes wrong, ``path`` still holds what it held before and nothing else is left behind. Raises OutputError when it cannot be written.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".part")
    try:
        if make_folders:
            path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        if partial.parent.is_dir():
            partial.unlink(missing_ok=True)
        if isinstance(
            error, OSError | RuntimeError
        ):  # torch reports a failed write as a RuntimeError
            raise OutputError(
                f"{path}: cannot be written ({error}); what it held before is untouched"
            ) from error
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all, with the folders it needs; OutputError as :func:`writing`."""
    with writing(path, make_folders=True) as file:
        file.write(text.encode())
