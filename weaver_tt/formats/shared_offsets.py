"""List columns of one table whose rows have equal counts share one offsets object.

That columns are aligned then shows in ``is``, and what is made from the offsets is made once.
"""

from __future__ import annotations

from collections.abc import Mapping

import awkward as ak
import numpy as np
from awkward.contents import Content, ListOffsetArray
from awkward.index import Index, Index64


def share_offsets(table: Mapping[str, ak.Array]) -> dict[str, ak.Array]:
    """Give list columns with equal counts the same ``offsets`` object; others stay as they are.

    Offsets are int64, from 0 to the length of the content.
    """
    known: list[Index] = []
    shared = {}
    for name, array in table.items():
        layout = _with_shared_offsets(array.layout, known)
        shared[name] = array if layout is array.layout else ak.Array(layout)
    return shared


def _with_shared_offsets(layout: Content, known: list[Index]) -> Content:
    """``layout`` with offsets of ``known`` if equal ones are there; added to it otherwise."""
    if not _is_list(layout):
        return layout
    if not _is_packed(layout):
        layout = layout.to_ListOffsetArray64(start_at_zero=True)
    offsets = _once(layout.offsets, known)  # (R + 1,)
    objects = int(offsets.data[-1])
    # the decoder may have known already that columns are of the same objects
    if offsets is layout.offsets and objects == len(layout.content):
        return layout
    return ListOffsetArray(offsets, layout.content[:objects], parameters=layout.parameters)


def _is_list(layout: Content) -> bool:
    """Whether rows are lists of any length; texts, which are lists of characters, are values."""
    is_text = layout.parameter("__array__") is not None
    return layout.is_list and not layout.is_regular and not is_text


def _is_packed(layout: Content) -> bool:
    """Whether the offsets are int64 and begin at 0."""
    if not isinstance(layout, ListOffsetArray):
        return False
    return layout.offsets.dtype == np.int64 and layout.offsets.data[0] == 0


def _once(offsets: Index, known: list[Index]) -> Index:
    """The offsets of ``known`` that equal ``offsets``, which are else added to it."""
    for shared in known:
        if shared is offsets or np.array_equal(shared.data, offsets.data):
            return shared
    known.append(offsets)
    return offsets


def slice_table(table: Mapping[str, ak.Array], first: int, last: int) -> dict[str, ak.Array]:
    """Rows [first, last) of a table that :func:`share_offsets` has made; offsets stay shared.

    The content is not copied.
    """
    # id of the offsets -> those of the rows, and where the objects begin and end
    found: dict[int, tuple[Index64, int, int]] = {}
    sliced = {}
    for name, array in table.items():
        layout = array.layout
        if not _is_list(layout):
            sliced[name] = array[first:last]
            continue
        key = id(layout.offsets)
        if key not in found:
            offsets = np.asarray(layout.offsets.data)[first : last + 1]  # (rows + 1,)
            found[key] = Index64(offsets - offsets[0]), int(offsets[0]), int(offsets[-1])
        offsets, begin, end = found[key]
        content = layout.content[begin:end]
        sliced[name] = ak.Array(ListOffsetArray(offsets, content, parameters=layout.parameters))
    return sliced
