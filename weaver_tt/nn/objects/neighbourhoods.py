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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

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


class Neighbourhoods:
    """Edges that each object receives from objects of its row.

    ``senders`` (E,) are rows of a table, sorted by receiver; 0 is "no object". ``real`` (E, 1) is 1
    for edges that are there, None where all are.
    """

    def __init__(
        self,
        cloud: PointCloud,
        senders: Tensor,
        groups: Sequence[Group],
        real: Tensor | None,
    ) -> None:
        self.cloud = cloud
        self.senders = senders
        self.groups = groups
        self.real = real
        self.objects = [group.objects for group in groups]
        self.widths = [group.width for group in groups]
        self.sizes = [group.objects * group.width for group in groups]

    @property
    def second(self) -> Tensor:
        """The sender of each edge among the M objects, (E,); any for an edge that is not there."""
        return (self.senders - 1).clamp(min=0)

    @cached_property
    def first(self) -> Tensor:
        """The receiver of each edge among the M objects, (E,)."""
        objects = torch.arange(self.cloud.rows.shape[0], device=self.senders.device)
        parts = []
        for group, own in zip(self.groups, self._split_objects(objects), strict=True):
            parts.append(own.unsqueeze(1).expand(-1, group.width).flatten())
        return _joined(parts)

    @cached_property
    def received(self) -> Tensor:
        """The number of real edges that each object receives, (M, 1) float32."""
        if self.real is not None:
            return self.sum_neighbours(self.real)
        ones = self.senders.new_ones(self.cloud.rows.shape[0], 1).to(torch.float32)
        parts = []
        for group, own in zip(self.groups, self._split_objects(ones), strict=True):
            parts.append(own * group.width)
        return _joined(parts)

    @cached_property
    def sent(self) -> Tensor:
        """The number of real edges that each object sends, (M, 1) float32."""
        ones = self.senders.new_ones(self.senders.shape[0], 1).to(torch.float32)
        # what is sent by "no object" is left out
        return sum_by_index(ones, self.senders, self.cloud.rows.shape[0] + 1)[1:]

    def split(self, values: Tensor) -> list[Tensor]:
        """(E, C) -> (m, w, C) of each group."""
        parts: Sequence[Tensor] = [values]
        if len(self.groups) > 1:
            parts = values.split(self.sizes)
        return [
            part.view(-1, group.width, values.shape[1])
            for part, group in zip(parts, self.groups, strict=True)
        ]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """(m, w, C) of each group, of any w -> (E', C); undoes :meth:`split`."""
        return _joined([part.flatten(0, 1) for part in parts])

    def around(
        self, operation: Callable[[Tensor, Tensor], Tensor], values: Tensor, own: Tensor
    ) -> Tensor:
        """An operation on each edge and its receiver: (E, C), (M, C) -> (E, C)."""
        parts = []
        for part, receivers in zip(self.split(values), self._split_objects(own), strict=True):
            parts.append(operation(part, receivers.unsqueeze(1)))
        return self.join(parts)

    def sum_neighbours(self, values: Tensor) -> Tensor:
        """Sum over the edges that an object receives: (E, C) -> (M, C)."""
        return _joined([part.sum(1) for part in self.split(values)])

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
        for part, group in zip(self.split(edges), self.groups, strict=True):
            parts.append(torch.cat([part[:, taken] for taken in scales.listed(group.width)], dim=1))
        index = self.join(parts).squeeze(1)
        real = None if self.real is None else self.real.index_select(0, index)
        senders = self.senders.index_select(0, index)
        return Neighbourhoods(self.cloud, senders, groups, real), index

    def _split_objects(self, values: Tensor) -> Sequence[Tensor]:
        """(M, ...) -> (m, ...) of each group."""
        return [values] if len(self.groups) == 1 else values.split(self.objects)


def _joined(parts: Sequence[Tensor]) -> Tensor:
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
    return Neighbourhoods(cloud, _joined(parts), groups, None)
