"""A first look at all files: rows, cluster borders, and which optional columns a file group has. Nothing is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting
from weaver_tt.data.chunks import Source
from weaver_tt.data.rows.table import file_name
from weaver_tt.errors import BadFileError, DataError
from weaver_tt.formats.file_groups import FileGroup
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.log import log

FILES_AT_ONCE = 8  # files looked at side by side: remote ones answer slowly


@dataclass(frozen=True, slots=True)
class Scan:
    """What is in the files. Group numbers in ``sources`` index ``groups`` and ``columns``."""

    groups: tuple[str, ...]
    sources: tuple[Source, ...]  # in input order
    columns: tuple[
        tuple[str, ...], ...
    ]  # for each group, the columns to read, as the YAML names them
    accounting: Accounting  # files given up
    files: tuple[FileGroup, ...]  # all that were looked at
    treename: str | None
    in_file: frozenset[str]  # columns that all files have, under their names there

    def covers(self, groups: Sequence[FileGroup], config: DataConfig, plan: Plan) -> bool:
        """Whether it is of these files and has all columns of ``plan``, none of them optional."""
        needed = {file_name(name, config) for name in plan.columns}
        return (
            self.files == tuple(groups)
            and self.treename == config.treename
            and not plan.optional
            and needed <= self.in_file
        )


@dataclass(frozen=True, slots=True)
class _FileScan:
    path: str
    borders: tuple[int, ...]
    optional: frozenset[str]  # optional columns that the file has


def scan_files(
    groups: Sequence[FileGroup],
    config: DataConfig,
    plan: Plan,
    on_bad_file: str = "stop",
    known: Scan | None = None,
) -> Scan:
    """Look at all files of ``groups``, unless ``known``, an earlier scan, is of these files.

    :raises DataError: a file cannot be read (unless ``on_bad_file`` is "skip") or lacks a column, files of a group differ in an optional one, or
        there is no row at all.
    """
    if known is not None and known.covers(groups, config, plan):
        return replace(known, columns=tuple(plan.columns for _ in groups))
    accounting = Accounting()
    sources: list[Source] = []
    columns = []
    for number, group in enumerate(groups):
        with ThreadPoolExecutor(FILES_AT_ONCE) as executor:
            looks = [
                look
                for look in executor.map(
                    lambda path: _scan_file(path, config, plan, on_bad_file), group.paths
                )
                if isinstance(look, _FileScan)
            ]
        accounting.bad_files.update(set(group.paths) - {look.path for look in looks})
        optional = _common_optional_columns(group.name, looks, plan)
        columns.append(
            tuple(name for name in plan.columns if not plan.is_optional(name) or name in optional)
        )
        sources += [Source(number, look.path, look.borders) for look in looks]
    if not any(source.rows for source in sources):
        paths = [path for group in groups for path in group.paths]
        bad = (
            f", {len(accounting.bad_files)} of them skipped as damaged"
            if accounting.bad_files
            else ""
        )
        raise DataError(
            f"no rows to read: 0 entries in {len(paths)} files{bad} ({paths[0]}{', …' if len(paths) > 1 else ''})"
        )
    return Scan(
        tuple(group.name for group in groups),
        tuple(source for source in sources if source.rows),
        tuple(columns),
        accounting,
        tuple(groups),
        config.treename,
        frozenset(file_name(name, config) for name in plan.columns if not plan.is_optional(name)),
    )


def _scan_file(path: str, config: DataConfig, plan: Plan, on_bad_file: str) -> _FileScan | None:
    """What is in one file; None if it is damaged and to be skipped."""
    try:
        with open_reader(path, config.treename) as reader:
            optional = frozenset(
                name
                for name in plan.columns
                if plan.is_optional(name) and file_name(name, config) in reader
            )
            wanted = [
                file_name(name, config)
                for name in plan.columns
                if not plan.is_optional(name) or name in optional
            ]
            reader.resolve(wanted)  # names what is missing
            return _FileScan(
                path, tuple(reader.clusters(wanted)) if reader.rows() else (0,), optional
            )
    except BadFileError as error:
        if on_bad_file != "skip":
            raise
        log.warning("skipped a bad file: %s", error)
        return None


def _common_optional_columns(group: str, looks: Sequence[_FileScan], plan: Plan) -> frozenset[str]:
    """The optional columns that all files of a group have; a column that only some have is an error."""
    with_rows = [look for look in looks if len(look.borders) > 1] or list(looks)
    found = frozenset[str]().union(*(look.optional for look in with_rows))
    for look in with_rows:
        for name in sorted(found - look.optional):
            other = next(look.path for look in with_rows if name in look.optional)
            raise DataError(
                f"{look.path}: no column {name!r}, which {other} of the same group {group!r} has; it is optional for all or none of them"
            )
    return found
