"""A pass over the training rows before training, table by table in bounded memory: what statistics, weights and buckets are computed from."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from weaver_tt.config.plan import Plan, make_plan, without_reweighting
from weaver_tt.config.schema import DataConfig, InputGroup
from weaver_tt.data.chunks import Chunk, Source, select_window, split_into_chunks
from weaver_tt.data.rows.table import Table, file_name, make_table, read_columns
from weaver_tt.data.scan import scan_files
from weaver_tt.errors import BadFileError, WeaverError
from weaver_tt.expressions.evaluate import Expression
from weaver_tt.expressions.registry import FUNCTIONS
from weaver_tt.formats.file_groups import is_remote, parse_groups
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.log import log
from weaver_tt.options.train import DataOptions
from weaver_tt.system import distributed

ROWS_AT_ONCE = 20_000
T = TypeVar("T")


def run_on_main(work: Callable[[], T]) -> T:
    """What ``work`` returns on rank 0, on all ranks; its WeaverError is raised on all of them (or the others would wait for ever)."""
    result: Any = None
    if distributed.is_main():
        try:
            result = work()
        except WeaverError as error:
            result = error
    result = distributed.broadcast_from_main(result)
    if isinstance(result, WeaverError):
        raise result
    return result


def restrict_to_inputs(config: DataConfig, inputs: Mapping[str, InputGroup]) -> DataConfig:
    """The configuration of a pass that needs these inputs and the selections: no labels, weights or observers."""
    return replace(
        without_reweighting(config),
        inputs=inputs,
        labels=None,
        event_weight=None,
        monitor_variables=(),
        observers=(),
        optional_observers=(),
    )


def training_sources(config: DataConfig, data: DataOptions) -> list[Source]:
    """The rows that are trained on, file by file: without validation files, the first ``train_val_split`` of each."""
    share = data.data_fraction * (1.0 if data.data_val else data.train_val_split)
    scan = scan_files(
        parse_groups(data.data_train), config, make_plan(config, "train"), data.on_bad_file
    )
    return [select_window(source, 0, share) for source in scan.sources]


def selected_tables(
    config: DataConfig, sources: Sequence[Source], skip_bad: bool, fraction: float = 1.0
) -> Iterator[tuple[Table, int, str]]:
    """Selected tables of the rows of ``sources``, of each stretch the first ``fraction``; their numbers of rows and paths."""
    columns = make_plan(config, "train")
    for source in sources:
        try:
            yield from _read_chunks(
                config, columns, split_into_chunks(source, ROWS_AT_ONCE), fraction
            )
        except BadFileError as error:
            if not skip_bad:
                raise
            log.warning("the rest of the file is skipped: %s", error)


def _read_chunks(
    config: DataConfig, columns: Plan, chunks: Iterable[Chunk], fraction: float
) -> Iterator[tuple[Table, int, str]]:
    chunks = [chunk for chunk in chunks if chunk.rows]
    if not chunks:
        return
    with open_reader(chunks[0].path, config.treename) as reader:
        for chunk in chunks:
            # a share of every stretch, not the file's beginning: files may be sorted
            last = chunk.first + max(1, round(chunk.rows * fraction))
            read = read_columns(reader, columns.columns, config, chunk.first, last)
            table, accounting = make_table(read, columns, config, chunk.path, str(chunk.group))
            yield table, accounting.selected.total(), chunk.path


def pass_fingerprint(
    config: DataConfig, sources: Sequence[Source], settings: Any, extra: str | None = None
) -> str:
    """What a pass's result depends on, in short: ``CONFIG-FILES``. Files count by path, size, time of change and rows used (those behind URLs by
    path and rows); ``settings``: what it was computed with, as JSON takes it; ``extra``: a selection that counts with the files."""
    return f"{pass_config_fingerprint(config, settings)}-{_short_hash([*map(_file_identity, sources), *([] if extra is None else [extra])])}"


def pass_config_fingerprint(config: DataConfig, settings: Any) -> str:
    """The columns, expressions and selections that a pass over ``config`` uses, and its ``settings``, in short."""
    needed = make_plan(config, "train")
    used = [config.new_variables[name] for name in needed.computed] + [
        chosen.expression for chosen in config.objects.values()
    ]
    used += [config.selection] if config.selection is not None else []
    used += (
        []
        if config.weights is None
        else [
            *config.weights.branches,
            *([config.weights.base] if config.weights.base is not None else []),
        ]
    )
    own = (
        config.custom_functions
        if any(_calls_custom_function(expression) for expression in used)
        else None
    )
    parts = {
        "columns": [(name, file_name(name, config)) for name in needed.columns],
        "computed": [(name, config.new_variables[name].source) for name in needed.computed],
        "file_magic": {name: dict(values) for name, values in config.file_magic.items()},
        "selection": None if config.selection is None else config.selection.source,
        "objects": [
            (name, chosen.expression.source, chosen.columns)
            for name, chosen in config.objects.items()
        ],
        "treename": config.treename,
        "functions": None if own is None else Path(own).read_text(encoding="utf-8"),
        "settings": settings,
    }
    return _short_hash(parts)


def _calls_custom_function(expression: Expression) -> bool:
    """Whether an expression calls a function of the user's file."""
    calls = (node.func for node in ast.walk(expression.tree) if isinstance(node, ast.Call))
    return any(isinstance(target, ast.Name) and target.id not in FUNCTIONS for target in calls)


def _file_identity(source: Source) -> list[Any]:
    """What tells a file, and the rows used of it, from another."""
    window = [source.path, source.borders[0], source.borders[-1]]
    if is_remote(source.path):
        return window
    status = os.stat(source.path)
    return [*window, status.st_size, status.st_mtime_ns]


def _short_hash(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
