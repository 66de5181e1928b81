"""Columns that a data YAML names and files lack: what needs them, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from weaver_tt.config.places import expressions_of_rows, names_alone, row_selections
from weaver_tt.config.plan import Plan, dependency_order
from weaver_tt.config.schema import RATIO, DataConfig
from weaver_tt.data.rows.table import file_name
from weaver_tt.errors import DataError, nearest
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader

SELECTIONS = frozenset(("selection", "test_time_selection"))
# what else may select rows: flags
EXTRA_SELECTION = "--extra-selection or --cross-validation"


@dataclass(frozen=True, slots=True)
class MissingColumn:
    """A column that files lack, as the YAML names it."""

    name: str
    needed_by: tuple[str, ...]  # keys of the YAML
    optional: bool
    files: tuple[str, ...]  # that lack it
    looked_at: int  # files that could be read

    def __str__(self) -> str:
        """``no column 'x' (needed by labels.a) in a.root and 2 more of 5``."""
        text = f"no column {self.name!r}"
        if self.needed_by:
            text += f" (needed by {', '.join(self.needed_by)})"
        text += f" in {self.files[0]}"
        if len(self.files) > 1:
            text += f" and {len(self.files) - 1} more"
        if len(self.files) < self.looked_at:
            text += f" of {self.looked_at}"
        return text


def find_missing(
    lacking: Iterable[tuple[str, Sequence[str]]], config: DataConfig, plan: Plan
) -> list[MissingColumn]:
    """The columns of ``plan`` that files lack, in its order.

    ``lacking``: the path of each file that can be read, and the names of the columns it lacks.
    """
    files: dict[str, list[str]] = {}
    looked_at = 0
    for path, names in lacking:
        looked_at += 1
        for name in names:
            files.setdefault(name, []).append(path)
    found = []
    for name in plan.columns:
        if name in files:
            keys = tuple(keys_that_need(config, name))
            paths = tuple(files[name])
            found.append(MissingColumn(name, keys, plan.is_optional(name), paths, looked_at))
    return found


def keys_that_need(config: DataConfig, column: str) -> list[str]:
    """The keys of the YAML that are made of ``column``, directly or through new variables.

    Selections of flags are called ``EXTRA_SELECTION``.
    """
    keys = []
    for key, names in _names_by_key(config).items():
        if column in dependency_order(config, names):
            keys.append(key)
    return keys


def _names_by_key(config: DataConfig) -> dict[str, list[str]]:
    """Key of the YAML -> the names in it."""
    expressions = row_selections(config) | expressions_of_rows(config)
    for name, selection in config.objects.items():
        expressions[f"object_selection.{name}"] = selection.expression
    names = {key: sorted(expression.names) for key, expression in expressions.items()}
    if config.extra_selection is not None:
        # the selections of the YAML hold it, too
        of_flag = config.extra_selection.names
        for key in SELECTIONS & names.keys():
            names[key] = [name for name in names[key] if name not in of_flag]
        names[EXTRA_SELECTION] = sorted(of_flag)
    for key, alone in names_alone(config).items():
        names[key] = list(alone)
    return names


def describe_missing(missing: Sequence[MissingColumn], config: DataConfig) -> list[str]:
    """One line for each column, with what was probably meant in the first file that lacks it."""
    lines = []
    readers: dict[str, Reader] = {}
    with ExitStack() as stack:
        for column in missing:
            path = column.files[0]
            if path not in readers:
                reader = open_reader(path, config.treename, config.rows)
                readers[path] = stack.enter_context(reader)
            meant = _explain(column, readers[path], config)
            # the list of all columns, once for each that is like none of them, would hide the rest
            if len(missing) > 1 and meant.startswith("known: "):
                lines.append(str(column))
            else:
                lines.append(f"{column}; {meant}")
    return lines


def missing_error(missing: Sequence[MissingColumn], config: DataConfig) -> DataError:
    """All ``missing`` columns, at least one, in one error."""
    lines = describe_missing(missing, config)
    if len(lines) == 1:
        return DataError(f"{config.source}: {lines[0]}")
    listed = "".join(f"\n  {line}" for line in lines)
    return DataError(f"{config.source}: {len(lines)} columns are not in the files:{listed}")


def _explain(column: MissingColumn, reader: Reader, config: DataConfig) -> str:
    """What to write instead: a column of the file, or a new variable."""
    text = reader.explain_missing(file_name(column.name, config))
    close = difflib.get_close_matches(column.name, config.new_variables, n=1)
    if close:
        text += f" There is a new variable {close[0]!r}."
    if any(key.startswith("derived_outputs.") for key in column.needed_by):
        assert config.labels is not None
        outputs = [*config.labels.classes, *config.labels.target_names]
        if config.density_ratio is not None:
            outputs = [RATIO]
        text += f" Of outputs: {nearest(column.name, [*outputs, *config.derived_outputs])}"
    return text
