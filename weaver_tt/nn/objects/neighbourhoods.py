"""Edges between objects and the nearest of their row, themselves among them, as one list.

An object of a row with fewer than k objects has as many neighbours as there are. So that no edge
stands for nothing, objects are listed by the number of their neighbours, and what is done around
each object is done on rectangles of those that have as many.

Shapes: N rows, M real objects of all rows, E edges sorted by receiver and then by distance, C
features, last dimension; a group has m objects with w edges each.

    form                edges               groups                        used
    real edges          E, all real         one for each number of        training and evaluation
                                            neighbours, m objects each
    all k of each       M * k, of which     one of all objects            graphs for other batches
                        ``real`` are                                      too: ONNX, compiled
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable

from weaver_tt.data.rows.host_counts import is_traced
from weaver_tt.errors import ConfigError
from weaver_tt.nn.objects.point_cloud import PointCloud
from weaver_tt.nn.objects.real_objects import sum_by_index
from weaver_tt.nn.objects.sharing import made_once


class Scales:
    """Several sets of an object's k nearest neighbours: what a reduction and a dilation make of k.

    (reduction, dilation) takes every dilation-th of the k // reduction nearest ones.

    Raises:
        ConfigError: a set is empty, or something is not of this form.
    """

    def __init__(self, k: int, reductions: Sequence[tuple[int, int]] | None = None) -> None:
        if reductions is None:
            reductions = ((1, 1),)
        self.k = k
        self.taken: list[range] = []  # places among the k of each set
        for reduction, dilation in reductions:
            self.taken.append(range(0, k // reduction, dilation))
        if not self.taken or not all(self.taken):
            raise ConfigError(
                f"layer_params: {list(reductions)!r} of {k} neighbours; expected (reduction, "
                "dilation) of each set of neighbours, which leave at least one"
            )
        self.sizes = [len(places) for places in self.taken]
        # with few neighbours in all sets, the sets are listed one after another; else all k are,
        # and the sets are parts of these. It is weaver-core's rule, and says what "all edges" are.
        self.are_apart = sum(k // reduction // dilation for reduction, dilation in reductions) < k

    def listed(self, neighbours: int) -> list[slice]:
        """Which of an object's neighbours are listed, if it has so many."""
        taken = self.taken if self.are_apart else [range(self.k)]
        return [slice(0, min(places.stop, neighbours), places.step) for places in taken]

    def width(self, neighbours: int) -> int:
        """How many of an object's neighbours are listed, if it has so many."""
        return sum(len(range(neighbours)[taken]) for taken in self.listed(neighbours))

    def slices(self, neighbours: int) -> list[slice]:
        """Where each set is among those that are listed, if an object has so many neighbours."""
        if not self.are_apart:
            return [slice(0, taken.stop, taken.step) for taken in self.taken]
        found = []
        start = 0
        for taken in self.taken:
            stop = start + sum(place < neighbours for place in taken)
            found.append(slice(start, stop))
            start = stop
        return found


@dataclass(frozen=True, slots=True)
class Group:
    """Objects with the same number of neighbours."""

    objects: Any  # m, an integer; in a trace a tensor
    neighbours: int  # of each object
    width: int  # w: as many of them as are listed


class EdgesByObject:
    """Edges as one list, sorted by receiver: what needs no more than their number.

    ``real`` (E, 1) is 1 for edges that are there, None where all are.
    """

    def __init__(self, groups: Sequence[Group], real: Tensor | None) -> None:
        self.groups = groups
        self.real = real
        self.objects = [group.objects for group in groups]
        self.widths = [group.width for group in groups]
        self.sizes = [group.objects * group.width for group in groups]

    def split(self, values: Tensor) -> list[Tensor]:
        """(E, C) -> (m, w, C) of each group."""
        parts: Sequence[Tensor] = [values]
        # the size of one group is none that a graph for other batches may hold
        if len(self.groups) > 1:
            parts = values.split(self.sizes)
        return [
            part.reshape(-1, width, values.shape[1])
            for part, width in zip(parts, self.widths, strict=True)
        ]

    def split_objects(self, values: Tensor) -> Sequence[Tensor]:
        """(M, ...) -> (m, ...) of each group."""
        return [values] if len(self.groups) == 1 else values.split(self.objects)

    def add_receivers(self, values: Tensor, own: Tensor) -> Tensor:
        """On each edge, what its receiver has is added: (E, C), (M, C) -> (E, C)."""
        if is_traced():
            return self.around(torch.add, values, own)
        return _AddReceivers.apply(values, own, self)

    def scale_receivers(self, values: Tensor, own: Tensor) -> Tensor:
        """On each edge, times what its receiver has: (E, C), (M, C) -> (E, C)."""
        if is_traced():
            return self.around(torch.mul, values, own)
        return _ScaleReceivers.apply(values, own, self)

    def around(
        self, operation: Callable[[Tensor, Tensor], Tensor], values: Tensor, own: Tensor
    ) -> Tensor:
        """An operation on each edge and its receiver: (E, C), (M, C) -> (E, C)."""
        parts = []
        for part, receivers in zip(self.split(values), self.split_objects(own), strict=True):
            parts.append(operation(part, receivers.unsqueeze(1)))
        return join_edges(parts)

    def take(self, values: Tensor, of_groups: Sequence[slice]) -> Tensor:
        """Of each object the edges that its group's slice says: (E, C) -> (E', C)."""
        if self.takes_all(of_groups):
            return values.view_as(values)
        parts = [part[:, which] for part, which in zip(self.split(values), of_groups, strict=True)]
        return join_edges(parts)

    def takes_all(self, of_groups: Sequence[slice]) -> bool:
        """Whether the slices of all groups take all edges."""
        return all(
            range(width)[which] == range(width)
            for width, which in zip(self.widths, of_groups, strict=True)
        )

    def sum_neighbours(self, values: Tensor) -> Tensor:
        """Sum over the edges that an object receives: (E, C) -> (M, C)."""
        return join_objects([part.sum(1) for part in self.split(values)])


