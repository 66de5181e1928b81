"""The commit of the sources that run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import weaver_tt


def git_hash(folder: Path | None = None) -> str | None:
    """The commit of the sources in ``folder`` (default: this package), None where nobody knows.

    It ends in ``+`` where files differ from that commit. An installed package has it from its
    build.
    """
    folder = folder or Path(weaver_tt.__file__).parent
    # written by hatch_build.py
    of_build = folder / "COMMIT"
    if of_build.is_file():
        return of_build.read_text(encoding="utf-8").strip() or None
    # a package that was installed below somebody else's repository is no part of it
    if not _run_git(folder, "ls-files"):
        return None
    return _run_git(folder, "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*")


def _run_git(folder: Path, *words: str) -> str | None:
    """What git prints; None where it fails, or is not on this machine."""
    command = ["git", "-C", str(folder), *words]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return result.stdout.strip() or None
