"""The commit of the sources that run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import weaver_tt


def git_hash(folder: Path | None = None) -> str | None:
    """The commit of the sources in ``folder`` (default: this package), None outside a repository.

    It ends in ``+`` where files differ from that commit.
    """
    folder = folder or Path(weaver_tt.__file__).parent
    describe = ["describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    command = ["git", "-C", str(folder), *describe]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        # no git on this machine
        return None
    return result.stdout.strip() or None
