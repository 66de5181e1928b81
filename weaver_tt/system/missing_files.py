"""What is said of a file that is not there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from weaver_tt.errors import nearest


def no_such_file(path: str | Path, *endings: str) -> str:
    """``PATH: no such file``, and which files beside it are called nearly so.

    With ``endings``, such as ``.json``, only files that end in one of them.
    """
    file = Path(path)
    beside = []
    # where there is no folder, or it may not be listed, there is nothing to choose from
    with suppress(OSError):
        for item in file.parent.iterdir():
            if item.is_file() and (not endings or item.name.endswith(endings)):
                beside.append(item.name)
    return f"{path}: no such file; {nearest(file.name, beside)}"
