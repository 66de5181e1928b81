"""Rows of different length for attention: all real objects as one list, and rectangles of rows of similar length.

Shapes: N rows, P slots, M objects in the list, n rows of at most L objects in a group, C features. What acts on each object alone works on the
list (M, C) and never sees padding; attention works on one group after the other, whose L is that of its longest row. Both forms below have the
same interface:

    form                the list holds      groups                                          used
    :class:`Ragged`     real objects        rows sorted by length, cut where a group is full   training and evaluation
    :class:`Dense`      all N * P slots     one of all rows, with its mask                  ONNX, where shapes must not depend on data
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

MAX_CELLS = (
    1 << 15
)  # pairs of slots n L^2 of a group: what attention computes on one group stays in the cache
MAX_CELLS_ON_GPU = 1 << 22  # there, few large groups


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of similar length."""

    rows: Any  # n, an integer; in a trace a tensor
    length: Any  # L
    starts: Tensor  # (n,) place of each row's first object in the list
    counts: Tensor  # (n,) objects of each row that the list holds
    mask: Tensor | None  # (n, L) True for objects; None where all are
    take: Tensor | None = (
        None  # (n L,) the object of each slot, any on padding, counted from the group's first; None: as they come
    )
    put: Tensor | None = None  # (objects of the group,) the slot of each object


class Ragged:
    """Real objects one after another, shortest rows first. Masks may have holes. Waits once for the device, for the lengths."""

    def __init__(self, mask: Tensor, cells: int | None = None) -> None:
        """``mask`` (N, P), True for real objects."""
        slots = mask.shape[1]
        counts, order = mask.sum(1).sort(stable=True)
        lengths: list[int] = counts.tolist()
        places = mask.index_select(0, order).flatten().nonzero().squeeze(1)  # (M,)
        rows = order.index_select(0, torch.div(places, slots, rounding_mode="floor"))
        self.slots = (
            rows * slots + places % slots
        )  # (M,) place of each object among the N * P slots
        self.restore = order.argsort()  # (N,)
        starts = counts.cumsum(0) - counts
        edges = group_edges(lengths, cells or (MAX_CELLS_ON_GPU if mask.is_cuda else MAX_CELLS))
        self.groups = [
            _make_group(starts[first:last], counts[first:last], lengths[first], lengths[last - 1])
            for first, last in edges
        ]
        self.sizes = [sum(lengths[first:last]) for first, last in edges]

    def gather(self, features: Tensor) -> Tensor:
        """(N, C, P) -> (M, C)."""
        return features.transpose(1, 2).flatten(0, 1).index_select(0, self.slots)

    def split(self, values: Tensor) -> list[Tensor]:
        """(M, C) -> (n, L, C) of each group; arbitrary finite numbers on padding, to which no gradient flows back."""
        parts = values.split(self.sizes)
        return [
            _pad_group(part, group).view(group.rows, group.length, values.shape[1])
            for part, group in zip(parts, self.groups, strict=True)
        ]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """(n, L, C) of each group -> (M, C), undoing :meth:`split`."""
        return torch.cat(
            [
                _drop_group_padding(part.flatten(0, 1), group)
                for part, group in zip(parts, self.groups, strict=True)
            ]
        )

    def mean(self, values: Tensor) -> Tensor:
        """Mean over each row's objects (M, C) -> (N, C), in the order of the groups; 0 for a row without."""
        return _row_means(self.split(values), self.groups)

    def restore_order(self, values: Tensor) -> Tensor:
        """One entry for each row in the order of the groups (N, ...) -> in the order of the mask."""
        return values.index_select(0, self.restore)


class Dense:
    """All slots of all rows, padding included: elementary operations only, for ONNX."""

    def __init__(self, mask: Tensor) -> None:
        """``mask`` (N, P), True for real objects."""
        self.shape = rows, slots = mask.shape
        starts = torch.arange(rows, device=mask.device) * slots
        self.groups = [Group(rows, slots, starts, torch.full_like(starts, 1) * slots, mask)]
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

    def mean(self, values: Tensor) -> Tensor:
        """(N P, C) -> (N, C)."""
        return _row_means(self.split(values), self.groups)

    def restore_order(self, values: Tensor) -> Tensor:
        """(N, ...) as it is."""
        return values


ObjectRows = Ragged | Dense


def make_object_rows(mask: Tensor, dense: bool = False) -> ObjectRows:
    """The form in which to compute for ``mask`` (N, P), True for real objects: dense when asked, and always in an ONNX export."""
    return Dense(mask) if dense or torch.onnx.is_in_onnx_export() else Ragged(mask)


def group_edges(lengths: Sequence[int], cells: int) -> list[tuple[int, int]]:
    """Rows of ascending ``lengths`` -> (first, last) of groups with at most ``cells`` pairs of slots, or one row."""
    edges: list[tuple[int, int]] = []
    last = len(lengths)
    while last:
        first = max(0, last - max(1, cells // max(lengths[last - 1], 1) ** 2))
        edges.append((first, last))
        last = first
    return edges[::-1]


def _row_means(parts: Sequence[Tensor], groups: Sequence[Group]) -> Tensor:
    means = []
    for part, group in zip(parts, groups, strict=True):
        real = (
            torch.ones_like(part[:, :, :1])
            if group.mask is None
            else group.mask.unsqueeze(2).to(part.dtype)
        )  # (n, L, 1)
        means.append((part * real).sum(1) / real.sum(1).clamp(min=1))
    return torch.cat(means)


def _make_group(starts: Tensor, counts: Tensor, shortest: int, length: int) -> Group:
    if shortest == length:
        return Group(len(counts), length, starts, counts, None)
    place = torch.arange(length, device=counts.device)
    mask = place < counts.unsqueeze(1)  # (n, L)
    put = mask.flatten().nonzero().squeeze(1)
    take = (starts.unsqueeze(1) - starts[0] + place).clamp(max=len(put) - 1).flatten()
    return Group(len(counts), length, starts, counts, mask, take, put)


class _Move(Function):
    """Rows of a matrix by index; the gradient comes back by the inverse index, which is quicker than adding up, and the same for each run."""

    @staticmethod
    def forward(context: Any, values: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        context.save_for_backward(inverse)
        return values.index_select(0, index)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inverse,) = context.saved_tensors
        return gradient.index_select(0, inverse), None, None


class _Drop(Function):
    """Real slots of a padded matrix; padding gets gradient 0."""

    @staticmethod
    def forward(context: Any, values: Tensor, put: Tensor) -> Tensor:
        context.save_for_backward(put)
        context.shape = values.shape
        return values.index_select(0, put)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (put,) = context.saved_tensors
        return gradient.new_zeros(context.shape).index_copy_(0, put, gradient), None


def _pad_group(values: Tensor, group: Group) -> Tensor:
    """(objects of the group, C) -> (n L, C)."""
    return values if group.take is None else _Move.apply(values, group.take, group.put)


def _drop_group_padding(values: Tensor, group: Group) -> Tensor:
    """(n L, C) -> (objects of the group, C)."""
    return values if group.put is None else _Drop.apply(values, group.put)
