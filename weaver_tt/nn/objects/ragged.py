"""Rows of different length for attention: one list of objects, and rectangles of similar rows.

Shapes: N rows, P slots, M objects in the list, n rows of at most L objects in a group, C features.
What acts on each object alone works on the list (M, C) and never sees padding; attention works on
one group after the other, whose L is that of its longest row. Both forms below have the same
interface:

    form              the list holds    groups                       used
    :class:`Ragged`   real objects      several, of similar length   training and evaluation
    :class:`Dense`    all N * P slots   one of all rows              ONNX: no shape depends on data
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from weaver_tt.data.rows.rows import Integers
from weaver_tt.nn.objects.real_objects import RealObjects, find_real
from weaver_tt.nn.objects.sharing import made_once

# pairs of slots n L^2 of a group: what attention computes on one group stays in the CPU's cache
MAX_CELLS = 1 << 15
# on a GPU, few large groups
MAX_CELLS_ON_GPU = 1 << 22


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of similar length."""

    rows: Any  # n, an integer; in a trace a tensor
    length: Any  # L
    starts: Tensor  # (n,) place of each row's first object in the list
    counts: Tensor  # (n,) objects of each row that the list holds
    host_counts: Integers | None  # the same on the host; None in a compiled or exported graph
    mask: Tensor | None  # (n, L) True for objects; None where all are
    # (n L,) the object of each slot, any on padding, counted from the group's first
    take: Tensor | None = None
    # (objects of the group,) the slot of each object; both are None where the list is the rectangle
    put: Tensor | None = None


class Ragged(RealObjects):
    """Real objects one after another, shortest rows first; masks may have holes."""

    def __init__(self, mask: Tensor, cells: int | None = None) -> None:
        """``mask`` (N, P), True for real objects; ``cells``: the most pairs of slots of a group.

        A row that has more makes a group of its own.
        """
        super().__init__(mask, shortest_first=True)
        known = self.counts if self.host_counts is None else self.host_counts
        lengths: list[int] = known.tolist()
        if cells is None:
            cells = MAX_CELLS_ON_GPU if mask.is_cuda else MAX_CELLS
        self.groups: list[Group] = []
        self.sizes: list[int] = []  # objects of each group
        for first, last in group_edges(lengths, cells):
            self.groups.append(self._make_group(first, last, lengths[first:last]))
            self.sizes.append(sum(lengths[first:last]))

    def _make_group(self, first: int, last: int, lengths: Sequence[int]) -> Group:
        """Rows ``first`` to ``last``, not included, with ``lengths`` objects in ascending order."""
        starts = self.starts[first:last]
        counts = self.counts[first:last]
        host_counts = None
        if self.host_counts is not None:
            host_counts = self.host_counts[first:last]
        rows = len(lengths)
        length = lengths[-1]
        if lengths[0] == length:
            # no padding, so that nothing has to be moved
            return Group(rows, length, starts, counts, host_counts, None)
        objects = sum(lengths)
        place = torch.arange(length, device=counts.device)
        mask = place < counts.unsqueeze(1)  # (n, L)
        put = find_real(mask, objects)
        # what a padded slot takes does not matter, but it must be there
        object_of_slot = starts.unsqueeze(1) - starts[0] + place  # (n, L)
        take = object_of_slot.clamp(max=objects - 1).flatten()
        return Group(rows, length, starts, counts, host_counts, mask, take, put)

    def split(self, values: Tensor) -> list[Tensor]:
        """(M, C) -> (n, L, C) of each group.

        Arbitrary finite numbers on padding, to which no gradient flows back.
        """
        parts = []
        for part, group in zip(values.split(self.sizes), self.groups, strict=True):
            padded = _pad_group(part, group)
            parts.append(padded.view(group.rows, group.length, values.shape[1]))
        return parts

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """(n, L, C) of each group -> (M, C), undoing :meth:`split`."""
        lists = []
        for part, group in zip(parts, self.groups, strict=True):
            lists.append(_drop_group_padding(part.flatten(0, 1), group))
        return torch.cat(lists)

    def mean_row(self, values: Tensor) -> Tensor:
        """Mean over the objects of each row: (M, C) -> (N, C); 0 without any."""
        return _group_means(self.split(values), self.groups)


