"""Expand the arguments of ``-i`` and ``-t`` to file groups: ``name:pattern``, wildcards, URLs."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import fsspec

from weaver_tt.errors import DataError, nearest
from weaver_tt.log import log
from weaver_tt.system.wording import counted

# endings of the files that can be read, those that the converters write first; their readers are
# in open_reader.py
READABLE = (".parquet", ".root", ".h5", ".hdf5")

# files of awkward 0, which old scripts name and nothing writes any more
AWKWARD0_SUFFIX = ".awkd"

# group of the patterns without a name
UNNAMED_GROUP = "_"

# `name:pattern` or `name%10:pattern`; what `//` follows is a protocol and no name
_NAMED = re.compile(r"(?P<name>[^:/]+?)(?P<split>%\d+)?:(?!//|:)(?P<pattern>.+)", re.DOTALL)

# a folder of temporary copies of input files, below which each keeps its whole path
COPIES = "weaver_tt-inputs-"
_COPIES_FOLDER = re.compile(rf"[^\s,;]*/{COPIES}[0-9a-f]+(?=/)")

# what reads URLs of each protocol is not installed without it
REMOTE_EXTRA = "pip install 'weaver_tt[remote]'"

# of a URL: not `?`, which begins its query
_WILDCARD = re.compile(r"[*\[]")


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Files that belong together: one class, one sample, one output file of a prediction.

    ``part_of``: the group that ``name%10:pattern`` has divided, of which these are some files.
    """

    name: str
    paths: tuple[str, ...]
    part_of: str | None = None

    @property
    def written_name(self) -> str:
        """The name as it stands in the arguments, and in patterns of ``file_magic``."""
        return self.name if self.part_of is None else self.part_of


def is_remote(path: str) -> bool:
    """Whether ``path`` is a URL (``root://``, ``https://``, ``s3://`` ...), not a local path."""
    return "://" in path


def is_same_file(path: str, other: str) -> bool:
    """Whether both are one file, however they are written; of URLs, whether they are equal."""
    # what is behind a URL has no inode
    if Path(path).exists() and Path(other).exists():
        return Path(path).samefile(other)
    return path == other


def without_copies_folder(text: str) -> str:
    """A path or a message, with the place of input files in the place of their temporary copies.

    Of files behind a URL, its host and path.
    """
    return _COPIES_FOLDER.sub("", text)


def parse_groups(patterns: Sequence[str], divide: bool = False) -> list[FileGroup]:
    """Expand ``name:pattern`` arguments to groups of files, in the order of the arguments.

    A pattern is a path with the wildcards ``* ? [abc] **``, or a URL (``* [abc]`` are looked up
    where the protocol can list files). What stands before the first colon is a name unless ``//``
    follows. Patterns without a name form the group ``_``. Files of a pattern are sorted. A name
    that comes twice collects the files of both patterns; a file counts once in a group. With
    ``divide``, ``name%10:pattern`` makes groups ``name_0``, ``name_1``, … of 10 files each.

    Raises:
        DataError: no file matches a pattern.
    """
    groups: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}  # files per group, where the user wrote `%10`
    for argument in patterns:
        match = _NAMED.fullmatch(argument)
        name = UNNAMED_GROUP
        pattern = argument
        if match:
            name = match["name"]
            pattern = match["pattern"]
        if match and match["split"]:
            sizes[name] = max(1, int(match["split"][1:]))
            if not divide:
                log.info(
                    "%s: files need not be split by %r, work is divided by rows; it is ignored",
                    argument,
                    match["split"],
                )
        paths = _expand_url(pattern) if is_remote(pattern) else _expand(pattern)
        known = groups.setdefault(name, [])
        already_there = set(known)
        new_paths = [path for path in dict.fromkeys(paths) if path not in already_there]
        if len(new_paths) < len(paths):
            log.warning(
                "%s: %s in group %r already, which counts once",
                argument,
                counted(len(paths) - len(new_paths), "file is", "files are"),
                name,
            )
        known += new_paths

    file_groups = []
    for name, paths in groups.items():
        if divide and name in sizes:
            file_groups += _split_group(name, paths, sizes[name])
        else:
            file_groups.append(FileGroup(name, tuple(paths)))
    return file_groups


def list_files(files: str | Path | Sequence[str | Path]) -> list[str]:
    """File patterns as the flags take them: a list of text."""
    if isinstance(files, str | Path):
        return [str(files)]
    return [str(file) for file in files]


def list_paths(patterns: Sequence[str]) -> list[str]:
    """The files that match, in the order of the groups, whose names are left out.

    Raises:
        DataError: no file matches a pattern.
    """
    paths: list[str] = []
    for group in parse_groups(patterns):
        paths += group.paths
    return paths


