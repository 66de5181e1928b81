"""What the user wrote after ``-i`` or ``-t`` -> file groups: ``name:pattern``, wildcards, remote URLs."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import fsspec

from weaver_tt.errors import DataError, nearest
from weaver_tt.log import log

AWKWARD0_SUFFIX = ".awkd"  # files of awkward 0, which old scripts name and nothing writes any more
UNNAMED_GROUP = "_"  # group of the patterns without a name
_NAMED = re.compile(r"(?P<name>[^:/]+?)(?P<split>%\d+)?:(?!//|:)(?P<pattern>.+)", re.DOTALL)
_WILDCARD = re.compile(r"[*\[]")  # not `?`, which begins a URL's query


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Files that belong together: one class, one sample, one output file of a prediction."""

    name: str
    paths: tuple[str, ...]


def is_remote(path: str) -> bool:
    """Whether ``path`` is a URL (``root://``, ``https://``, ``s3://`` ...) rather than a path on this machine."""
    return "://" in path


def parse_groups(patterns: Sequence[str], divide: bool = False) -> list[FileGroup]:
    """Expand ``name:pattern`` arguments, in their order; a name that comes twice collects the files of both, a file counts once in a group.

    A pattern is a path with the wildcards ``* ? [abc] **``, or a URL (``* [abc]`` are looked up where the protocol can list files). What stands
    before the first colon is a name unless ``//`` follows. Patterns without a name form the group ``_``. Files of a pattern are sorted.
    With ``divide``, ``name%10:pattern`` makes groups ``name_0``, ``name_1``, … of 10 files each.

    Raises DataError for a pattern that no file matches.
    """
    groups: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    for argument in patterns:
        match = _NAMED.fullmatch(argument)
        name, pattern = (match["name"], match["pattern"]) if match else (UNNAMED_GROUP, argument)
        if match and match["split"]:
            sizes[name] = max(1, int(match["split"][1:]))
            if not divide:
                log.info(
                    "%s: files need not be split by %r, work is divided by rows; it is ignored",
                    argument,
                    match["split"],
                )
        paths = _expand_url(pattern) if is_remote(pattern) else _expand(os.path.expanduser(pattern))
        known = groups.setdefault(name, [])
        fresh = [path for path in dict.fromkeys(paths) if path not in set(known)]
        if len(fresh) < len(paths):
            log.warning(
                "%s: %d files are in group %r already and count once",
                argument,
                len(paths) - len(fresh),
                name,
            )
        known += fresh
    return [
        part
        for name, paths in groups.items()
        for part in _split_group(name, paths, sizes.get(name) if divide else None)
    ]


def first_files(patterns: Sequence[str], number: int) -> list[str]:
    """``patterns`` cut down to the first ``number`` files of each group."""
    return [
        f"{group.name}:{path}" for group in parse_groups(patterns) for path in group.paths[:number]
    ]


def _split_group(name: str, paths: list[str], size: int | None) -> list[FileGroup]:
    """The group as it is, or groups of ``size`` files each."""
    if size is None:
        return [FileGroup(name, tuple(paths))]
    return [
        FileGroup(f"{name}_{number}", tuple(paths[number * size :][:size]))
        for number in range(-(-len(paths) // size))
    ]


def _expand(pattern: str) -> list[str]:
    """The files that match a local pattern, sorted."""
    if os.path.isfile(pattern):  # a name may hold brackets
        return [pattern]
    paths = sorted(path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path))
    if not paths and pattern.endswith(AWKWARD0_SUFFIX):
        return _successors(pattern)
    if not paths:
        raise DataError(f"{pattern}: {_explain_no_match(pattern)}")
    return paths


def _successors(pattern: str) -> list[str]:
    """For a path that ends in ``.awkd`` and is not there: files that differ from it in the ending only, as converted ones do."""
    for suffix in (".parquet", ".root", ".h5"):
        other = pattern.removesuffix(AWKWARD0_SUFFIX) + suffix
        if paths := sorted(glob.glob(other, recursive=True)):
            _log_successor(pattern, other)
            return paths
    raise DataError(
        f"{pattern}: no such file, nor one that ends in .parquet or .root instead; `weaver-tt convert` makes them from a public data set"
    )


@cache
def _log_successor(pattern: str, other: str) -> None:
    """Say it once a run, however often files are looked for."""
    log.info("%s: there is no such file; reading %s instead", pattern, other)


def _explain_no_match(pattern: str) -> str:
    """What to say about a pattern that matches no file: where the path ends to exist, and what is there."""
    if os.path.isdir(pattern):
        return f"is a folder; write {os.path.join(pattern, '*.root')!r} for the files in it"
    folder = pattern
    while folder != (parent := os.path.dirname(folder)):
        missing, folder = os.path.basename(folder), parent
        if os.path.isdir(folder or "."):
            there = os.listdir(folder or ".")
            return f"no such file; {missing!r} is not in {folder or 'this folder'}: {nearest(missing, there)}"
    return "no such file"


def _expand_url(pattern: str) -> list[str]:
    """The files that match a URL; without a wildcard the URL itself, which is looked at when it is opened."""
    if not _WILDCARD.search(pattern.partition("?")[0]):
        return [pattern]
    try:
        filesystem, path = fsspec.core.url_to_fs(pattern)
        found = sorted(filesystem.unstrip_protocol(str(match)) for match in filesystem.glob(path))
    except (OSError, ValueError, ImportError, NotImplementedError) as error:
        raise DataError(
            f"{pattern}: files cannot be listed there ({error}); name them one by one"
        ) from error
    if not found:
        raise DataError(f"{pattern}: no such file")
    return found