class Dense:
    """All slots of all rows, padding included: elementary operations only, for ONNX."""

    def __init__(self, mask: Tensor) -> None:
        """``mask`` (N, P), True for real objects."""
        self.shape = rows, slots = mask.shape
        starts = torch.arange(rows, device=mask.device) * slots
        counts = torch.full_like(starts, 1) * slots
        self.groups = [Group(rows, slots, starts, counts, None, mask)]
        self.slots = torch.arange(rows * slots, device=mask.device)

    def gather(self, features: Tensor) -> Tensor:
        """(N, C, P) -> (N P, C)."""
        return features.transpose(1, 2).flatten(0, 1)

    def split(self, values: Tensor) -> list[Tensor]:
        """(N P, C) -> one (N, P, C)."""
        return [values.view(*self.shape, values.shape[1])]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """One (N, P, C) -> (N P, C)."""
        return parts[0].flatten(0, 1)

    def mean_row(self, values: Tensor) -> Tensor:
        """(N P, C) -> (N, C)."""
        return _group_means(self.split(values), self.groups)

    def restore_order(self, values: Tensor) -> Tensor:
        """(N, ...) as it is."""
        return values


ObjectRows = Ragged | Dense


@made_once
def make_object_rows(mask: Tensor, dense: bool = False) -> ObjectRows:
    """The form in which to compute for ``mask`` (N, P), True for real objects.

    Dense when asked, and always in an ONNX export.
    """
    if dense or torch.onnx.is_in_onnx_export():
        return Dense(mask)
    return Ragged(mask)


def group_edges(lengths: Sequence[int], cells: int) -> list[tuple[int, int]]:
    """Rows of ascending ``lengths`` -> (first, last) of groups.

    A group has at most ``cells`` pairs of slots, or one row.
    """
    edges: list[tuple[int, int]] = []
    last = len(lengths)
    # from the end, where the longest row of a group is known
    while last:
        squares = max(lengths[last - 1], 1) ** 2
        rows = max(1, cells // squares)
        first = max(0, last - rows)
        edges.append((first, last))
        last = first
    return edges[::-1]


def _group_means(parts: Sequence[Tensor], groups: Sequence[Group]) -> Tensor:
    means = []
    for part, group in zip(parts, groups, strict=True):
        if group.mask is None:
            real = torch.ones_like(part[:, :, :1])  # (n, L, 1)
        else:
            real = group.mask.unsqueeze(2).to(part.dtype)  # (n, L, 1)
        means.append((part * real).sum(1) / real.sum(1).clamp(min=1))
    return torch.cat(means)


class _Move(Function):
    """Rows of a matrix by index.

    The gradient comes back by the inverse index, which is quicker than adding up, and the same for
    each run.
    """

    @staticmethod
    def forward(context: Any, values: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        context.save_for_backward(inverse)
        return values.index_select(0, index)

    @staticmethod
    def backward(context: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (inverse,) = context.saved_tensors
        return grad.index_select(0, inverse), None, None


class _Drop(Function):
    """Real slots of a padded matrix; padding gets gradient 0."""

    @staticmethod
    def forward(context: Any, values: Tensor, put: Tensor) -> Tensor:
        context.save_for_backward(put)
        context.shape = values.shape
        return values.index_select(0, put)

    @staticmethod
    def backward(context: Any, grad: Tensor) -> tuple[Tensor, None]:
        (put,) = context.saved_tensors
        return grad.new_zeros(context.shape).index_copy_(0, put, grad), None


def _pad_group(values: Tensor, group: Group) -> Tensor:
    """(objects of the group, C) -> (n L, C)."""
    if group.take is None:
        return values
    return _Move.apply(values, group.take, group.put)


def _drop_group_padding(values: Tensor, group: Group) -> Tensor:
    """(n L, C) -> (objects of the group, C)."""
    if group.put is None:
        return values
    return _Drop.apply(values, group.put)
