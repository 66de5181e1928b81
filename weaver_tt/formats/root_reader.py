"""ROOT files: which tree of a file is meant, and the reader for its kind."""

from __future__ import annotations

from typing import Any

import uproot

from weaver_tt.errors import DataError, nearest
from weaver_tt.formats.file_groups import is_remote
from weaver_tt.formats.reader import Reader, blame_file
from weaver_tt.formats.rntuple_reader import RNTupleReader
from weaver_tt.formats.ttree_reader import TTreeReader

TREE_READERS: dict[str, type[TTreeReader] | type[RNTupleReader]] = {
    "TTree": TTreeReader,
    "TNtuple": TTreeReader,
    "TNtupleD": TTreeReader,
    "ROOT::RNTuple": RNTupleReader,
    "ROOT::Experimental::RNTuple": RNTupleReader,
}


def open_root(path: str, treename: str | None = None) -> Reader:
    """Open the TTree or RNTuple ``treename`` (``folder/name`` in a folder); without a name, the only one of the file.

    Several cycles of a name are one tree: the last that was written.
    """
    with blame_file(path, "the file"):
        file = _open_file(path)
    try:
        name, kind = _choose_tree(path, file, treename)
        return TREE_READERS[kind](path, name, file)
    except BaseException:
        file.close()
        raise


def _open_file(path: str) -> Any:
    """The uproot file. Caches are off: every array is read once, and would only take memory."""
    # plain reads in this thread are as fast as a memory map, which would kill the process where a network disk fails
    local = {"handler": uproot.MultithreadedFileSource, "use_threads": False}
    return uproot.open(
        {path: None}, object_cache=None, array_cache=None, **({} if is_remote(path) else local)
    )


def _choose_tree(path: str, file: Any, treename: str | None) -> tuple[str, str]:
    """Name and class of the tree to read."""
    with blame_file(path, "the list of trees"):
        kinds = {
            name: kind
            for name, kind in file.classnames(recursive=True, cycle=False).items()
            if kind in TREE_READERS
        }
    if not kinds:
        raise DataError(f"{path}: the file holds no TTree or RNTuple")
    if treename is not None:
        bare = treename.partition(";")[0]
        if bare not in kinds:
            raise DataError(f"{path}: no tree {treename!r}; {nearest(treename, kinds)}")
        return treename, kinds[bare]
    if len(kinds) != 1:
        raise DataError(
            f"{path}: treename is needed, the file holds {len(kinds)} trees; {nearest('', kinds)}"
        )
    return next(iter(kinds.items()))
