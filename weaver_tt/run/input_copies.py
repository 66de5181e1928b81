"""Copies of input files on this machine, for those that lie behind a slow network; gone when they have been read."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import fsspec
from tqdm import tqdm

from weaver_tt.errors import DataError, OutputError, WeaverError
from weaver_tt.formats.file_groups import is_remote, parse_groups
from weaver_tt.log import log
from weaver_tt.options.train import DataOptions
from weaver_tt.system import distributed


@contextmanager
def local_copies(options: DataOptions, *kinds: str) -> Iterator[DataOptions]:
    """``options`` whose files of ``kinds`` (``data_train`` ...) are copies in a scratch folder, where ``--copy-inputs`` asks for that.

    The folder lies in ``$TMPDIR`` of each machine and is removed at the end; a file keeps its whole path below it, which ``file_magic`` may look at.
    Of the ranks on a machine the first one copies. Raises DataError for a file that cannot be read, OutputError for a disk that is too small.
    """
    if not options.copy_inputs:
        yield options
        return
    folder = Path(tempfile.gettempdir()) / distributed.broadcast_from_main(
        f"weaver_tt-inputs-{secrets.token_hex(8)}"
    )
    copying = distributed.local_rank() == 0
    groups = {
        kind: parse_groups(getattr(options, kind), divide=kind == "data_test") for kind in kinds
    }
    sources = {
        path: _copy_path(folder, path)
        for members in groups.values()
        for group in members
        for path in group.paths
    }
    try:
        _copy_on_first_rank(sources, folder, copying)
        copies = {
            kind: [f"{group.name}:{sources[path]}" for group in members for path in group.paths]
            for kind, members in groups.items()
        }
        yield replace(options, **copies)  # type: ignore[arg-type]
    finally:
        if copying:
            shutil.rmtree(folder, ignore_errors=True)


def _copy_path(folder: Path, path: str) -> Path:
    """Where the copy of a path or URL lies."""
    if is_remote(path):
        address = urlsplit(path)
        return folder / address.netloc / address.path.lstrip("/")
    return folder / os.path.abspath(path).lstrip("/")


def _copy_on_first_rank(sources: dict[str, Path], folder: Path, copying: bool) -> None:
    """Copy, or wait for the rank that does; each hears of it when another could not, or it would wait for ever."""
    failure: WeaverError | None = None
    try:
        if copying:
            _copy_all(sources, folder)
    except WeaverError as error:
        failure = error
    failure = next(
        (error for error in distributed.gather_from_ranks(failure) if error is not None), None
    )
    if failure is not None:
        raise failure


def _copy_all(sources: dict[str, Path], folder: Path) -> None:
    """Copy every file, with a bar."""
    folder.mkdir(parents=True)
    size = sum(os.path.getsize(path) for path in sources if not is_remote(path))
    if size > shutil.disk_usage(folder).free:
        raise OutputError(
            f"--copy-inputs: {size / 1e9:.1f} GB do not fit into {folder.parent}; set TMPDIR to a larger disk"
        )
    for source, copy in tqdm(sources.items(), desc="copying inputs", unit="file", disable=None):
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            if is_remote(source):
                filesystem, path = fsspec.core.url_to_fs(source)
                filesystem.get_file(path, str(copy))
            else:
                shutil.copy2(source, copy)
        except OSError as error:
            raise DataError(
                f"--copy-inputs: {source} cannot be copied to {copy}: {error}"
            ) from error
    log.info(
        "--copy-inputs: %d files (%.2f GB) copied to %s",
        len(sources),
        sum(copy.stat().st_size for copy in sources.values()) / 1e9,
        folder,
    )