def first_files(patterns: Sequence[str], number: int) -> list[str]:
    """Arguments ``name:path`` for the first ``number`` files of each group of ``patterns``."""
    arguments = []
    for group in parse_groups(patterns):
        arguments += [f"{group.name}:{path}" for path in group.paths[:number]]
    return arguments


def _split_group(name: str, paths: list[str], size: int) -> list[FileGroup]:
    """Groups ``name_0``, ``name_1``, … of ``size`` files each; the last may have fewer."""
    groups = []
    for number, first in enumerate(range(0, len(paths), size)):
        part = paths[first : first + size]
        groups.append(FileGroup(f"{name}_{number}", tuple(part), part_of=name))
    return groups


def _expand(pattern: str) -> list[str]:
    """The files that match a local pattern, sorted."""
    pattern = os.path.expanduser(pattern)
    # before it is taken as a pattern: a file's name may hold brackets
    if os.path.isfile(pattern):
        return [pattern]
    matches = glob.glob(pattern, recursive=True)
    paths = sorted(path for path in matches if not os.path.isdir(path))
    if not paths and pattern.endswith(AWKWARD0_SUFFIX):
        return _successors(pattern)
    if not paths:
        raise DataError(f"{pattern}: {explain_no_match(pattern)}")
    return paths


def _successors(pattern: str) -> list[str]:
    """Files in place of the missing ``.awkd`` ones: with the same name and another suffix.

    Converted files are named so.
    """
    for suffix in READABLE:
        other = pattern.removesuffix(AWKWARD0_SUFFIX) + suffix
        paths = sorted(glob.glob(other, recursive=True))
        if paths:
            _log_successor(pattern, other)
            return paths
    raise DataError(
        f"{pattern}: no such file, nor one that ends in {', '.join(READABLE)} instead; "
        "`weaver-tt convert` makes them from a public data set"
    )


@cache
def _log_successor(pattern: str, other: str) -> None:
    """Log once a run that other files are read, however often files are looked for."""
    log.info("%s: there is no such file; reading %s instead", pattern, other)


def common_pattern(paths: Sequence[str]) -> str:
    """One pattern of all ``paths``, ``pred_*.root`` for example; a path alone is itself."""
    first, *others = dict.fromkeys(paths)
    if not others:
        return first
    start = _common_start([first, *others])
    reversed_ends = [path[len(start) :][::-1] for path in (first, *others)]
    end = _common_start(reversed_ends)[::-1]
    return f"{glob.escape(start)}*{glob.escape(end)}"


def _common_start(texts: Sequence[str]) -> str:
    """What all of the texts begin with, character by character."""
    # what the first and the last one in order share, all between them share
    low, high = min(texts), max(texts)
    length = 0
    while length < len(low) and low[length] == high[length]:
        length += 1
    return low[:length]


def explain_no_match(pattern: str) -> str:
    """Explain why no file matches: where the path stops existing, and what there is instead."""
    if os.path.isdir(pattern):
        found = {os.path.splitext(name)[1] for name in sorted(os.listdir(pattern))}
        readable = [suffix for suffix in sorted(found) if suffix.lower() in READABLE]
        if not readable:
            return f"is a folder without files that end in {', '.join(READABLE)}"
        files = os.path.join(pattern, f"*{readable[0]}")
        return f"is a folder; write {files!r} for the files in it"
    # up the path, to the deepest folder that exists
    path = pattern
    while path != os.path.dirname(path):
        missing = os.path.basename(path)
        path = os.path.dirname(path)
        if os.path.isdir(path or "."):
            if path == os.path.dirname(pattern):
                return f"no such file; {nearest(missing, _readable_in(path))}"
            folder = path or "this folder"
            folders = [entry.name for entry in os.scandir(path or ".") if entry.is_dir()]
            return f"no such file: no folder {missing!r} in {folder}; {nearest(missing, folders)}"
    return "no such file"


def _readable_in(folder: str) -> list[str]:
    """The names of what can be read in a folder, or of everything where that is nothing."""
    names = os.listdir(folder or ".")
    return [name for name in names if name.lower().endswith(READABLE)] or names


def _expand_url(pattern: str) -> list[str]:
    """The files that match a URL.

    Without a wildcard it is the URL itself, which is checked when it is opened.
    """
    if not _WILDCARD.search(pattern.partition("?")[0]):
        return [pattern]
    try:
        filesystem, path = fsspec.core.url_to_fs(pattern)
        matches = filesystem.glob(path)
        paths = sorted(filesystem.unstrip_protocol(str(match)) for match in matches)
    except ImportError as error:
        raise DataError(f"{pattern}: cannot be reached ({error}); {REMOTE_EXTRA}") from error
    except (OSError, ValueError, NotImplementedError) as error:
        raise DataError(
            f"{pattern}: files cannot be listed there ({error}); name them one by one"
        ) from error
    if not paths:
        raise DataError(f"{pattern}: no such file")
    return paths
