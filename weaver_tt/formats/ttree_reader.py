"""The reader of a ROOT TTree: baskets are decoded branch by branch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import awkward as ak
import uproot
from uproot.interpretation.identify import UnknownInterpretation
from uproot.interpretation.objects import CannotBeAwkward

from weaver_tt.formats.file_groups import is_remote
from weaver_tt.formats.reader import (
    MAX_BYTES,
    Reader,
    blame_file,
    check_unpacked,
    column_spellings,
)
from weaver_tt.formats.truncated_floats import truncated_interpretation


class TTreeReader(Reader):
    """A TTree. Columns are its branches; each part of a split object is a column of its own.

    A part ``Jets.fCoordinates.fPt`` of ``Jets`` is found under that name, as
    ``Jets/Jets.fCoordinates.fPt`` (uproot's), as ``Jets_fCoordinates_fPt`` (which an expression can
    spell), and under its last word ``fPt`` if no other column ends so.
    """

    def __init__(self, path: str, treename: str, file: Any) -> None:
        super().__init__(path, f"{path}, tree {treename!r}")
        self._treename = treename
        self._file = file
        with blame_file(self.place, "the tree"):
            self._tree = file[treename]
            self._rows = int(self._tree.num_entries)
            leaves = dict(_leaf_branches(self._tree.branches))  # path -> branch
        # a branch has its own name, or its whole path where two branches share a name
        uses = Counter(branch.name for branch in leaves.values())
        self._branches = {}  # column -> branch
        self._paths = {}  # column -> path in the tree
        for path, branch in leaves.items():
            name = branch.name if uses[branch.name] == 1 else path
            self._branches[name] = branch
            self._paths[name] = path
        self._checked: set[tuple[str, int]] = set()  # columns and baskets of known size
        self._spellings = {path: name for name, path in self._paths.items()}
        self._spellings |= column_spellings(self._branches)

    def columns(self) -> list[str]:
        return list(self._branches)

    def rows(self) -> int:
        return self._rows

    def known_columns(self) -> Mapping[str, str]:
        return self._spellings

    def clusters(self, columns: Sequence[str] | None = None) -> list[int]:
        """Boundaries that the baskets of all ``columns`` share.

        If these are few, those of the column with the largest baskets.
        """
        if columns is None:
            branches = list(self._branches.values())
        else:
            branches = [self._branches[name] for name in self.resolve(columns)]
        if not branches or not self._rows:
            return sorted({0, self._rows})
        with blame_file(self.place, "the list of baskets"):
            coarsest = min(branches, key=lambda branch: branch.num_baskets)
            boundaries = set(coarsest.entry_offsets)
            shared = boundaries
            # without named columns all branches would be compared, and of 1700 branches that takes
            # longer than reading the few that are wanted
            if columns is not None:
                shared = boundaries.intersection(*(branch.entry_offsets for branch in branches))
        if 2 * len(shared) > len(boundaries):
            boundaries = shared
        inside = [int(boundary) for boundary in boundaries if boundary < self._rows]
        return sorted({0, *inside, self._rows})

    def explain_missing(self, column: str) -> str:
        """The same, with the friends of the tree, in which the column may be."""
        help = super().explain_missing(column)
        friends = ", ".join(_friend_trees(self.path, self._treename))
        if friends:
            help += f"; columns of its friends ({friends}) have to be copied into this tree"
        return help

    def _close(self) -> None:
        self._file.close()

    def stored_type(self, name: str) -> str:
        """The C++ class of an object, or of the leaf with its title."""
        branch = self._branches[name]
        class_name = branch.member("fClassName", none_if_missing=True)
        if class_name:
            return str(class_name)
        if branch.streamer is not None:
            return str(branch.streamer.typename)
        return " ".join([f"{leaf.classname} {branch.title}" for leaf in branch.member("fLeaves")])

    def _types(self, names: Sequence[str]) -> dict[str, ak.types.Type]:
        return {name: self._type(self._branches[name]) for name in names}

    def _type(self, branch: Any) -> ak.types.Type:
        """The type of a branch; uproot would read a basket even for no rows.

        Raises:
            NotImplementedError: values of its type cannot be put into an array.
        """
        interpretation = truncated_interpretation(branch) or branch.interpretation
        try:
            return interpretation.awkward_form(branch.file).type
        except (CannotBeAwkward, UnknownInterpretation) as error:
            raise NotImplementedError(str(error)) from error

    def _read(self, names: Sequence[str], first: int, last: int) -> dict[str, ak.Array]:
        for name in names:
            self._check_sizes(name, first, last)
        arrays = {}
        ordinary = {}  # column -> branch that uproot knows how to decode
        for name in names:
            branch = self._branches[name]
            interpretation = truncated_interpretation(branch)
            if interpretation is None:
                ordinary[name] = branch
            else:
                arrays[name] = branch.array(interpretation, entry_start=first, entry_stop=last)
        if is_remote(self.path):
            arrays |= self._read_at_once(ordinary, first, last)
        else:
            # on a local disk, branch by branch is faster
            for name, branch in ordinary.items():
                arrays[name] = branch.array(entry_start=first, entry_stop=last)
        return arrays

    def _check_sizes(self, name: str, first: int, last: int) -> None:
        """Check what the baskets with rows [first, last) of a column unpack to.

        Raises:
            BadFileError: that is no data.
        """
        branch = self._branches[name]
        # declared for the branch: of nearly all of them, nothing need be looked up
        if branch.uncompressed_bytes <= MAX_BYTES:
            return
        if is_remote(self.path):
            stored, unpacked = branch.compressed_bytes, branch.uncompressed_bytes
            check_unpacked(self.place, name, stored, unpacked // max(1, branch.num_baskets))
            return
        for number, (begin, end) in enumerate(pairwise(branch.entry_offsets)):
            if begin < last and end > first and (name, number) not in self._checked:
                stored = branch.basket_compressed_bytes(number)
                unpacked = branch.basket_uncompressed_bytes(number)
                check_unpacked(self.place, name, stored, unpacked)
                self._checked.add((name, number))

    def _read_at_once(self, branches: dict[str, Any], first: int, last: int) -> dict[str, ak.Array]:
        """Read all branches in one request, since remote files answer slowly."""
        keys = {branch.cache_key for branch in branches.values()}
        arrays = self._tree.arrays(
            filter_branch=lambda branch: branch.cache_key in keys,
            entry_start=first,
            entry_stop=last,
            how=dict,
        )
        # uproot names a branch of a split object by its path
        return {name: arrays[name if name in arrays else self._paths[name]] for name in branches}


def _friend_trees(path: str, treename: str) -> list[str]:
    """``TREE in FILE`` for each friend that is written in a tree."""
    friends: list[Any] = []
    # this helps to explain another error; what stands behind the branches need not be readable
    with (
        suppress(Exception),
        # unless asked for, uproot reads nothing behind the branches
        uproot.open({path: None}, minimal_ttree_metadata=False) as file,
    ):
        friends = list(file[treename].member("fFriends", none_if_missing=True) or [])
    found = []
    for friend in friends:
        name = friend.member("fTreeName", none_if_missing=True)
        # the title of a friend is the path of its file
        file_path = friend.member("fTitle", none_if_missing=True)
        found.append(f"{name!r} in {file_path!r}" if file_path else repr(name))
    return found


def _leaf_branches(branches: Sequence[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Path and branch of every branch that holds data itself; the data is not looked at."""
    for branch in branches:
        path = prefix + branch.name
        if len(branch.branches):
            yield from _leaf_branches(branch.branches, path + "/")
        else:
            yield path, branch
