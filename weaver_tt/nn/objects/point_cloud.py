"""The real objects of a batch of rows one after another, and each one's nearest neighbours.

Shapes: N rows, P slots, M real objects in all rows, C features and D coordinates, last dimension; W
places of the longest row. A *table* of M objects has M + 1 rows: the null row 0 is zero and stands
for "no object", what a padded place or a missing neighbour refers to. With it, padding and
neighbours are plain row numbers, and only ``index_select`` moves data: reproducible bit for bit on
CPU with any number of threads, and the same graph in an ONNX export, where ``index_add`` and
``index_copy`` come out silently wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from weaver_tt.nn.objects.real_objects import RealObjects, at_least_float32
from weaver_tt.nn.objects.sharing import made_once
from weaver_tt.nn.objects.smallest import smallest_places

# squared distance to "no object": more than any that occurs, less than infinity, which is that of
# an object to itself
NULL_DISTANCE = 1e30
# the logit of "no object": its share is exactly 0
NULL_LOGIT = -1e9
# up to as many coordinates, distances are made of differences; of features it would take too long
MAX_COORDINATES = 4


class PointCloud(RealObjects):
    """Objects of ``mask`` (N, P), True for real ones, among which neighbours are looked for.

    ``shortest_first`` is that of :class:`~weaver_tt.nn.objects.real_objects.RealObjects`.
    ``at_most``: no row has more objects than this; None where nothing is known.
    """

    def __init__(
        self, mask: Tensor, shortest_first: bool = False, at_most: int | None = None
    ) -> None:
        super().__init__(mask, shortest_first)
        self.mask = mask
        self.width = self._longest_row(at_most)  # W

    def _longest_row(self, at_most: int | None) -> int:
        """Objects of the longest row, at least 1.

        Where that would wait, and in an export, ``at_most``, or P.
        """
        rows, slots = self.shape
        if at_most is not None:
            slots = at_most
        if torch.onnx.is_in_onnx_export() or rows == 0:
            return slots
        if self.host_counts is not None:
            return max(int(self.host_counts.max()), 1)
        # a compiled graph, which waits for nobody on the CPU
        if self.counts.device.type == "cpu":
            return max(int(self.counts.max()), 1)
        return slots

    def scatter(self, values: Tensor) -> Tensor:
        """(M, C) -> padded (N, C, P), zero on padding."""
        if not torch.onnx.is_in_onnx_export():
            return super().scatter(values)
        rows, slots = self.shape
        is_real = self.mask.flatten().to(torch.int64)  # (N P,)
        table_row = is_real.cumsum(0) * is_real
        padded = with_null_row(values).index_select(0, table_row)  # (N P, C)
        return padded.view(rows, slots, -1).transpose(1, 2)

    def sum_row(self, values: Tensor) -> Tensor:
        """Sum over the objects of each row: (M, C) -> (N, C), at least float32; 0 without any."""
        values = at_least_float32(values)
        # by rectangles, as an ONNX graph knows no index_add
        return self.by_row(values).sum(1)

    def softmax_row(self, values: Tensor) -> Tensor:
        """Softmax over the objects of each row: (M, C) -> (M, C), at least float32."""
        table_rows = self._table_rows(self.width)  # (N, W)
        # NULL_LOGIT is no number of float16
        placed = self._to_places(at_least_float32(values), table_rows)  # (N, W, C)
        # finite, so that a row without objects is no NaN
        placed = placed.masked_fill((table_rows == 0).unsqueeze(2), NULL_LOGIT)
        shares = placed.softmax(1).flatten(0, 1)
        return shares.index_select(0, self.rows * self.width + self._places())

    def max_row(self, values: Tensor) -> Tensor:
        """Maximum over the objects of each row and 0: (M, C) -> (N, C)."""
        return self.by_row(values).amax(1).clamp(min=0)

    @torch.no_grad()
    def nearest(self, points: Tensor, k: int, minkowski: bool = False) -> Tensor:
        """The ``k`` nearest other objects of the same row for each object, by Euclidean distance.

        (M, D) -> (M * k,) rows of a table, in no particular order; 0, "no object", fills up where a
        row has fewer than k + 1 objects. Of objects that are equally far the first ones are taken.
        ``minkowski``: points are four-vectors (M, 4) px, py, E + pz, E - pz, and distances
        |(p_i - p_j)^2|.
        """
        # k others and itself
        table_rows = self._rows_to_choose_from(k + 1)  # (N, W')
        place = self._places()
        # bf16 cannot tell neighbours apart
        with torch.autocast(points.device.type, enabled=False):
            points = at_least_float32(points)
            if minkowski or points.shape[1] <= MAX_COORDINATES:
                distances = self._coordinate_distances(points, table_rows, minkowski)
            else:
                distances = self._feature_distances(points, table_rows, place)
        # nobody is its own neighbour, not even of another object in the same place
        places = torch.arange(table_rows.shape[1], device=points.device)
        distances = distances.masked_fill(places == place.unsqueeze(1), torch.inf)
        chosen = smallest_places(distances, k)  # (M, k)
        return self._chosen_rows(table_rows, chosen)

    @torch.no_grad()
    def nearest_in_angle(self, points: Tensor, k: int) -> Tensor:
        """The ``k`` nearest objects of the same row in (eta, phi), the object itself first.

        (M, 2) -> (M, k) rows of a table, from the nearest to the farthest; behind them 0, "no
        object", where a row has fewer than k objects. Differences of phi are taken the shorter way
        round. Of objects that are equally far the first ones are taken.
        """
        table_rows = self._rows_to_choose_from(k)  # (N, W')
        place = self._places()
        with torch.autocast(points.device.type, enabled=False):
            points = at_least_float32(points)
            placed = self._to_places(points, table_rows)  # (N, W', 2)
            is_null = (table_rows == 0).to(points.dtype)
            # "no object" is far away in eta
            eta = (placed[:, :, 0] + is_null * NULL_DISTANCE**0.5).index_select(0, self.rows)
            phi = placed[:, :, 1].index_select(0, self.rows)  # (M, W')
            d_eta = eta - points[:, :1]
            d_phi = (phi - points[:, 1:]).abs()
            # nothing is added to a small difference: equally far objects stay so
            d_phi = torch.minimum(d_phi, (d_phi - 2 * math.pi).abs())
            distances = d_eta * d_eta + d_phi * d_phi
        # before any other object in the same place
        places = torch.arange(table_rows.shape[1], device=points.device)
        distances = distances.masked_fill(places == place.unsqueeze(1), -1.0)
        chosen = smallest_places(distances, k, in_order=True)  # (M, k)
        return self._chosen_rows(table_rows, chosen).view(-1, k)

    def _rows_to_choose_from(self, least: int) -> Tensor:
        """At least so many rows of a table for each row, if only null rows: (N, W')."""
        spare = least
        if not torch.onnx.is_in_onnx_export():
            spare = max(spare - self.width, 0)
        return self._table_rows(self.width + spare)

    def _chosen_rows(self, table_rows: Tensor, chosen: Tensor) -> Tensor:
        """(N, W'), places of each object's choice (M, K) -> rows of the table (M * K,)."""
        row_start = self.rows * table_rows.shape[1]  # (M,)
        return table_rows.flatten().index_select(0, (chosen + row_start.unsqueeze(1)).flatten())

    def _places(self) -> Tensor:
        """The place of each object among those of its row, (M,)."""
        objects = torch.arange(self.rows.shape[0], device=self.rows.device)
        return objects - self.spread_row(self.starts)

    def _coordinate_distances(self, points: Tensor, table_rows: Tensor, minkowski: bool) -> Tensor:
        """|x_i - x_j|^2 from differences: (M, D), (N, W') -> (M, W').

        Exactly equal for objects in the same place, in torch as in ONNX.
        """
        placed = self._to_places(points, table_rows)  # (N, W', D)
        is_null = (table_rows == 0).to(points.dtype)  # (N, W')
        # "no object" is far away in the first direction
        coordinates = [placed[:, :, 0] + is_null * NULL_DISTANCE**0.5]
        coordinates += [placed[:, :, number] for number in range(1, points.shape[1])]
        differences = []
        for number, others in enumerate(coordinates):
            own = points[:, number].unsqueeze(1)  # (M, 1)
            differences.append(others.index_select(0, self.rows) - own)  # (M, W')
        if minkowski:
            px, py, plus, minus = differences
            return (px * px + py * py - plus * minus).abs()
        total = differences[0] * differences[0]
        for difference in differences[1:]:
            total = total + difference * difference
        return total

    def _feature_distances(self, points: Tensor, table_rows: Tensor, place: Tensor) -> Tensor:
        """|x_i - x_j|^2 - |x_i|^2, whose order is the same for each i: (M, D), (N, W') -> (M, W').

        A matrix product, as D is large: two objects of equal features may differ by rounding, but
        then it does not matter which of them is chosen. ``place`` (M,) is that of each object.
        """
        placed = self._to_places(points, table_rows)  # (N, W', D)
        is_null = (table_rows == 0).to(points.dtype)
        lengths = placed.square().sum(2) + is_null * NULL_DISTANCE  # (N, W')
        distances = torch.baddbmm(
            lengths.unsqueeze(1), placed[:, : self.width], placed.transpose(1, 2), alpha=-2
        )  # (N, W, W')
        # choosing is the dearest step: of the places of real objects alone
        return distances.flatten(0, 1).index_select(0, self.rows * self.width + place)

    def by_row(self, values: Tensor) -> Tensor:
        """(M, C) -> (N, W, C), each row's objects from place 0 on, 0 behind them."""
        return self._to_places(values, self._table_rows(self.width))

    def others(self) -> Tensor:
        """All other objects of the same row for each object: (M, W) rows of a table.

        0, "no object", where the row has no more objects, and at the object's own place.
        """
        table_rows = self._table_rows(self.width).index_select(0, self.rows)  # (M, W)
        own_row = torch.arange(1, self.rows.shape[0] + 1, device=table_rows.device)  # (M,)
        return table_rows * (table_rows != own_row.unsqueeze(1))

    def _table_rows(self, width: int) -> Tensor:
        """Rows of a table for the first ``width`` places of each row, 0 behind its objects."""
        place = torch.arange(width, device=self.counts.device)
        is_filled = place < self.counts.unsqueeze(1)  # (N, width)
        return (self.starts.unsqueeze(1) + place + 1) * is_filled  # (N, width)

    @staticmethod
    def _to_places(values: Tensor, table_rows: Tensor) -> Tensor:
        """(M, C), (N, W) -> (N, W, C)."""
        placed = with_null_row(values).index_select(0, table_rows.flatten())
        return placed.view(*table_rows.shape, values.shape[1])


@made_once
def make_cloud(
    mask: Tensor, shortest_first: bool = False, at_most: int | None = None
) -> PointCloud:
    """The objects of ``mask`` (N, P), True for real ones; the rest is as for the class."""
    return PointCloud(mask, shortest_first, at_most)


def embed_objects(layers: Callable[[Tensor], Tensor], features: Tensor, mask: Tensor) -> Tensor:
    """Layers on the real objects alone: (N, C, P), (N, P) -> (N, H, P), 0 on padding."""
    cloud = make_cloud(mask)
    return cloud.scatter(layers(cloud.gather(features)))


@made_once
def nearest_in_slots(cloud: PointCloud, points: Tensor, k: int) -> Tensor:
    """:meth:`PointCloud.nearest` by inputs of the network, padded (N, D, P)."""
    return cloud.nearest(cloud.gather(points), k)


def with_null_row(values: Tensor) -> Tensor:
    """(M, C) -> table (M + 1, C): "no object" is row 0, object m is row m + 1."""
    return functional.pad(values, (0, 0, 1, 0))
