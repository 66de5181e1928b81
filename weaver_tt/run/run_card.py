"""The run card ``PREFIX_run.json``: what made these weights, so that others can make them again."""

from __future__ import annotations

import dataclasses
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import NoneType
from typing import Any

import weaver_tt
from weaver_tt.data.scan import Scan
from weaver_tt.engine.fit import Pruned
from weaver_tt.errors import DataError
from weaver_tt.formats.file_groups import is_remote, parse_groups
from weaver_tt.log import log
from weaver_tt.options.train import DataOptions, RunOptions
from weaver_tt.run_files import EVENT_FILE, RunFiles, find_files
from weaver_tt.system import distributed
from weaver_tt.system.file_shapes import (
    ANYTHING,
    COUNT,
    NUMBER,
    TEXT,
    AnyOf,
    ListOf,
    NamesTo,
    Value,
)
from weaver_tt.system.git import git_hash
from weaver_tt.system.json_files import parse_json, write_json

# training and validation -> group -> path -> entries
DataFiles = dict[str, dict[str, dict[str, int]]]

Card = dict[str, Any]
NOTHING = Value((NoneType,))
TEXT_OR_NONE = Value((str, NoneType))
PAIRS = ListOf(ListOf(TEXT, length=2))
RANGES = ListOf(ListOf(COUNT, length=2))
FILES_OF_CARD = NamesTo(NamesTo(COUNT))
CARD = {
    "command": TEXT,
    "started": TEXT,
    "weaver_tt": TEXT,
    "git": TEXT_OR_NONE,
    "versions": NamesTo(TEXT),
    "seed": COUNT,
    "ranks?": Value((int,), least=1),
    "options": {
        "data": {"data_config": TEXT},
        "network": {
            "network_config": TEXT,
            "network_option": PAIRS,
            "ensemble": Value((int,), least=1),
        },
        "train": {
            "optimizer_option?": PAIRS,
            "compiler_option?": PAIRS,
            "tensorboard?": TEXT_OR_NONE,
            "tensorboard_custom_fn?": TEXT_OR_NONE,
        },
    },
    "configs": {"data": TEXT},
    # cards of earlier versions have a list
    "data_files": AnyOf(
        ({"training": FILES_OF_CARD, "validation": FILES_OF_CARD}, ListOf(ANYTHING))
    ),
    "continued?": ListOf(NamesTo(TEXT_OR_NONE)),
    "files?": ListOf(TEXT),
    "bad_files?": ListOf({"path": TEXT, "reason": TEXT, "ranges": AnyOf((NOTHING, RANGES))}),
    "state?": TEXT,
    "best?": ListOf(NamesTo(ANYTHING)),
    "time_of_batch?": NamesTo(NUMBER),
    "parameters?": AnyOf((NOTHING, COUNT)),
}
"""What a run card holds; more may stand beside it."""

RUNNING = "running"
DONE = "done"
INTERRUPTED = "interrupted"
FAILED = "failed"
PRUNED = "pruned"

_reported: set[str] = set()

LIBRARIES = ("torch", "numpy", "awkward", "uproot", "onnx", "onnxruntime")


def make_card(
    options: RunOptions,
    seed: int,
    data_files: DataFiles,
    texts: dict[str, str],
    earlier: dict[str, Any] | None = None,
    ranks: int = 1,
) -> dict[str, Any]:
    """All that a training depends on, ready for JSON, and the files that it writes.

    These are the command, the options, the configurations as ``texts``, versions of libraries, the
    git hash, the seed, the number of ranks and the data files. ``earlier`` is the card of the run
    that is continued: its files belong to this one too, and its command stays on record.
    """
    versions = {name: metadata.version(name) for name in LIBRARIES}
    versions["python"] = platform.python_version()
    started = datetime.now(UTC)
    return {
        "command": shlex.join(sys.argv),
        "started": started.isoformat(timespec="seconds"),
        "weaver_tt": weaver_tt.__version__,
        "git": git_hash(),
        "versions": versions,
        # until the training ends, of itself or not; a killed one is never more than that
        "state": RUNNING,
        "seed": seed,
        "ranks": ranks,
        "options": dataclasses.asdict(options),
        "configs": texts,
        "data_files": data_files,
        "continued": _continued_commands(earlier),
        "files": _listed_files(options, earlier),
        # what is missing is missing in what a continued run makes of it, too
        "bad_files": earlier.get("bad_files", []) if earlier else [],
    }


