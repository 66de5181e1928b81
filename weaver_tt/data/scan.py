"""A first look at all files: rows, cluster borders, types, optional columns of each file group.

Nothing is decoded. Types are settled here, for all files together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain

from awkward.types import Type

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting, LostRows
from weaver_tt.data.chunks import Source
from weaver_tt.data.rows.table import file_name
from weaver_tt.errors import BadFileError, DataError, MissingTreeError
from weaver_tt.formats.column_types import common_type
from weaver_tt.formats.file_groups import FileGroup
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.log import log

FILES_AT_ONCE = 8  # files looked at side by side: remote ones answer slowly


@dataclass(frozen=True, slots=True)
class Scan:
    """What is in the files. Group numbers in ``sources`` index ``groups`` and ``columns``."""

    groups: tuple[str, ...]
    sources: tuple[Source, ...]  # in input order
    # for each group, the columns to read, as the YAML names them
    columns: tuple[tuple[str, ...], ...]
    accounting: Accounting  # files that were skipped
    files: tuple[FileGroup, ...]  # all that were looked at
    treename: str | None
    in_file: frozenset[str]  # columns that all files have, under their names there
    # column, under its name in the files -> type of a row that fits all of them
    types: Mapping[str, Type]
    # rows that the pass for statistics left out
    lost_in_statistics: tuple[LostRows, ...] = ()

    def covers(self, groups: Sequence[FileGroup], config: DataConfig, plan: Plan) -> bool:
        """Whether it is of these files and has all columns of ``plan``, none of them optional."""
        if self.files != tuple(groups) or self.treename != config.treename:
            return False
        needed = {file_name(name, config) for name in plan.columns}
        return needed <= self.in_file and not plan.optional

    def of_group(self, number: int) -> Scan:
        """The scan of one group alone, perhaps without rows; types are those of all groups."""
        sources = [source for source in self.sources if source.group == number]
        accounting = Accounting()
        for lost, times in self.accounting.lost.items():
            if lost.path in self.files[number].paths:
                accounting.lost[lost] = times
        return replace(
            self,
            groups=(self.groups[number],),
            sources=tuple(replace(source, group=0) for source in sources),
            columns=(self.columns[number],),
            accounting=accounting,
            files=(self.files[number],),
        )


@dataclass(frozen=True, slots=True)
class _FileScan:
    path: str
    borders: tuple[int, ...]
    optional: frozenset[str]  # optional columns that the file has
    types: Mapping[str, Type]  # of its columns; none for a file without rows


class _CommonTypes:
    """The types of columns that fit all files, as these are added."""

    def __init__(self) -> None:
        self.common: dict[str, Type] = {}
        self._first_file: dict[str, tuple[str, Type]] = {}  # column -> the first file that has it

    def add(self, file: _FileScan) -> None:
        """Take the types of a file into account.

        Raises:
            DataError: a column is something else there than in the files before.
        """
        for name, kind in file.types.items():
            if name not in self.common:
                self.common[name] = kind
                self._first_file[name] = file.path, kind
                continue
            try:
                self.common[name] = common_type(self.common[name], kind)
            except ValueError:
                other, other_kind = self._first_file[name]
                raise DataError(
                    f"{file.path}: column {name!r} is {kind} for each row, in {other} it is "
                    f"{other_kind}; a column must hold numbers, lists or text in all files "
                    "that are read together"
                ) from None


def scan_files(
    groups: Sequence[FileGroup],
    config: DataConfig,
    plan: Plan,
    on_bad_file: str = "stop",
    known: Scan | None = None,
) -> Scan:
    """Look at all files of ``groups``, unless ``known``, an earlier scan, is of these files.

    With "skip" for ``on_bad_file``, damaged files are left out, and so are those without the tree,
    or with an empty one, as long as another file has it.

    Raises:
        BadFileError: a file is damaged or without the tree, and not to be skipped.
        DataError: a file lacks a column, files of a group differ in an optional one, files differ
            in what a column is, or there is no row at all.
    """
    if known is not None and known.covers(groups, config, plan):
        return replace(known, columns=tuple(plan.columns for _ in groups))
    accounting = Accounting()
    sources: list[Source] = []
    columns = []
    types = _CommonTypes()
    scanned = [_scan_group(group, config, plan) for group in groups]
    _check_bad_files([*chain.from_iterable(scanned)], on_bad_file)
    for number, group in enumerate(groups):
        files = []
        for path, file in zip(group.paths, scanned[number], strict=True):
            if isinstance(file, BadFileError):
                log.warning("skipped a bad file: %s", file)
                accounting.lost[LostRows(path, str(file))] += 1
            else:
                files.append(file)
        optional = _common_optional_columns(group.name, files)
        columns.append(_columns_to_read(plan, optional))
        for file in files:
            sources.append(Source(number, file.path, file.borders))
            types.add(file)
    sources = [source for source in sources if source.rows]
    if not sources:
        raise _no_rows_error(groups, accounting)
    required = [name for name in plan.columns if not plan.is_optional(name)]
    return Scan(
        groups=tuple(group.name for group in groups),
        sources=tuple(sources),
        columns=tuple(columns),
        accounting=accounting,
        files=tuple(groups),
        treename=config.treename,
        in_file=frozenset(file_name(name, config) for name in required),
        types=types.common,
    )


def _no_rows_error(groups: Sequence[FileGroup], accounting: Accounting) -> DataError:
    paths: list[str] = []
    for group in groups:
        paths += group.paths
    bad = ""
    if accounting.lost:
        bad = f", {len(accounting.lost)} of them skipped as damaged"
    shown = paths[0] if len(paths) == 1 else f"{paths[0]}, …"
    return DataError(f"no rows to read: 0 entries in {len(paths)} files{bad} ({shown})")


def _scan_group(group: FileGroup, config: DataConfig, plan: Plan) -> list[_FileScan | BadFileError]:
    """What is in the files of a group, in their order; an error in the place of a bad one."""

    def scan_file(path: str) -> _FileScan | BadFileError:
        try:
            return _scan_file(path, config, plan)
        except BadFileError as error:
            return error

    with ThreadPoolExecutor(FILES_AT_ONCE) as executor:
        return list(executor.map(scan_file, group.paths))


def _check_bad_files(scanned: Sequence[_FileScan | BadFileError], on_bad_file: str) -> None:
    """Check that files that cannot be read may be skipped.

    Raises:
        BadFileError: they may not.
        MissingTreeError: none of the files has the tree, which is then called otherwise.
    """
    bad = [file for file in scanned if isinstance(file, BadFileError)]
    if len(bad) == len(scanned):
        for error in bad:
            if isinstance(error, MissingTreeError):
                raise error
    if bad and on_bad_file != "skip":
        hint = "--on-bad-file skip leaves such files out"
        raise type(bad[0])(f"{bad[0]}; {hint}") from bad[0]


def _scan_file(path: str, config: DataConfig, plan: Plan) -> _FileScan:
    """What is in one file."""
    with open_reader(path, config.treename) as reader:
        rows = reader.rows()
        if not rows and not reader.columns():
            raise MissingTreeError(f"{reader.place}: it has neither rows nor columns")
        optional = set()
        for name in plan.columns:
            if plan.is_optional(name) and file_name(name, config) in reader:
                optional.add(name)
        columns = _columns_to_read(plan, optional)
        wanted = [file_name(name, config) for name in columns]
        # raises an error that names what is missing
        reader.resolve(wanted)
        if not rows:
            return _FileScan(path, (0,), frozenset(optional), {})
        borders = tuple(reader.clusters(wanted))
        types = reader.types(list(dict.fromkeys(wanted)))
        return _FileScan(path, borders, frozenset(optional), types)


def _columns_to_read(plan: Plan, optional: set[str] | frozenset[str]) -> tuple[str, ...]:
    """The columns of ``plan`` where only these optional ones are there."""
    return tuple(name for name in plan.columns if not plan.is_optional(name) or name in optional)


def _common_optional_columns(group: str, files: Sequence[_FileScan]) -> frozenset[str]:
    """The optional columns that all files of a group have.

    Raises:
        DataError: only some files have a column.
    """
    # a file without rows may have been written without columns
    with_rows = [file for file in files if len(file.borders) > 1]
    if not with_rows:
        with_rows = list(files)
    found: set[str] = set()
    for file in with_rows:
        found |= file.optional
    for file in with_rows:
        for name in sorted(found - file.optional):
            other = next(other for other in with_rows if name in other.optional)
            raise DataError(
                f"{file.path}: no column {name!r}, which {other.path} of the same group {group!r} "
                "has; it is optional for all or none of them"
            )
    return frozenset(found)
