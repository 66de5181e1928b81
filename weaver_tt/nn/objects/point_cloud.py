"""The real objects of a batch of rows one after another, and each one's nearest neighbours.

Shapes: N rows, P slots, M real objects in all rows, C features and D coordinates, last dimension; W
places of the longest row. A *table* of M objects has M + 1 rows: the null row 0 is zero and stands
for "no object", what a padded place or a missing neighbour refers to. With it, padding and
neighbours are plain row numbers, and only ``index_select`` moves data: reproducible bit for bit on
CPU with any number of threads, and the same graph in an ONNX export, where ``index_add`` and
``index_copy`` come out silently wrong.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from weaver_tt.nn.objects.real_objects import RealObjects, at_least_float32
from weaver_tt.nn.objects.sharing import made_once
from weaver_tt.nn.objects.smallest import smallest_places

# squared distance to "no object": more than any that occurs, less than infinity, which is that of
# an object to itself
NULL_DISTANCE = 1e30
# up to as many coordinates, distances are made of differences; of features it would take too long
MAX_COORDINATES = 4


class PointCloud(RealObjects):
    """Objects of ``mask`` (N, P), True for real ones, among which neighbours are looked for."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask)
        self.mask = mask
        self.width = self._longest_row()  # W

    def _longest_row(self) -> int:
        """Objects of the longest row, at least 1; P where that would wait, and in an export."""
        rows, slots = self.shape
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
        return self._to_places(values, self._table_rows(self.width)).sum(1)

    @torch.no_grad()
    def nearest(self, points: Tensor, k: int) -> Tensor:
        """The ``k`` nearest other objects of the same row for each object, by Euclidean distance.

        (M, D) -> (M * k,) rows of a table, in no particular order; 0, "no object", fills up where a
        row has fewer than k + 1 objects. Of objects that are equally far the first ones are taken.
        """
        # each object needs k others to choose from, if only null rows
        spare = k + 1
        if not torch.onnx.is_in_onnx_export():
            spare = max(spare - self.width, 0)
        table_rows = self._table_rows(self.width + spare)  # (N, W')
        objects = torch.arange(self.rows.shape[0], device=points.device)
        place = objects - self.spread_row(self.starts)  # (M,) in the row
        # bf16 cannot tell neighbours apart
        with torch.autocast(points.device.type, enabled=False):
            points = at_least_float32(points)
            if points.shape[1] <= MAX_COORDINATES:
                distances = self._coordinate_distances(points, table_rows)
            else:
                distances = self._feature_distances(points, table_rows, place)
        # nobody is its own neighbour, not even of another object in the same place
        places = torch.arange(table_rows.shape[1], device=points.device)
        distances = distances.masked_fill(places == place.unsqueeze(1), torch.inf)
        chosen = smallest_places(distances, k)  # (M, k)
        row_start = self.rows * table_rows.shape[1]  # (M,)
        return table_rows.flatten().index_select(0, (chosen + row_start.unsqueeze(1)).flatten())

    def _coordinate_distances(self, points: Tensor, table_rows: Tensor) -> Tensor:
        """|x_i - x_j|^2 from differences: (M, D), (N, W') -> (M, W').

        Exactly equal for objects in the same place, in torch as in ONNX.
        """
        placed = self._to_places(points, table_rows)  # (N, W', D)
        is_null = (table_rows == 0).to(points.dtype)  # (N, W')
        # "no object" is far away in the first direction
        coordinates = [placed[:, :, 0] + is_null * NULL_DISTANCE**0.5]
        coordinates += [placed[:, :, number] for number in range(1, points.shape[1])]
        squares = []
        for own, others in zip(points.split(1, dim=1), coordinates, strict=True):
            difference = others.index_select(0, self.rows) - own  # (M, W')
            squares.append(difference * difference)
        total = squares[0]
        for square in squares[1:]:
            total = total + square
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
def make_cloud(mask: Tensor) -> PointCloud:
    """The objects of ``mask`` (N, P), True for real ones."""
    return PointCloud(mask)


@made_once
def nearest_in_slots(cloud: PointCloud, points: Tensor, k: int) -> Tensor:
    """:meth:`PointCloud.nearest` by inputs of the network, padded (N, D, P)."""
    return cloud.nearest(cloud.gather(points), k)


def with_null_row(values: Tensor) -> Tensor:
    """(M, C) -> table (M + 1, C): "no object" is row 0, object m is row m + 1."""
    return functional.pad(values, (0, 0, 1, 0))
