"""The command ``weaver-tt inspect``: what is in a file, whatever it is."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from weaver_tt.deploy.inspect import describe_model, load_model, metadata_of
from weaver_tt.engine.checkpoint import load_checkpoint, load_resume
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.formats.file_groups import READABLE, UNNAMED_GROUP, is_remote
from weaver_tt.formats.inspect import describe_data
from weaver_tt.log import terminal_width, wrap_lines
from weaver_tt.options.inspect import InspectOptions
from weaver_tt.output.about import about_in
from weaver_tt.run.run_card import read_card
from weaver_tt.run_files import RunFiles
from weaver_tt.system.json_files import json_text
from weaver_tt.system.missing_files import no_such_file
from weaver_tt.system.terminal import prints_to_terminal, wrap_items
from weaver_tt.system.wording import counted, listed

MANY_WEIGHTS = 6  # files with weights of a run that are listed one by one


def run_inspect(options: InspectOptions) -> None:
    """``weaver-tt inspect``.

    Raises:
        WeaverError: there is no such file, it cannot be read, or lacks what is asked for.
    """
    lines = _describe(options.file, options.treename)
    if prints_to_terminal():
        # words stay whole
        lines = (_wrapped(line, terminal_width()) for line in lines)
    if options.data_config or options.preprocess:
        lines = iter([_held(Path(options.file), options)])
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # `| head` has seen enough; Python would complain at its end, too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _describe(file: str, treename: str | None) -> Iterator[str]:
    """Lines that say what is in a file, whatever it is."""
    path = Path(file)
    if file.endswith(READABLE) or is_remote(file):
        yield from describe_data(file, treename)
        yield from describe_prediction(file)
    elif path.suffix == ".onnx":
        yield from describe_model(path, load_model(path))
    elif path.suffix == ".pt":
        yield from describe_checkpoint(path)
    else:
        yield from describe_run(path)


def _wrapped(line: str, width: int) -> str:
    """A line in several: between items, and between words where that does not do."""
    return wrap_lines(wrap_items(line, width, 4), width)


def _held(path: Path, options: InspectOptions) -> str:
    """The data YAML or preprocess.json that a file holds.

    Raises:
        ConfigError: it holds none.
    """
    wanted = "data_config" if options.data_config else "preprocess"
    if path.suffix == ".onnx":
        held = metadata_of(load_model(path))
    else:
        card = RunFiles.of(path).card
        held = {"data_config": read_card(card)["configs"]["data"]} if card.is_file() else {}
    if wanted not in held:
        raise ConfigError(f"{path}: holds no {wanted}; {nearest(wanted, held)}")
    return held[wanted]


def describe_prediction(path: str) -> Iterator[str]:
    """Lines that say what a readable file holds if it is a prediction; none of any other."""
    about = about_in(path)
    if about is None:
        return
    yield f"a prediction: {about.task}"
    of_kinds = {"outputs": about.outputs, "classes": about.classes, "targets": about.targets}
    for kind, names in of_kinds.items():
        if names:
            yield f"  {kind}: {', '.join(names)}"
    if about.network.parameters is not None:
        yield f"  network: {counted(about.network.parameters, 'parameter')}"


def describe_run(path: Path) -> Iterator[str]:
    """Lines that say what the run is whose prefix, or any file of which, is ``path``.

    Raises:
        ConfigError: there is no such run.
        DataError: its run card cannot be read.
    """
    files = RunFiles.of(path)
    if not files.card.is_file():
        known = list(RunFiles.trained(path.parent))
        what = "not a data file" if path.is_file() else "no such file"
        raise ConfigError(
            f"{path}: {what} ({', '.join(READABLE)}), ONNX file, checkpoint (.pt) or run; "
            f"{nearest(str(path), known)}"
        )
    card = read_card(files.card)
    yield f"{files.prefix}: a training, {card.get('state', 'of an earlier version')}"
    for key in ("command", "started", "seed", "ranks"):
        if key in card:
            yield f"  {key}: {card[key]}"
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    yield f"  weaver_tt {card['weaver_tt']} ({card['git'] or 'no git'}), {versions}"
    network = card["options"]["network"]
    yield f"  network: {network['network_config']}{_shown_options(network['network_option'])}"
    yield f"  data: {card['options']['data']['data_config']}"
    if isinstance(card["data_files"], dict):
        for use, groups in card["data_files"].items():
            for group, entries in groups.items():
                name = use if group == UNNAMED_GROUP else f"{use}, {group}"
                rows = counted(sum(entries.values()), "row")
                yield f"    {name}: {rows} of {counted(len(entries), 'file')}"
    for number, best in enumerate(card.get("best", [])):
        whose = f" of member {number}" if network["ensemble"] > 1 else ""
        shown = ", ".join(f"{name} {_number(value)}" for name, value in best.items())
        yield f"  best{whose}: {shown}"
    for bad in card.get("bad_files", []):
        yield f"  LEFT OUT: {bad['path']}: {bad['reason']}"
    yield f"  weights: {_present(files)}"
    yield f"its data YAML: weaver-tt inspect {shlex.quote(files.prefix)} --data-config"


def _present(files: RunFiles) -> str:
    """The files with weights that are there."""
    folder = Path(files.prefix).parent
    names = sorted(path.name for path in folder.glob(f"{Path(files.prefix).name}*_state.pt"))
    return listed(names, MANY_WEIGHTS) or "none are there"


def describe_checkpoint(path: Path) -> Iterator[str]:
    """Lines that say what is in a file of weights, or in one that a training continues from.

    Raises:
        ConfigError: there is no such file.
        TrainingError: it cannot be read.
    """
    if not path.is_file():
        raise ConfigError(no_such_file(path, ".pt"))
    if path in (RunFiles.of(path).resume, RunFiles.of(path).resume_before):
        yield from _describe_resume(path)
        return
    content = load_checkpoint(path)
    weights = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if len(weights) < len(content):
        yield f"{path}: a checkpoint with {', '.join(content)}"
        for name, value in content.items():
            if isinstance(value, Mapping):
                yield f"{name}: {counted(len(value), 'entry', 'entries')}"
    if weights:
        numbers = sum(value.numel() for value in weights.values())
        yield f"{path}: {counted(numbers, 'number')} in {counted(len(weights), 'tensor')}"
        width = min(max(map(len, weights)), 60)
        for name, value in weights.items():
            kind = str(value.dtype).removeprefix("torch.")
            yield f"  {name:<{width}}  {kind} {tuple(value.shape)}"


def _describe_resume(path: Path) -> Iterator[str]:
    """Where a training goes on from."""
    networks = load_resume(path)
    yield f"{path}: where a training of {counted(len(networks), 'network')} goes on"
    for network in networks:
        state = network["state"]
        yield f"  epoch {state['epoch']}, {counted(state['batches'], 'batch', 'batches')} into it"
        yield f"    {counted(network['steps'], 'step')} taken, best epoch {state['best_epoch']}"
        shown = ", ".join(f"{name} {_number(value)}" for name, value in state["best"].items())
        if shown:
            yield f"    at the best: {shown}"
    for name, value in networks[0]["settings"].items():
        yield f"  {name}: {value}"


def _shown_options(pairs: list[list[str]]) -> str:
    return "".join(f" -o {name} {value}" for name, value in pairs)


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else json_text(value, indent=None)
