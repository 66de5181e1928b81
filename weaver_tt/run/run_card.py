"""The run card ``PREFIX_run.json``: what made these weights, so that others can make them again."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import weaver_tt
from weaver_tt.data.scan import Scan
from weaver_tt.formats.file_groups import is_remote, parse_groups
from weaver_tt.options.train import DataOptions, RunOptions
from weaver_tt.run_files import RunFiles, find_files
from weaver_tt.system import distributed
from weaver_tt.system.git import git_hash
from weaver_tt.system.json_files import write_json

# training and validation -> group -> path -> entries
DataFiles = dict[str, dict[str, dict[str, int]]]

LIBRARIES = ("torch", "numpy", "awkward", "uproot", "onnx", "onnxruntime")


def make_card(
    options: RunOptions,
    seed: int,
    data_files: DataFiles,
    texts: dict[str, str],
    earlier: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """All that a training depends on, ready for JSON, and the files that it writes.

    These are the command, the options, the configurations as ``texts``, versions of libraries, the
    git hash, the seed and the data files. ``earlier`` is the card of the run that is continued:
    its files belong to this one too, and its command stays on record.
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
        "ranks": distributed.world_size(),
        "options": dataclasses.asdict(options),
        "configs": texts,
        "data_files": data_files,
        "continued": _continued_commands(earlier),
        "files": _listed_files(options, earlier),
        # what is missing is missing in what a continued run makes of it, too
        "bad_files": earlier.get("bad_files", []) if earlier else [],
    }


def list_data_files(data: DataOptions, training: Scan, validation: Scan | None) -> DataFiles:
    """The files that training and validation read, with the entries that their scans found.

    A file that was skipped or is empty has none. Validation files are those of ``--data-val``.
    """
    return {
        "training": _entries(data.data_train, training),
        "validation": _entries(data.data_val, validation),
    }


def _entries(patterns: list[str], scan: Scan | None) -> dict[str, dict[str, int]]:
    found: dict[tuple[str, str], int] = {}
    if scan is not None:
        for source in scan.sources:
            found[scan.groups[source.group], source.path] = source.rows
    entries: dict[str, dict[str, int]] = {}
    for group in parse_groups(patterns):
        entries[group.name] = {}
        for path in group.paths:
            name = path if is_remote(path) else os.path.abspath(path)
            entries[group.name][name] = found.get((group.name, path), 0)
    return entries


def _continued_commands(earlier: dict[str, Any] | None) -> list[dict[str, str]]:
    """The earlier commands of a run, oldest first."""
    if not earlier:
        return []
    latest = {name: earlier[name] for name in ("command", "started", "weaver_tt", "git")}
    return [*earlier.get("continued", []), latest]


def _listed_files(options: RunOptions, earlier: dict[str, Any] | None) -> list[str]:
    """What a run writes, as far as it is known when it begins."""
    files = RunFiles(options.network.model_prefix)
    names = files.training_files(options.network.ensemble)
    # folds share a log; a log elsewhere may be that of other runs too
    if options.train.log == str(files.whole.log):
        names.append(options.train.log)
    listed = earlier.get("files", []) if earlier else []
    return list(dict.fromkeys([*listed, *_from_card(files, names)]))


def _from_card(files: RunFiles, names: Iterable[str | Path]) -> list[str]:
    """Paths as seen from the folder of the card: a folder of models may be moved as a whole."""
    return [os.path.relpath(name, files.card.parent) for name in names]


def list_files(prefix: str, paths: Iterable[Path]) -> None:
    """Add files that the run ``prefix`` has written to those that its card lists.

    Raises:
        OutputError: the card cannot be written.
    """
    card = load_card(prefix)
    added = _from_card(RunFiles(prefix), paths)
    if card and added:
        save_card(prefix, card | {"files": list(dict.fromkeys([*card["files"], *added]))})


def written_files(prefix: str, card: dict[str, Any]) -> list[Path]:
    """The files that are there of those that the ``card`` lists."""
    folder = RunFiles(prefix).card.parent
    found: list[Path] = []
    for name in card.get("files", []):
        found += find_files(os.path.normpath(folder / name))
    return found


def save_card(prefix: str | Path, card: dict[str, Any]) -> None:
    """Write the card, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    write_json(RunFiles(str(prefix)).card, card)


def load_card(prefix: str | Path) -> dict[str, Any] | None:
    """The card of the run ``prefix``, or None where there is none."""
    path = RunFiles(str(prefix)).card
    if not path.exists():
        return None
    return json.loads(path.read_text())
