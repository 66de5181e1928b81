"""Pairs of each object with as many partners: its nearest neighbours, or all others of its row.

Both are rectangles (M, K), so that an object's own values need no gathering and sums over partners
are sums over a dimension, in ONNX too. Where an object has fewer partners, the places that are left
refer to "no object", and count as nothing.

Shapes: N rows, M real objects in all rows, K places for partners, C features; see
``point_cloud.py`` for tables and their null row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from weaver_tt.nn.objects.point_cloud import PointCloud, with_null_row
from weaver_tt.nn.objects.real_objects import at_least_float32
from weaver_tt.nn.objects.sharing import made_once


class PartnerPairs:
    """The partners of each object: ``table_rows`` (M, K), rows of a table, 0 for none."""

    def __init__(self, table_rows: Tensor) -> None:
        self.table_rows = table_rows
        is_real = (table_rows > 0).to(torch.float32)  # (M, K)
        self.real_pairs = is_real.unsqueeze(2)  # (M, K, 1)
        self.partners = is_real.sum(1, keepdim=True)  # (M, 1) number of each object

    def first(self, values: Tensor) -> Tensor:
        """(M, C) -> (M, 1, C)."""
        return values.unsqueeze(1)

    def second(self, values: Tensor) -> Tensor:
        """(M, C) -> (M, K, C), 0 for none."""
        chosen = with_null_row(values).index_select(0, self.table_rows.flatten())
        return chosen.view(*self.table_rows.shape, values.shape[1])

    def add(self, first: Tensor, second: Tensor) -> Tensor:
        """Two (M, C) -> (M, K, C)."""
        return self.second(second) + self.first(first)

    def sum_partners(self, messages: Tensor) -> Tensor:
        """(M, K, C) -> (M, C)."""
        return self.weighted_sums(self.real_pairs, messages).squeeze(1)

    def weighted_sums(self, weights: Tensor, messages: Tensor) -> Tensor:
        """Sums over partners, H of them: weights (M, K, H), messages (M, K, C) -> (M, H, C).

        Weights are 0 for none.
        """
        messages = at_least_float32(messages)
        with torch.autocast(messages.device.type, enabled=False):
            weights = weights.to(messages.dtype)
            if messages.dtype == torch.float64 and torch.onnx.is_in_onnx_export():
                # ONNX Runtime before 1.26 joins the two below to what it has for float32 alone
                return torch.einsum("mkh,mkc->mhc", weights, messages)
            return torch.bmm(weights.transpose(1, 2), messages)

    def mean_partners(self, messages: Tensor) -> Tensor:
        """(M, K, C) -> (M, C)."""
        return self.sum_partners(messages) / self.partners.clamp(min=1)


class AllOthers(PartnerPairs):
    """Each object with all others of its row, K places for those of the longest row."""

    def __init__(self, cloud: PointCloud) -> None:
        super().__init__(cloud.others())
        self.cloud = cloud

    def second(self, values: Tensor) -> Tensor:
        """(M, C) -> (M, K, C), 0 or an object's own values for none."""
        # one block of the whole row for each object, which is quicker than one object after another
        return self.cloud.by_row(values).index_select(0, self.cloud.rows)


@made_once
def all_others(cloud: PointCloud) -> AllOthers:
    """The pairs of each object with all others of its row."""
    return AllOthers(cloud)


def nearest_neighbours(
    cloud: PointCloud, points: Tensor, k: int, minkowski: bool = False
) -> PartnerPairs:
    """The pairs of each object with the ``k`` nearest others by ``points`` (M, D).

    Distances are those of :meth:`PointCloud.nearest`.
    """
    return PartnerPairs(cloud.nearest(points, k, minkowski).view(points.shape[0], k))


@made_once
def nearest_by_inputs(cloud: PointCloud, points: Tensor, k: int) -> PartnerPairs:
    """As :func:`nearest_neighbours`, by inputs of the network, padded (N, D, P)."""
    return nearest_neighbours(cloud, cloud.gather(points), k)
