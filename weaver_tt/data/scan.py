"""A first look at all files: rows, cluster borders, types, optional columns of each file group.

Nothing is decoded, but the numbers of objects where these are rows. Types are settled here, for all
files together.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import TypeVar

from awkward.types import Type

from weaver_tt.config.plan import Plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import Accounting, LostRows
from weaver_tt.data.chunks import Source
from weaver_tt.data.missing_columns import find_missing, missing_error
from weaver_tt.data.rows.table import file_name
from weaver_tt.errors import BadFileError, DataError, MissingTreeError
from weaver_tt.formats.column_types import common_type
from weaver_tt.formats.file_groups import FileGroup, is_remote
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.row_objects import RowObjects
from weaver_tt.log import log
from weaver_tt.system.cores import available_cores
from weaver_tt.system.signals import end_with_parent
from weaver_tt.system.wording import counted

T = TypeVar("T")

FILES_AT_ONCE = 8  # files that threads look at side by side: remote ones answer slowly

# local files that a process of its own is worth while for: a header of a thousand columns keeps
# python busy for a tenth of a second
FILES_PER_PROCESS = 16
MAX_PROCESSES = 32


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
    objects: RowObjects | None  # that are its rows, None where these are those of the files
    in_file: frozenset[str]  # columns that all files have, under their names there
    # column, under its name in the files -> type of a row that fits all of them
    types: Mapping[str, Type]
    # rows that the pass for statistics left out
    lost_in_statistics: tuple[LostRows, ...] = ()

    def covers(self, groups: Sequence[FileGroup], config: DataConfig, plan: Plan) -> bool:
        """Whether it is of these files and has all columns of ``plan``, none of them optional."""
        if self.files != tuple(groups) or self.treename != config.treename:
            return False
        if self.objects != config.rows:
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
class FileScan:
    """What is in one file, for the columns of a plan."""

    path: str
    borders: tuple[int, ...]
    missing: frozenset[str]  # columns that it lacks, as the YAML names them
    types: Mapping[str, Type]  # of the others, as the file names them; none without rows

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.borders[-1]


class CommonTypes:
    """The types of columns that fit all files, as these are added.

    ``common``: column, as the files name it -> that type.
    """

    def __init__(self) -> None:
        self.common: dict[str, Type] = {}
        self._first_file: dict[str, tuple[str, Type]] = {}  # column -> the first file that has it

    def add(self, file: FileScan) -> None:
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
    may_be_empty: bool = False,
) -> Scan:
    """Look at all files of ``groups``, unless ``known``, an earlier scan, is of these files.

    With "skip" for ``on_bad_file``, damaged files are left out, and so are those without the tree,
    or with an empty one, as long as another file has it. ``may_be_empty``: files without any row
    are no error.

    Raises:
        BadFileError: a file is damaged or without the tree, and not to be skipped.
        DataError: a file lacks a column, files of a group differ in an optional one, files differ
            in what a column is, or there is no row at all.
    """
    if known is not None and known.covers(groups, config, plan):
        return replace(known, columns=tuple(plan.columns for _ in groups))
    scanned = scan_groups(groups, config, plan)
    scan = combine_scans(groups, scanned, config, plan, on_bad_file, may_be_empty)
    if not scan.sources:
        scan = replace(scan, types=_types_without_rows(scan, config))
    return scan


def _types_without_rows(scan: Scan, config: DataConfig) -> dict[str, Type]:
    """The types that the first of the files, none of which has rows, has for the columns of a scan.

    Of those columns alone whose type it can tell: nothing is read from any.
    """
    bad = {lost.path for lost in scan.accounting.lost}
    for group, columns in zip(scan.files, scan.columns, strict=True):
        for path in group.paths:
            if path in bad:
                continue
            types: dict[str, Type] = {}
            with open_reader(path, config.treename, config.rows) as reader:
                for name in dict.fromkeys(file_name(column, config) for column in columns):
                    with suppress(DataError):
                        types |= reader.types([name])
            return types
    return {}


def combine_scans(
    groups: Sequence[FileGroup],
    scanned: Sequence[Sequence[FileScan | BadFileError]],
    config: DataConfig,
    plan: Plan,
    on_bad_file: str = "stop",
    may_be_empty: bool = False,
) -> Scan:
    """The scan of ``groups``, of the files of each as :func:`scan_groups` has found them.

    They may have been looked at for further columns than those of ``plan``.

    Raises:
        BadFileError: as :func:`scan_files`.
        DataError: as :func:`scan_files`.
    """
    accounting = Accounting()
    sources: list[Source] = []
    columns = []
    types = CommonTypes()
    all_files = [*chain.from_iterable(scanned)]
    _check_bad_files(all_files, on_bad_file)
    _check_columns(all_files, config, plan)
    for number, group in enumerate(groups):
        files = []
        for path, file in zip(group.paths, scanned[number], strict=True):
            if isinstance(file, BadFileError):
                log.warning("skipped a bad file: %s", file)
                accounting.lost[LostRows(path, str(file))] += 1
            else:
                files.append(file)
        missing = _common_missing_columns(group.name, files, plan)
        columns.append(tuple(name for name in plan.columns if name not in missing))
        for file in files:
            sources.append(Source(number, file.path, file.borders, group.written_name))
            types.add(file)
    sources = [source for source in sources if source.rows]
    if not sources and not may_be_empty:
        raise _no_rows_error(groups, accounting)
    required = [name for name in plan.columns if not plan.is_optional(name)]
    return Scan(
        groups=tuple(group.written_name for group in groups),
        sources=tuple(sources),
        columns=tuple(columns),
        accounting=accounting,
        files=tuple(groups),
        treename=config.treename,
        objects=config.rows,
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
    return DataError(f"no rows to read: 0 entries in {counted(len(paths), 'file')}{bad} ({shown})")


def scan_groups(
    groups: Sequence[FileGroup], config: DataConfig, plan: Plan
) -> list[list[FileScan | BadFileError]]:
    """What is in the files of each group, in their order; an error in the place of a bad one."""
    look = partial(
        _look_at_file,
        treename=config.treename,
        names={name: file_name(name, config) for name in plan.columns},
        objects=config.rows,
    )
    paths = [path for group in groups for path in group.paths]
    with closing(_map_over_files(look, paths)) as found:
        return [list(islice(found, len(group.paths))) for group in groups]


def _map_over_files(look: Callable[[str], T], paths: Sequence[str]) -> Generator[T, None, None]:
    """What ``look`` returns for each path, in their order; several are looked at side by side."""
    processes = min(available_cores(), len(paths) // FILES_PER_PROCESS, MAX_PROCESSES)
    executor: Executor
    if processes > 1 and sys.platform == "linux" and not any(map(is_remote, paths)):
        executor = ProcessPoolExecutor(
            processes, multiprocessing.get_context("fork"), initializer=end_with_parent
        )
        files_at_once = FILES_PER_PROCESS // 2
    else:
        executor = ThreadPoolExecutor(FILES_AT_ONCE)
        files_at_once = 1
    try:
        yield from executor.map(look, paths, chunksize=files_at_once)
    except BrokenProcessPool as error:
        raise DataError(
            f"a process that looked at files has ended, such as for lack of memory, or at a file "
            f"that is damaged in an unusual way (one of {paths[0]} … {paths[-1]})"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _look_at_file(
    path: str, treename: str | None, names: Mapping[str, str], objects: RowObjects | None
) -> FileScan | BadFileError:
    """What is in a file, or what is wrong with it."""
    try:
        return _scan_file(path, treename, names, objects)
    except BadFileError as error:
        return error


def _check_bad_files(scanned: Sequence[FileScan | BadFileError], on_bad_file: str) -> None:
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


def _scan_file(
    path: str, treename: str | None, names: Mapping[str, str], objects: RowObjects | None
) -> FileScan:
    """What is in one file; ``names``: columns, and what they are called there."""
    with open_reader(path, treename, objects) as reader:
        rows = reader.rows()
        if not rows and not reader.columns():
            raise MissingTreeError(f"{reader.place}: it has neither rows nor columns")
        missing = set()
        wanted = []
        for name, name_in_file in names.items():
            if name_in_file in reader:
                wanted.append(name_in_file)
            else:
                missing.add(name)
        if not rows:
            return FileScan(path, (0,), frozenset(missing), {})
        borders = tuple(reader.clusters(wanted or None))
        types = reader.types(list(dict.fromkeys(wanted)))
        return FileScan(path, borders, frozenset(missing), types)


def _check_columns(
    scanned: Sequence[FileScan | BadFileError], config: DataConfig, plan: Plan
) -> None:
    """Check that all files have all columns that are not optional.

    Raises:
        DataError: some have not; names all of these columns, and what was probably meant.
    """
    files = [file for file in scanned if isinstance(file, FileScan)]
    missing = find_missing(((file.path, sorted(file.missing)) for file in files), config, plan)
    required = [column for column in missing if not column.optional]
    if required:
        raise missing_error(required, config)


def _common_missing_columns(group: str, files: Sequence[FileScan], plan: Plan) -> frozenset[str]:
    """The optional columns of ``plan`` that all files of a group lack.

    Raises:
        DataError: only some files lack one.
    """
    # a file without rows may have been written without columns
    with_rows = [file for file in files if file.rows] or list(files)
    if not with_rows:
        return frozenset(name for name in plan.columns if plan.is_optional(name))
    missing = frozenset(plan.columns).intersection(*(file.missing for file in with_rows))
    for file in with_rows:
        for name in sorted(file.missing.intersection(plan.columns) - missing):
            other = next(other for other in with_rows if name not in other.missing)
            raise DataError(
                f"{file.path}: no column {name!r}, which {other.path} of the same group {group!r} "
                "has; it is optional for all or none of them"
            )
    return missing
