"""The real objects of a batch of rows one after another, each with its nearest neighbours in its row: no padding, no pairs that are not asked for.

Shapes: N rows, P slots, M real objects in all rows, C features and D coordinates, last dimension; W places of the longest row.
A *table* of M objects has M + 1 rows: row 0 is zero and stands for "no object", what a padded place or a missing neighbour refers to. With it,
padding and neighbours are plain row numbers, and only ``index_select`` moves data: reproducible bit for bit on CPU with any number of threads,
and the same graph in an ONNX export, where ``index_add`` and ``index_copy`` come out silently wrong.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

NULL_DISTANCE = 1e30  # squared distance to "no object": more than any that occurs, less than infinity, which is that of an object to itself


class PointCloud:
    """Objects of ``mask`` (N, P), True for real ones; masks may have holes.

    Finding the real objects is the only thing a GPU has to be waited for.
    """

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        self.slots = (
            mask.flatten().nonzero().squeeze(1)
        )  # (M,) place of each object among the N * P slots
        self.rows = torch.div(self.slots, mask.shape[1], rounding_mode="floor")  # (M,)
        self.counts = mask.sum(1)  # (N,) objects of each row
        self.start = self.counts.cumsum(0) - self.counts  # (N,) first object of each row
        # on CPU the longest row is known without waiting, and distances beyond it need not be computed
        short = mask.device.type == "cpu" and not torch.onnx.is_in_onnx_export()
        self.width = max(int(self.counts.max()), 1) if short and len(mask) else mask.shape[1]

    def gather(self, features: Tensor) -> Tensor:
        """Padded features (N, C, P) -> (M, C)."""
        return features.transpose(1, 2).flatten(0, 1).index_select(0, self.slots)

    def scatter(self, values: Tensor) -> Tensor:
        """(M, C) -> padded (N, C, P), zero on padding."""
        rows, places = self.mask.shape
        real = self.mask.flatten().to(torch.int64)
        numbers = real.cumsum(0) * real  # (N * P,) row of the table
        return with_null_row(values).index_select(0, numbers).view(rows, places, -1).transpose(1, 2)

    def sum_row(self, values: Tensor) -> Tensor:
        """Sum over the objects of each row: (M, C) -> (N, C), at least float32; 0 for an empty row."""
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        return self._placed(values, self._places(self.width)).sum(1)

    @torch.no_grad()
    def nearest(self, points: Tensor, k: int) -> Tensor:
        """The ``k`` nearest other objects of the same row for each object, by Euclidean distance: (M, D) -> (M * k,) rows of a table.

        In no particular order; 0, "no object", fills up where a row has fewer than k + 1 objects.
        """
        with torch.autocast(points.device.type, enabled=False):
            points = points.to(torch.promote_types(points.dtype, torch.float32))
            spare = k + 1 if torch.onnx.is_in_onnx_export() else max(k + 1 - self.width, 0)
            places = self._places(self.width + spare)  # (N, W')
            placed = self._placed(points, places)  # (N, W', D)
            # |x_i - x_j|^2 - |x_i|^2: the order is the same for each i
            lengths = (
                placed.square().sum(2) + (places == 0).to(points.dtype) * NULL_DISTANCE
            )  # (N, W')
            distances = torch.baddbmm(
                lengths.unsqueeze(1), placed[:, : self.width], placed.transpose(1, 2), alpha=-2
            )  # (N, W, W')
        rank = torch.arange(self.rows.shape[0], device=points.device) - self.start.index_select(
            0, self.rows
        )  # (M,) place in the row
        own = distances.flatten(0, 1).index_select(
            0, self.rows * self.width + rank
        )  # (M, W') of real objects only
        itself = torch.arange(places.shape[1], device=points.device) == rank.unsqueeze(1)
        chosen = (
            own.masked_fill(itself, torch.inf).topk(k, dim=1, largest=False, sorted=False).indices
        )  # (M, k)
        return places.flatten().index_select(
            0, (chosen + (self.rows * places.shape[1]).unsqueeze(1)).flatten()
        )

    def _places(self, width: int) -> Tensor:
        """Rows of a table for the first ``width`` places of each row, its objects and then nothing: (N, width)."""
        place = torch.arange(width, device=self.counts.device)
        return (self.start.unsqueeze(1) + place + 1) * (place < self.counts.unsqueeze(1))

    @staticmethod
    def _placed(values: Tensor, places: Tensor) -> Tensor:
        """(M, C), (N, W) -> (N, W, C)."""
        return (
            with_null_row(values)
            .index_select(0, places.flatten())
            .view(*places.shape, values.shape[1])
        )


def with_null_row(values: Tensor) -> Tensor:
    """(M, C) -> (M + 1, C): "no object" is row 0, object m is row m + 1."""
    return functional.pad(values, (0, 0, 1, 0))
