"""Fingerprints of what is computed from the training data: they change when it must be redone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weaver_tt.config.plan import make_plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.chunks import Source
from weaver_tt.data.rows.table import file_name
from weaver_tt.expressions.evaluate import Expression, calls_custom_function
from weaver_tt.formats.file_groups import is_remote


def pass_fingerprint(
    config: DataConfig, sources: Sequence[Source], settings: Any, extra: str | None = None
) -> str:
    """Short hashes ``CONFIG-FILES`` of all that the result of a pass depends on.

    Files count by path, size, time of change and the rows used (those behind URLs by path and
    rows), and by group where columns depend on it. ``settings``: what the result was computed with,
    as JSON takes it. ``extra``: a selection that is hashed with the files.
    """
    files: list[Any] = [_file_identity(source) for source in sources]
    if extra is not None:
        files.append(extra)
    if config.needs_groups:
        files.append([source.group_name for source in sources])
    return f"{pass_config_fingerprint(config, settings)}-{_short_hash(files)}"


def pass_config_fingerprint(config: DataConfig, settings: Any) -> str:
    """Short hash of the columns, expressions and selections that a pass over ``config`` uses."""
    plan = make_plan(config, "train")
    selection = config.selection
    objects = []
    for name, chosen in config.objects.items():
        objects.append((name, chosen.expression.source, chosen.columns))
    # names and order of these entries are hashed too: with others, the files of all runs would be
    # out of date
    parts: dict[str, Any] = {}
    parts["columns"] = [(name, file_name(name, config)) for name in plan.columns]
    parts["computed"] = [(name, config.new_variables[name].source) for name in plan.computed]
    parts["file_magic"] = {name: dict(values) for name, values in config.file_magic.items()}
    parts["selection"] = None if selection is None else selection.source
    parts["objects"] = objects
    parts["treename"] = config.treename
    if config.rows is not None:
        parts["rows"] = dataclasses.asdict(config.rows)
    parts["functions"] = _custom_functions(config)
    parts["settings"] = settings
    return _short_hash(parts)


def _expressions(config: DataConfig) -> list[Expression]:
    """All expressions that a pass over ``config`` evaluates."""
    computed = make_plan(config, "train").computed
    expressions = [config.new_variables[name] for name in computed]
    expressions += [chosen.expression for chosen in config.objects.values()]
    if config.selection is not None:
        expressions.append(config.selection)
    if config.weights is not None:
        expressions += config.weights.branches
        for expression in (config.weights.base, config.weights.target):
            if expression is not None:
                expressions.append(expression)
    return expressions


def _custom_functions(config: DataConfig) -> str | None:
    """The user's file of functions, if a pass over ``config`` calls one of them."""
    if not any(calls_custom_function(expression) for expression in _expressions(config)):
        return None
    assert config.custom_functions is not None
    return Path(config.custom_functions).read_text(encoding="utf-8")


def _file_identity(source: Source) -> list[Any]:
    """Path, first and last row, and for files on this machine size and time of change."""
    borders = source.borders
    identity: list[Any] = [source.path, borders[0], borders[-1]]
    if not is_remote(source.path):
        status = os.stat(source.path)
        identity += [status.st_size, status.st_mtime_ns]
    return identity


def _short_hash(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
