"""ROOT files: choose the tree of a file, and the reader for its kind."""

from __future__ import annotations

from typing import Any

import uproot

from weaver_tt.errors import DataError, MissingTreeError, nearest
from weaver_tt.formats.file_groups import is_remote
from weaver_tt.formats.reader import Reader, blame_file
from weaver_tt.formats.rntuple_reader import RNTupleReader
from weaver_tt.formats.ttree_reader import TTreeReader
from weaver_tt.system.stage_times import Stage, stage

# class name in the file -> reader of the tree
TREE_READERS: dict[str, type[TTreeReader] | type[RNTupleReader]] = {
    "TTree": TTreeReader,
    "TNtuple": TTreeReader,
    "TNtupleD": TTreeReader,
    "ROOT::RNTuple": RNTupleReader,
    "ROOT::Experimental::RNTuple": RNTupleReader,
}


class TimedFile(uproot.MultithreadedFileSource):
    """A local file; the time that its bytes take counts for reading."""

    def chunk(self, start: int, stop: int) -> Any:
        """Bytes [start, stop)."""
        with stage(Stage.READING):
            return super().chunk(start, stop)

    def chunks(self, ranges: Any, notifications: Any) -> Any:
        """The bytes of several ranges, which are there when this returns."""
        with stage(Stage.READING):
            return super().chunks(ranges, notifications)


def open_root(path: str, treename: str | None = None) -> Reader:
    """Open the TTree or RNTuple ``treename`` (``folder/name`` in a folder), or the file's only one.

    Several cycles of a name are one tree: the last that was written.
    """
    with blame_file(path, "the file"):
        file = _open_file(path)
    try:
        name, kind = _choose_tree(path, file, treename)
        reader = TREE_READERS[kind](path, name, file)
        if not is_remote(path):
            # what the time for the bytes does not account for
            reader.reading_stage = Stage.DECOMPRESSING
        return reader
    except BaseException:
        file.close()
        raise


def _open_file(path: str) -> Any:
    """Open ``path`` with uproot."""
    options: dict[str, Any] = {}
    if not is_remote(path):
        # plain reads in this thread are as fast as a memory map, which would kill the process
        # (SIGBUS) where a network disk fails
        options["handler"] = TimedFile
        options["use_threads"] = False
    # no caches: every array is read once, and they would only take memory
    return uproot.open({path: None}, object_cache=None, array_cache=None, **options)


def tree_names(path: str) -> list[str]:
    """The names of all trees of a file, with their folders.

    Raises:
        BadFileError: the file is damaged.
    """
    with blame_file(path, "the file"), _open_file(path) as file:
        return list(_tree_kinds(path, file))


def _tree_kinds(path: str, file: Any) -> dict[str, str]:
    """The names of the trees of a file, and their classes."""
    with blame_file(path, "the list of trees"):
        class_names = file.classnames(recursive=True, cycle=False)
    return {name: kind for name, kind in class_names.items() if kind in TREE_READERS}


def _choose_tree(path: str, file: Any, treename: str | None) -> tuple[str, str]:
    """Name and class of the tree to read."""
    kinds = _tree_kinds(path, file)
    if not kinds:
        raise MissingTreeError(f"{path}: the file holds no TTree or RNTuple")
    if treename is not None:
        # `name;2` names the cycle
        without_cycle = treename.partition(";")[0]
        if without_cycle not in kinds:
            raise MissingTreeError(f"{path}: no tree {treename!r}; {nearest(treename, kinds)}")
        return treename, kinds[without_cycle]
    if len(kinds) != 1:
        raise DataError(
            f"{path}: treename is needed, the file holds {len(kinds)} trees; {nearest('', kinds)}"
        )
    return next(iter(kinds.items()))
