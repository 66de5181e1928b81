"""Copies of input files on this machine, for files that lie behind a slow network."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec

from weaver_tt.errors import DataError, OutputError, WeaverError
from weaver_tt.formats.file_groups import COPIES, FileGroup, is_remote, parse_groups
from weaver_tt.log import log
from weaver_tt.options.train import DataOptions
from weaver_tt.system import distributed
from weaver_tt.system.progress_bar import progress_bar
from weaver_tt.system.wording import counted


@contextmanager
def local_copies(options: DataOptions, *kinds: str) -> Iterator[DataOptions]:
    """``options`` with temporary copies of the input files, where ``--copy-inputs`` asks for them.

    ``kinds`` are the options whose files are copied: ``data_train`` and so on. The folder lies in
    ``$TMPDIR`` of each machine and is removed at the end; a file keeps its whole path below it,
    which ``file_magic`` may look at. Of the ranks on a machine the first one copies.

    Raises:
        DataError: a file cannot be read.
        OutputError: the disk is too small.
    """
    if not options.copy_inputs:
        yield options
        return
    # all ranks use the folder of the first one
    name = distributed.broadcast_from_main(f"{COPIES}{secrets.token_hex(8)}")
    folder = Path(tempfile.gettempdir()) / name
    copying = distributed.local_rank() == 0
    groups: dict[str, list[FileGroup]] = {}
    for kind in kinds:
        groups[kind] = parse_groups(getattr(options, kind), divide=kind == "data_test")
    copy_of: dict[str, Path] = {}
    for members in groups.values():
        for group in members:
            for path in group.paths:
                copy_of[path] = _copy_path(folder, path)
    try:
        _copy_on_first_rank(copy_of, folder, copying)
        copied_files: dict[str, Any] = {}
        for kind, members in groups.items():
            copied_files[kind] = _patterns(members, copy_of)
        yield replace(options, **copied_files)
    finally:
        if copying:
            shutil.rmtree(folder, ignore_errors=True)


def _patterns(groups: Sequence[FileGroup], copy_of: Mapping[str, Path]) -> list[str]:
    """The copies of all files, each with the name of its group."""
    patterns = []
    for group in groups:
        patterns += [f"{group.name}:{copy_of[path]}" for path in group.paths]
    return patterns


def _copy_path(folder: Path, path: str) -> Path:
    """Where the copy of a path or URL lies."""
    if is_remote(path):
        address = urlsplit(path)
        return folder / address.netloc / address.path.lstrip("/")
    return folder / os.path.abspath(path).lstrip("/")


def _copy_on_first_rank(copy_of: Mapping[str, Path], folder: Path, copying: bool) -> None:
    """Copy, or wait for the rank that does.

    An error on one rank is raised on all of them, or the others would wait for ever.
    """
    failure: WeaverError | None = None
    if copying:
        try:
            _copy_all(copy_of, folder)
        except WeaverError as error:
            failure = error
    for error_of_rank in distributed.gather_from_ranks(failure):
        if error_of_rank is not None:
            raise error_of_rank


def _copy_all(copy_of: Mapping[str, Path], folder: Path) -> None:
    """Copy every file, with a progress bar."""
    folder.mkdir(parents=True)
    # the sizes of remote files are not known beforehand
    size = sum(os.path.getsize(path) for path in copy_of if not is_remote(path))
    if size > shutil.disk_usage(folder).free:
        raise OutputError(
            f"--copy-inputs: {size / 1e9:.1f} GB do not fit into {folder.parent}; "
            "set TMPDIR to a larger disk"
        )
    with progress_bar("copying inputs", len(copy_of), "file") as advance:
        for source, copy in copy_of.items():
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                _copy_file(source, copy)
            except OSError as error:
                raise DataError(
                    f"--copy-inputs: {source} cannot be copied to {copy}: {error}"
                ) from error
            advance(1)
    copied = sum(copy.stat().st_size for copy in copy_of.values())
    files = counted(len(copy_of), "file")
    log.info("--copy-inputs: %s (%.2f GB) copied to %s", files, copied / 1e9, folder)


def _copy_file(source: str, copy: Path) -> None:
    """Copy a path or URL."""
    if is_remote(source):
        filesystem, path = fsspec.core.url_to_fs(source)
        filesystem.get_file(path, str(copy))
    else:
        shutil.copy2(source, copy)
