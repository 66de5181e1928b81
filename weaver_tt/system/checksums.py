"""Checksums of zip files, which torch writes into files of weights and does not look at."""

from __future__ import annotations

import zipfile
from pathlib import Path

MAX_RATIO = 100  # of the size of an entry before and after it was compressed


def check_entries(path: Path) -> None:
    """Compare each entry of a zip file with its CRC32; files that are no zip files pass.

    Raises:
        ValueError: one is not what was written, or unpacks to far more; names it.
    """
    if not zipfile.is_zipfile(path):
        # torch's format before version 1.6, which has no checksums
        return
    with zipfile.ZipFile(path) as file:
        for entry in file.infolist():
            # torch stores entries as they are
            if entry.file_size > MAX_RATIO * entry.compress_size + MAX_RATIO:
                raise ValueError(f"{entry.filename} unpacks to {entry.file_size} bytes")
        damaged = file.testzip()
    if damaged is not None:
        raise ValueError(f"{damaged} has changed since it was written: its checksum differs")
