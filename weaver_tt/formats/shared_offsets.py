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
    # the decoder may have known that columns are of the same objects
    if isinstance(layout, ListOffsetArray):
        is_known = any(layout.offsets is shared for shared in known)
        if is_known and len(layout.content) == layout.offsets.data[-1]:
            return layout
    layout = layout.to_ListOffsetArray64(start_at_zero=True)
    offsets = layout.offsets  # (R + 1,)
    content = layout.content[: offsets[-1]]
    for shared in known:
        if np.array_equal(shared.data, offsets.data):
            return ListOffsetArray(shared, content, parameters=layout.parameters)
    known.append(offsets)
    return ListOffsetArray(offsets, content, parameters=layout.parameters)


def _is_list(layout: Content) -> bool:
    """Whether rows are lists of any length; texts, which are lists of characters, are values."""
    is_text = layout.parameter("__array__") is not None
    return layout.is_list and not layout.is_regular and not is_text


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
