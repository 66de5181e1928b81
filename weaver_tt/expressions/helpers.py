"""Helpers that public configurations for Weaver call, with the values that weaver-core gives them.

R rows; (R, var) is a jagged array. Their names are Weaver's; ``registry.py`` lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import DataError
from weaver_tt.expressions.methods import validate_length, validate_size
from weaver_tt.expressions.momentum import make_momentum
from weaver_tt.system.mixing import STEP, mix_bits


def _hash(*columns: Any) -> npt.NDArray[np.int64]:
    """A whole number for each row, the same for equal rows in every run.

    Columns (R,) of numbers -> (R,): ``_hash(run, event) % 10``.
    """
    if any(ak.Array(column).ndim != 1 for column in columns):
        raise DataError("_hash takes columns with one number per row")
    lists = [np.asarray(ak.to_numpy(column)).tolist() for column in columns]
    rows = zip(*lists, strict=True)
    # Python's hash of a tuple of numbers, as Weaver takes it: no seed enters
    return np.fromiter(map(hash, rows), dtype=np.int64)


def _concat(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Arrays one after another along ``axis``."""
    if len(arrays) == 0:
        return np.array([])
    if _all_numpy(arrays):
        return np.concatenate(arrays, axis)
    return ak.concatenate(arrays, axis)


def _stack(arrays: Sequence[Any], axis: int = 1) -> Any:
    """Arrays side by side along a new ``axis``: K columns (R,) -> (R, K)."""
    if len(arrays) == 0:
        return np.array([])
    if _all_numpy(arrays):
        return np.stack(arrays, axis)
    # awkward has no stack; joining along an axis of length 1 does the same
    new_axis = (slice(None),) * axis + (np.newaxis,)
    return ak.concatenate([ak.Array(array)[new_axis] for array in arrays], axis)


def _all_numpy(arrays: Sequence[Any]) -> bool:
    return all(isinstance(array, np.ndarray) for array in arrays)


def _pad(array: Any, maxlen: int, value: float = 0, dtype: str = "float32") -> npt.NDArray[Any]:
    """The first ``maxlen`` objects of each row, filled up with ``value``: (R, var) -> (R, maxlen).

    A column (R,) counts as one object a row.
    """
    if isinstance(array, np.ndarray) and array.ndim >= 2 and array.shape[1] == maxlen:
        return array
    content, counts = _content_and_counts(array)
    padded = np.full((len(counts), validate_length(maxlen)), value, dtype)
    is_filled = np.arange(maxlen) < counts[:, None]  # (R, maxlen)
    padded[is_filled] = content[_position_in_row(counts) < maxlen]
    return padded


def _repeat_pad(array: Any, maxlen: int, dtype: str = "float32") -> npt.NDArray[Any]:
    """Each row's objects over and over up to ``maxlen``: (R, var) -> (R, maxlen).

    Rows without objects are zero.
    """
    content, counts = _content_and_counts(array)
    padded = np.zeros((len(counts), validate_length(maxlen)), dtype)
    has_objects = counts > 0
    first = (np.cumsum(counts) - counts)[has_objects, None]
    place = np.arange(maxlen) % counts[has_objects, None]  # (R', maxlen)
    padded[has_objects] = content[first + place]
    return padded