class Neighbourhoods(EdgesByObject):
    """Edges that each object receives from objects of its row.

    ``senders`` (E,) are rows of a table; 0 is "no object".
    """

    def __init__(
        self,
        cloud: PointCloud,
        senders: Tensor,
        groups: Sequence[Group],
        real: Tensor | None,
    ) -> None:
        super().__init__(groups, real)
        self.cloud = cloud
        self.senders = senders

    @property
    def second(self) -> Tensor:
        """The sender of each edge among the M objects, (E,); any for an edge that is not there."""
        return (self.senders - 1).clamp(min=0)

    @cached_property
    def first(self) -> Tensor:
        """The receiver of each edge among the M objects, (E,)."""
        objects = torch.arange(self.cloud.rows.shape[0], device=self.senders.device)
        parts = []
        for own, width in zip(self.split_objects(objects), self.widths, strict=True):
            parts.append(own.unsqueeze(1).expand(-1, width).flatten())
        return join_objects(parts)

    @cached_property
    def received(self) -> Tensor:
        """The number of real edges that each object receives, (M, 1) float32."""
        if self.real is not None:
            return self.sum_neighbours(self.real)
        ones = self.senders.new_ones(self.cloud.rows.shape[0], 1).to(torch.float32)
        parts = []
        for own, width in zip(self.split_objects(ones), self.widths, strict=True):
            parts.append(own * width)
        return join_objects(parts)

    @cached_property
    def sent(self) -> Tensor:
        """The number of real edges that each object sends, (M, 1) float32."""
        ones = self.senders.new_ones(self.senders.shape[0], 1).to(torch.float32)
        # what is sent by "no object" is left out
        return sum_by_index(ones, self.senders, self.cloud.rows.shape[0] + 1)[1:]

    def mean_row(self, values: Tensor) -> Tensor:
        """Mean over all edges of a row: (E, C) -> (N, C); 0 without any."""
        if self.real is not None:
            values = values * self.real
        total = self.cloud.sum_row(self.sum_neighbours(values))
        number = self.cloud.sum_row(self.received)
        return total / number.clamp(min=1)

    def select(self, scales: Scales) -> tuple[Neighbourhoods, Tensor | None]:
        """The edges that ``scales`` list, and where they are among these (E',); None: all are."""
        groups = []
        for group in self.groups:
            width = scales.width(group.neighbours)
            groups.append(Group(group.objects, group.neighbours, width))
        if not scales.are_apart and [group.width for group in groups] == self.widths:
            return self, None
        edges = torch.arange(self.senders.shape[0], device=self.senders.device).unsqueeze(1)
        parts = []
        for part, width in zip(self.split(edges), self.widths, strict=True):
            parts.append(torch.cat([part[:, taken] for taken in scales.listed(width)], dim=1))
        index = join_edges(parts).squeeze(1)
        real = None if self.real is None else self.real.index_select(0, index)
        senders = self.senders.index_select(0, index)
        return Neighbourhoods(self.cloud, senders, groups, real), index

    def sets(self, scales: Scales, values: Tensor) -> Iterator[tuple[EdgesByObject, Tensor]]:
        """The edges of each set that ``scales`` has, and their ``values``: (E, C) -> (E', C)."""
        slices = [scales.slices(group.neighbours) for group in self.groups]
        by_set = list(zip(*slices, strict=True))  # of each set, a slice for each group
        if is_traced():
            chosen = [self.take(values, of_groups) for of_groups in by_set]
        else:
            chosen = list(_TakeSets.apply(values, self, by_set))
        for of_groups, of_set in zip(by_set, chosen, strict=True):
            groups = []
            for group, which in zip(self.groups, of_groups, strict=True):
                width = len(range(group.width)[which])
                groups.append(Group(group.objects, group.neighbours, width))
            real = None if self.real is None else self.take(self.real, of_groups)
            yield EdgesByObject(groups, real), of_set


