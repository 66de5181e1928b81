"""The run card ``PREFIX_run.json``: what made these weights, so that a colleague can make them again."""

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
    """Command, options, configuration texts, versions, git hash, seed and data files as one JSON-ready mapping."""
    return {
        "command": " ".join(sys.argv),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "weaver_tt": weaver_tt.__version__,
        "git": git_hash(),
        "versions": {name: metadata.version(name) for name in LIBRARIES}
        | {"python": platform.python_version()},
        "seed": seed,
        "options": dataclasses.asdict(options),
        "configs": texts,
        "data_files": data_files,
    }


def save_card(prefix: str | Path, card: dict[str, Any]) -> None:
    """Write the card, atomically; OutputError when it cannot be written."""
    write_text(RunFiles(str(prefix)).card, json.dumps(card, indent=2))


def load_card(prefix: str | Path) -> dict[str, Any] | None:
    """The card of the run ``prefix``, or None where there is none."""
    path = RunFiles(str(prefix)).card
    return json.loads(path.read_text()) if path.exists() else None
