"""What wheels and archives have beside the sources: the commit that they are made of."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "weaver_tt/COMMIT"  # where weaver_tt/system/git.py looks for it


class CommitHook(BuildHookInterface):
    """Adds the file with the commit, where the sources lie in their repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a build; an editable install asks git each time."""
        if version == "editable":
            return
        # of the small distribution too, which lies deeper
        root = Path(__file__).parent
        # an archive of the sources has the file already
        if (root / NAME).exists() or not (root / ".git").exists():
            return
        command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        try:
            found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return
        if found.stdout.strip():
            self._folder = tempfile.TemporaryDirectory()
            file = Path(self._folder.name) / "COMMIT"
            file.write_text(found.stdout)
            build_data["force_include"][str(file)] = NAME

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called after a build."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()