@contextmanager
def recording_state(prefix: str) -> Iterator[None]:
    """Note in the card of the run ``prefix`` how what is done inside has ended."""
    state = FAILED
    try:
        yield
        state = DONE
    except KeyboardInterrupt:
        state = INTERRUPTED
        raise
    except Pruned:
        state = PRUNED
        raise
    finally:
        card = load_card(prefix) if distributed.is_main() else None
        if card is not None:
            save_card(prefix, card | {"state": state})


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


def record_parameters(prefix: str, parameters: int | None) -> None:
    """Note in the card of the run ``prefix`` how many trainable parameters a network of it has.

    Raises:
        OutputError: the card cannot be written.
    """
    card = load_card(prefix)
    if card:
        save_card(prefix, card | {"parameters": parameters})


def recorded_parameters(prefix: str) -> int | None:
    """The trainable parameters of a network of the run ``prefix``; None where it is not known."""
    return (load_card(prefix) or {}).get("parameters")


def record_time_of_batch(prefix: str, time_of_batch: dict[str, float]) -> None:
    """Note in the card of the run ``prefix`` how long its training takes for a batch.

    Raises:
        OutputError: the card cannot be written.
    """
    card = load_card(prefix)
    if card and time_of_batch:
        save_card(prefix, card | {"time_of_batch": time_of_batch})


def _from_card(files: RunFiles, names: Iterable[str | Path]) -> list[str]:
    """Paths as seen from the folder of the card: a folder of models may be moved as a whole."""
    return [os.path.relpath(name, files.card.parent) for name in names]


def add_to_card(prefix: str, paths: Iterable[Path]) -> None:
    """Add files that the run ``prefix`` has written to those that its card lists.

    Raises:
        OutputError: the card cannot be written.
    """
    card = load_card(prefix)
    added = _from_card(RunFiles(prefix), paths)
    if card and added:
        save_card(prefix, card | {"files": list(dict.fromkeys([*card["files"], *added]))})


def written_files(prefix: str, card: dict[str, Any]) -> list[Path]:
    """The files that are there of those that the ``card`` lists.

    A card is a file like any other, maybe somebody else's: it cannot have anything removed but what
    lies in its own folder or below, and of other files the log and those of TensorBoard.
    """
    files = RunFiles(prefix)
    folder = files.card.parent
    found: list[Path] = []
    for name in card.get("files", []):
        path = Path(os.path.normpath(folder / name))
        whole_path = Path(os.path.abspath(path))
        is_below = whole_path.is_relative_to(os.path.abspath(folder))
        is_log = whole_path == Path(os.path.abspath(files.whole.log))
        if is_below or is_log or path.name.startswith(EVENT_FILE):
            found += find_files(str(path))
        else:
            log.warning("%s lists %s, which is no file of a run, and is left", files.card, path)
    return found


def save_card(prefix: str | Path, card: dict[str, Any]) -> None:
    """Write the card, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    write_json(RunFiles(str(prefix)).card, card)


def load_card(prefix: str | Path) -> Card | None:
    """The card of the run ``prefix``; None where there is none, or a damaged one.

    A damaged card is said. It takes nothing from the weights, which can be used and trained on
    without it.
    """
    path = RunFiles(str(prefix)).card
    if not path.exists():
        return None
    try:
        return read_card(path)
    except DataError as error:
        # a run asks for its card several times
        if str(error) not in _reported:
            _reported.add(str(error))
            log.warning(
                "%s; the run goes on without the card: give the flags of the training that it "
                "would have remembered (-o, --ensemble, --seed)",
                error,
            )
        return None


def read_card(path: Path) -> Card:
    """The card in a file.

    Raises:
        DataError: it cannot be read, or is no card; names the place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    # a name that has been taken, for a run that has not begun
    if text.strip() == "{}":
        return {}
    return parse_json(text, CARD, f"{path}: a damaged run card")
