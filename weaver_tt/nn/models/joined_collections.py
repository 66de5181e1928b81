"""A row that has several collections of objects: each is pooled, and all are joined for F.

    F( pool(branch_1), pool(branch_2), …, values of the row )

A jet's charged and neutral candidates and its vertices differ in their features and in how many
there are, so that each collection has a branch of its own: Deep Sets (PFN-r) or edge convolutions
(ParticleNet-r). A row may lack objects of some collection or of all; pooled, they are then 0. What
is said of padding in ``particle_flow.py`` and ``particle_net.py`` holds here too.

Shapes: N rows, P slots, M real objects of one collection in all rows, C features, D coordinates, H
features of a branch, V values of a row, K outputs.

Source: D. Holmberg, Jet energy corrections with graph neural network regression, thesis, University
of Helsinki (2022), section 6.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from weaver_tt.nn.layers.blocks import init_he_normal
from weaver_tt.nn.layers.edge_conv import EdgeConvBlock, convolve
from weaver_tt.nn.models.particle_flow import constituent_layout, dense_head, object_layers
from weaver_tt.nn.models.particle_net import Convolutions
from weaver_tt.nn.objects.pairwise import Layout
from weaver_tt.nn.objects.point_cloud import PointCloud, make_cloud
from weaver_tt.nn.objects.real_objects import real_slots

POOLINGS = ("sum", "mean", "mean_slots")
"""Over the objects of a row: their sum, their mean, their sum over the number of slots."""


class Pooling(nn.Module):
    """Of the objects of each row, by one of ``POOLINGS``.

    ``slots`` is the number of slots in training. A mean over slots divides by it whatever the
    padding of a batch is, so that padding has no influence.
    """

    def __init__(self, kind: str, slots: int) -> None:
        super().__init__()
        self.kind = kind
        self.slots = slots

    def forward(self, values: Tensor, objects: Layout | PointCloud) -> Tensor:
        """(objects, H) -> (N, H), 0 for a row without objects."""
        if self.kind == "mean":
            return objects.mean_row(values)
        total = objects.sum_row(values)
        if self.kind == "mean_slots":
            return total / self.slots
        return total

    def extra_repr(self) -> str:
        """The kind, for ``--print``."""
        return self.kind


class DeepSets(nn.Module):
    """Layers on each object, then pooled: linear, batch norm over real objects, ReLU.

    ``sizes``: features of an object, then of each layer. ``dense``: compute on all slots, as the
    ONNX export does.

    Source: M. Zaheer et al., arXiv:1703.06114.
    """

    takes = 2  # tensors

    def __init__(self, sizes: Sequence[int], bias: bool, pooling: Pooling) -> None:
        super().__init__()
        self.dense = False
        self.layers = object_layers(sizes, norm=True, bias=bias)
        self.pooling = pooling
        self.features = sizes[-1]

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features (N, C, P) and mask (N, 1, P), 1 for real objects -> (N, H)."""
        objects = constituent_layout(mask, self.dense)
        values = objects.gather(features)  # (objects, C)
        for layer in self.layers:
            values = layer(values, objects)
        return self.pooling(values, objects)


class EdgeConvolutions(nn.Module):
    """Edge convolutions one after another, then pooled.

    The first takes neighbours in the coordinates, the others in the features before them.
    ``convolutions``: (k, layer sizes) of each.

    Source: Y. Wang et al., arXiv:1801.07829; H. Qu, L. Gouskos, arXiv:1902.08570.
    """

    takes = 3  # tensors

    def __init__(self, input_dims: int, convolutions: Convolutions, pooling: Pooling) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList()
        size = input_dims
        for k, sizes in convolutions:
            self.convolutions.append(EdgeConvBlock(k, size, sizes))
            size = sizes[-1]
        self.pooling = pooling
        self.features = size

    def forward(self, points: Tensor, features: Tensor, mask: Tensor) -> Tensor:
        """Points (N, D, P), features (N, C, P), mask (N, 1, P), 1 for real objects -> (N, H)."""
        cloud = make_cloud(real_slots(mask))
        values = cloud.gather(features)  # (M, C)
        outputs = convolve(self.convolutions, points, values, cloud)
        return self.pooling(outputs[-1], cloud)


Branch = DeepSets | EdgeConvolutions


class JoinedCollections(nn.Module):
    """F of what is pooled of each collection, side by side with the row's own values.

    ``branches``: by the names of the groups that they learn from. ``row_values``: V. F has layers
    of ``hidden`` units (linear, with a bias or without, batch norm, ReLU), then a linear one. The
    weights of all linear layers are He-normal at first.
    """

    def __init__(
        self,
        branches: Mapping[str, Branch],
        row_values: int,
        hidden: Sequence[int],
        outputs: int,
        bias: bool,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.takes = [branch.takes for branch in branches.values()]
        size = sum(branch.features for branch in branches.values()) + row_values
        self.head = dense_head(size, hidden, outputs, norm=True, bias=bias)
        init_he_normal(self)

    def forward(self, *inputs: Tensor) -> Tensor:
        """What each branch takes, one after another, then values of the row (N, V_i) -> (N, K)."""
        left = list(inputs)
        joined: list[Tensor] = []
        for branch, number in zip(self.branches.values(), self.takes, strict=True):
            joined.append(branch(*left[:number]))
            left = left[number:]
        return self.head(torch.cat([*joined, *left], dim=1))
