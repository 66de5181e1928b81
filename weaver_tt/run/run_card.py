"""The run card ``PREFIX_run.json``: what made these weights, so that others can make them again."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import weaver_tt
from weaver_tt.options.train import RunOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system.atomic_files import write_text
from weaver_tt.system.git import git_hash

LIBRARIES = ("torch", "numpy", "awkward", "uproot", "onnx", "onnxruntime")


def make_card(
    options: RunOptions, seed: int, data_files: list[str], texts: dict[str, str]
) -> dict[str, Any]:
    """All that a training depends on, ready for JSON.

    These are the command, the options, the configurations as ``texts``, versions of libraries, the
    git hash, the seed and the data files.
    """
    versions = {name: metadata.version(name) for name in LIBRARIES}
    versions["python"] = platform.python_version()
    started = datetime.now(timezone.utc)
    return {
        "command": " ".join(sys.argv),
        "started": started.isoformat(timespec="seconds"),
        "weaver_tt": weaver_tt.__version__,
        "git": git_hash(),
        "versions": versions,
        "seed": seed,
        "options": dataclasses.asdict(options),
        "configs": texts,
        "data_files": data_files,
    }


def save_card(prefix: str | Path, card: dict[str, Any]) -> None:
    """Write the card, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    write_text(RunFiles(str(prefix)).card, json.dumps(card, indent=2))


def load_card(prefix: str | Path) -> dict[str, Any] | None:
    """The card of the run ``prefix``, or None where there is none."""
    path = RunFiles(str(prefix)).card
    if not path.exists():
        return None
    return json.loads(path.read_text())