class _AddReceivers(Function):
    """``apply(values, own, edges)``; see :meth:`EdgesByObject.add_receivers`.

    What is made of each group is written where the list of all edges is kept. As one operation of
    torch after another, the groups would be joined by a copy, in the backward pass too.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, own: Tensor, edges: EdgesByObject) -> Tensor:
        ctx.edges = edges
        output = values.new_empty(values.shape, dtype=torch.result_type(values, own))
        write_around(torch.add, values, own, edges, output)
        ctx.types = values.dtype, own.dtype
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        of_values, of_own = ctx.types
        return grad.to(of_values), ctx.edges.sum_neighbours(grad).to(of_own), None


class _ScaleReceivers(Function):
    """``apply(values, own, edges)``; see :meth:`EdgesByObject.scale_receivers`."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, own: Tensor, edges: EdgesByObject) -> Tensor:
        ctx.edges = edges
        ctx.save_for_backward(values, own)
        output = values.new_empty(values.shape, dtype=torch.result_type(values, own))
        write_around(torch.mul, values, own, edges, output)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        values, own = ctx.saved_tensors
        products = (grad * values).contiguous()
        grad_own = ctx.edges.sum_neighbours(products).to(own.dtype)
        # in the memory of the products, which are no longer needed
        write_around(torch.mul, grad, own, ctx.edges, products)
        return products.to(values.dtype), grad_own, None


class _TakeSets(Function):
    """``apply(values, edges, by_set)``: the values of each set's edges, one tensor a set.

    The gradients of the sets are added up in one tensor, and not in one of all edges for each set.
    """

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, edges: EdgesByObject, by_set: Sequence[Sequence[slice]]
    ) -> tuple[Tensor, ...]:
        ctx.edges = edges
        ctx.by_set = by_set
        ctx.shape = values.shape
        return tuple(edges.take(values, of_groups) for of_groups in by_set)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        edges: EdgesByObject = ctx.edges
        total: Tensor | None = None
        left = list(zip(ctx.by_set, grads, strict=True))
        for number, (of_groups, grad) in enumerate(left):
            if edges.takes_all(of_groups):
                # contiguous, so that its parts are views
                total = grad.clone(memory_format=torch.contiguous_format)
                del left[number]
                break
        if total is None:
            total = grads[0].new_zeros(ctx.shape)
        for of_groups, grad in left:
            start = 0
            for part, which in zip(edges.split(total), of_groups, strict=True):
                chosen = part[:, which]  # (m, s, C)
                stop = start + chosen.shape[0] * chosen.shape[1]
                chosen.add_(grad[start:stop].reshape(chosen.shape))
                start = stop
        return total, None, None


def write_around(
    operation: Callable[..., Tensor],
    values: Tensor,
    own: Tensor,
    edges: EdgesByObject,
    output: Tensor,
) -> None:
    """An operation on each edge (E, C) and its receiver (M, C), written to ``output`` (E, C)."""
    parts = zip(edges.split(values), edges.split_objects(own), edges.split(output), strict=True)
    for part, receivers, out in parts:
        operation(part, receivers.unsqueeze(1), out=out)


def join_edges(parts: Sequence[Tensor]) -> Tensor:
    """(m, w, C) of each group -> (E, C)."""
    return join_objects([part.flatten(0, 1) for part in parts])


def join_objects(parts: Sequence[Tensor]) -> Tensor:
    """(m, ...) of each group -> (M, ...)."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


@made_once
def find_neighbourhoods(cloud: PointCloud, points: Tensor, k: int) -> Neighbourhoods:
    """Edges from the ``k`` nearest in (eta, phi), ``points`` padded (N, 2, P), to each object.

    The objects of ``cloud`` are listed with the shortest rows first, but in a graph that serves
    other batches too.
    """
    nearest = cloud.nearest_in_angle(cloud.gather(points), k)  # (M, k)
    if cloud.host_counts is None:
        senders = nearest.flatten()
        real = (senders > 0).unsqueeze(1).to(torch.float32)
        return Neighbourhoods(cloud, senders, [Group(nearest.shape[0], k, k)], real)
    groups = []
    parts = []
    start = 0
    # ascending, as the objects are
    for width in np.unique(np.minimum(cloud.host_counts, k)).tolist():
        objects = int(cloud.host_counts[np.minimum(cloud.host_counts, k) == width].sum())
        if objects:
            groups.append(Group(objects, width, width))
            parts.append(nearest[start : start + objects, :width].flatten())
            start += objects
    if not groups:
        # no row has an object
        return Neighbourhoods(cloud, nearest.flatten(), [Group(0, k, k)], None)
    return Neighbourhoods(cloud, join_objects(parts), groups, None)