def _content_and_counts(array: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Content (M,) and counts (R,) of a jagged array, or of one value a row."""
    array = ak.Array(array)
    if array.ndim == 1:
        return ak.to_numpy(array), np.ones(len(array), np.int64)
    content = ak.to_numpy(ak.flatten(array))
    counts = ak.to_numpy(ak.num(array))
    return content, counts


def _position_in_row(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The place of each object inside its row: counts (R,) -> (M,)."""
    first = np.cumsum(counts) - counts
    return np.arange(counts.sum()) - np.repeat(first, counts)


def _reindex(index: Any, original_index: Any) -> Any:
    """Places of objects in the file -> their places among those that an object selection left.

    ``index``: (R,), (R, var) or (R, var, var) whole numbers; ``original_index`` (R, var): the
    places in the file of the objects that are left, in ascending order, as
    ``GROUP_original_index``. An object that is not left, and a negative place, give -1.
    """
    index = ak.Array(index)
    if index.ndim == 3:
        inner = ak.flatten(ak.num(index, axis=2))
        return ak.unflatten(_reindex(ak.flatten(index, axis=2), original_index), inner, axis=1)
    left, left_counts = _content_and_counts(original_index)
    if index.ndim == 1:
        places = ak.to_numpy(index)
        counts = np.ones(len(index), np.int64)
    else:
        places = ak.to_numpy(ak.flatten(index))
        counts = ak.to_numpy(ak.num(index))
    # rows apart in one ascending list of all that is left: row * stride + place
    rows_left = np.repeat(np.arange(len(left_counts)), left_counts)
    rows = np.repeat(np.arange(len(counts)), counts)
    last = int(left.max(initial=-1))
    stride = last + 1
    keys = rows_left * stride + left
    # formats also write "none" as the largest number there is
    is_possible = (places >= 0) & (places <= last)
    wanted = rows * stride + np.where(is_possible, places, 0)
    found = np.searchsorted(keys, wanted)
    is_left = is_possible & (np.append(keys, -1)[found] == wanted)
    begins = np.cumsum(left_counts) - left_counts
    new = np.where(is_left, found - begins[rows], -1)
    return new if index.ndim == 1 else ak.unflatten(new, counts)


def _clip(array: Any, a_min: Any, a_max: Any) -> Any:
    """Values below ``a_min`` become ``a_min``, above ``a_max`` become ``a_max``."""
    return np.minimum(np.maximum(array, a_min), a_max)


def clip(a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    """``np.clip`` in which jagged arrays meet one value a row row by row.

    numpy's own makes rectangles of them, and then matches the last axes.
    """
    if a_min is not None:
        a = np.maximum(a, a_min)
    return a if a_max is None else np.minimum(a, a_max)


def _knn(support: Any, query: Any, k: int, n_jobs: int = 1) -> npt.NDArray[np.int64]:
    """Indices of the ``k`` points of ``support`` (S, D) nearest to each of ``query`` (Q, D).

    (Q, k), nearest first, S where there are fewer; ``n_jobs`` is there for Weaver's sake.
    """
    support = np.asarray(support, float)
    query = np.asarray(query, float)
    validate_size(len(query) * (support.size + validate_length(k)), len(query))
    difference = query[:, None, :] - support[None, :, :]  # (Q, S, D)
    distance = (difference**2).sum(-1)  # (Q, S)
    index = np.full((len(query), k), len(support))
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :k]
    index[:, : nearest.shape[1]] = nearest
    return index


def _batch_knn(
    supports: Sequence[Any],
    queries: Sequence[Any],
    k: int,
    maxlen_s: int,
    maxlen_q: int | None = None,
    n_jobs: int = 1,
) -> npt.NDArray[np.int32]:
    """``_knn`` row by row, among the first ``maxlen_s`` and for the first ``maxlen_q`` points.

    (R, maxlen_q, k), padded with maxlen_s - 1.
    """
    longest = maxlen_s if maxlen_q is None else maxlen_q
    validate_size(len(supports) * validate_length(longest) * validate_length(k), len(supports))
    index = np.full((len(supports), longest, k), maxlen_s - 1, np.int32)
    for row, (support, query) in enumerate(zip(supports, queries, strict=True)):
        kept = query[:longest]
        index[row, : len(kept)] = _knn(support[:maxlen_s], kept, k)
    return index


def _batch_permute_indices(array: ak.Array) -> ak.Array:
    """A random order of each row's objects: (R, var) -> (R, var).

    A pure function of the row's own content, so that a row has the same order in every run and
    whatever rows it is read with.
    """
    counts = ak.to_numpy(ak.num(array))
    rows = np.repeat(_row_numbers(array), counts)  # (M,)
    keys = mix_bits(rows + STEP * _position_in_row(counts).astype(np.uint64))
    return ak.argsort(ak.unflatten(keys, counts))


def stable_argsort(a: Any, axis: int = -1, kind: Any = None, order: Any = None) -> Any:
    """``np.argsort`` that leaves equal values in their order, which ``kind`` would leave open."""
    # awkward does not know fields to order by
    fields = {} if order is None else {"order": order}
    return np.argsort(a, axis=axis, kind="stable", **fields)


def _batch_argsort(array: ak.Array) -> ak.Array:
    """The order that sorts each row's objects, smallest first, equal ones as they come."""
    return ak.argsort(array, stable=True)


def _batch_gather(array: ak.Array, indices: ak.Array) -> ak.Array:
    """Each row's objects in the given order."""
    return array[indices]


def _batch_permute_and_drop_indices(
    array: ak.Array,
    random_permute: bool = True,
    drop_rate_min: float = 0,
    drop_rate_max: float = 0,
    min_elements: int = 1,
) -> ak.Array:
    """Random (or sorting) indices of each row's objects, some of the last objects left out.

    The share left out is drawn for each row between the two rates; ``min_elements`` stay.
    """
    indices = _batch_permute_indices(array) if random_permute else _batch_argsort(array)
    if not drop_rate_min:
        return indices
    if not 0 < drop_rate_min <= drop_rate_max < 1:
        raise DataError(
            f"drop rates {drop_rate_min} and {drop_rate_max}: "
            f"expected 0 < drop_rate_min <= drop_rate_max < 1"
        )
    counts = ak.to_numpy(ak.num(array))
    # other random numbers than those of the order
    random = mix_bits(~_row_numbers(array)) / 2.0**64  # (R,)
    rate = drop_rate_min + (drop_rate_max - drop_rate_min) * random
    kept = np.maximum(min_elements, np.round(counts * (1 - rate))).astype(np.int64)
    return indices[indices < kept]


def _row_numbers(array: ak.Array) -> npt.NDArray[np.uint64]:
    """A random number for each row that depends on the row's content alone: (R, var) -> (R,).

    Of anything but lists of numbers, it depends on the size of the row.
    """
    counts = ak.to_numpy(ak.num(array))
    content = ak.flatten(array)
    bits = np.zeros(len(content), np.uint64)
    if content.ndim == 1 and content.layout.is_numpy:
        # + 0.0 makes one zero of both
        bits = (ak.to_numpy(content).astype(np.float64) + 0.0).view(np.uint64)
    objects = mix_bits(bits + STEP * _position_in_row(counts).astype(np.uint64))
    # sums modulo 2^64, so that a difference of two is exact
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(objects, dtype=np.uint64)])
    ends = np.cumsum(counts)
    of_row = sums[ends] - sums[ends - counts]
    return mix_bits(of_row + counts.astype(np.uint64))


