"""What wheels and archives have beside the sources that their pyproject.toml names.

The commit that they are made of; and of a distribution with ``entrances``, the modules of the
package that these import, however far.
"""

from __future__ import annotations

import ast
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
COMMIT = "weaver_tt/COMMIT"  # where weaver_tt/system/git.py looks for it


class BuildHook(BuildHookInterface):
    """Adds the commit, where the sources lie in their repository, and what is imported."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a build; an editable install asks git each time.

        Raises:
            ValueError: an editable install would hold nothing.
        """
        entrances = self.config.get("entrances", [])
        if version == "editable":
            if entrances:
                raise ValueError("a part of the package cannot be editable: pip install -e . is it")
            return
        files = build_data["force_include"]
        for path in files_imported(entrances):
            files[str(path)] = str(path.relative_to(ROOT))
        of_archive = ROOT / COMMIT
        if of_archive.exists():
            # an archive of the sources has the file already, among those of the whole package
            if entrances:
                files[str(of_archive)] = COMMIT
            return
        if not (ROOT / ".git").exists():
            return
        command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        try:
            found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return
        if found.stdout.strip():
            self._folder = tempfile.TemporaryDirectory()
            file = Path(self._folder.name) / "COMMIT"
            file.write_text(found.stdout)
            files[str(file)] = COMMIT

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called after a build."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def files_imported(entrances: list[str]) -> set[Path]:
    """The files of these modules and of all that they import, inside of functions too."""
    waiting = list(entrances)
    found: set[Path] = set()
    while waiting:
        # importing a.b.c runs a and a.b before
        module = waiting.pop()
        package, _, _ = module.rpartition(".")
        if package:
            waiting.append(package)
        path = ROOT / module.replace(".", "/")
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        # of `from module import name`, the name may be no module
        if file not in found and file.is_file():
            found.add(file)
            waiting += modules_named(file)
    return found


def modules_named(file: Path) -> Iterator[str]:
    """What a file imports of the package."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.split(".")[0] == "weaver_tt")
