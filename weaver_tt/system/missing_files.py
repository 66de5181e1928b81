"""What is said of a file that is not there."""

from __future__ import annotations

from pathlib import Path

from weaver_tt.errors import nearest


def no_such_file(path: str | Path, *endings: str) -> str:
    """``PATH: no such file``, and which files beside it are called nearly so.

    With ``endings``, such as ``.json``, only files that end in one of them.
    """
    file = Path(path)
    beside = []
    if file.parent.is_dir():
        for item in sorted(file.parent.iterdir()):
            if item.is_file() and (not endings or item.name.endswith(endings)):
                beside.append(item.name)
    return f"{path}: no such file; {nearest(file.name, beside)}"