def _tree_mask(parent: Any) -> ak.Array:
    """1 for each node of a tree, given by the places (R, var) of mothers in the row.

    Mothers come before their daughters, from place 0; -1 is a node without mother.

    Raises:
        DataError: a mother is none of the nodes before it.
    """
    parent = ak.Array(parent)
    if parent.ndim != 2:
        raise DataError("_tree_mask takes the places of mothers, a list in each row")
    counts = ak.to_numpy(ak.num(parent))
    mothers = np.asarray(ak.to_numpy(ak.flatten(parent)))
    starts = np.cumsum(counts) - counts
    places = np.arange(len(mothers)) - np.repeat(starts, counts)
    is_good = (mothers >= -1) & (mothers < places) & (mothers == np.floor(mothers))
    if not is_good.all():
        first = int(np.flatnonzero(~is_good)[0])
        row = int(np.searchsorted(starts, first, side="right")) - 1
        raise DataError(
            f"row {row} of these: the mother of node {places[first]} is {mothers[first]:g}; "
            f"expected the place of an earlier node, from 0, or -1 for none"
        )
    return ak.unflatten(np.ones_like(mothers), counts)


UNCHECKED = {_tree_mask: ak.ones_like}
"""A function that checks values -> what gives the same of values that pass."""


def _p4_from_pxpypze(px: Any, py: Any, pz: Any, energy: Any) -> ak.Array:
    """Four-momenta from Cartesian components."""
    return make_momentum(px=px, py=py, pz=pz, energy=energy)


def _p4_from_ptetaphie(pt: Any, eta: Any, phi: Any, energy: Any) -> ak.Array:
    """Four-momenta from transverse momentum, pseudorapidity, azimuth and energy."""
    return make_momentum(pt=pt, eta=eta, phi=phi, energy=energy)


def _p4_from_ptetaphim(pt: Any, eta: Any, phi: Any, mass: Any) -> ak.Array:
    """Four-momenta from transverse momentum, pseudorapidity, azimuth and mass."""
    return make_momentum(pt=pt, eta=eta, phi=phi, mass=mass)
