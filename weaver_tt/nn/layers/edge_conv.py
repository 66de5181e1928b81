"""Edge convolution: each object is updated with its nearest neighbours.

The update is the mean over neighbours j of an MLP of [x_i, x_j - x_i]. Features lie in the last
dimension, so that 1x1 convolutions are matrix products. The first of them is linear in x_i and x_j:
``W [x_i, x_j - x_i] = (W1 - W2) x_i + W2 x_j``, so both products are computed once per object and
added per edge: k times fewer multiplications.

Shapes: M objects, k neighbours, E = M * k edges sorted by object, C or H features, D coordinates;
see ``nn/objects/point_cloud.py`` for tables.

Source: arXiv:1902.08570, section 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaver_tt.nn.layers.edge_mlp import PIECE_EDGES, EdgeMLP
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.objects.point_cloud import PointCloud, nearest_in_slots, with_null_row

Affine = tuple[Tensor, Tensor]  # weight (out, in) and bias (out,)


def kernel_matrix(convolution: nn.Module) -> Tensor:
    """The (out, in) matrix of a convolution with kernel size 1."""
    weight = convolution.weight
    assert isinstance(weight, Tensor)
    return weight.flatten(1)


def fold_norm(convolution: nn.Module, norm: ObjectNorm) -> Affine:
    """A convolution without bias and its batch norm, in evaluation, as one linear layer."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = kernel_matrix(convolution) * scale.unsqueeze(1)
    return weight, norm.bias - norm.running_mean * scale


def convolve(
    blocks: Iterable[nn.Module], points: Tensor, features: Tensor, cloud: PointCloud
) -> list[Tensor]:
    """What one edge convolution after another makes of ``features`` (M, C): (M, H) of each.

    The first takes neighbours in the coordinates, ``points`` padded (N, D, P), the others in the
    features before them.
    """
    found: list[Tensor] = []
    # all that a ModuleList says of its modules is that they are some
    for block in cast("Iterable[EdgeConvBlock]", blocks):
        if found:
            nearest = cloud.nearest(features, block.k)
        else:
            nearest = nearest_in_slots(cloud, points, block.k)
        features = block(features, nearest)
        found.append(features)
    return found


class EdgeConvBlock(nn.Module):
    """Edge convolution with ``k`` neighbours.

    Layers ``in_feat -> out_feats[0] -> …`` without bias, each with batch norm and ReLU, then the
    mean. A shortcut of the object's own features (through a linear layer and batch norm where sizes
    differ) is added before a last ReLU.
    """

    def __init__(self, k: int, in_feat: int, out_feats: Sequence[int]) -> None:
        super().__init__()
        self.k = k
        self.convs = nn.ModuleList()
        self.bns = nn.ModuleList()
        d_in = 2 * in_feat
        for d_out in out_feats:
            # two-dimensional only so that its weight has the shape of weaver-core's
            self.convs.append(nn.Conv2d(d_in, d_out, kernel_size=1, bias=False))
            d_in = d_out
            self.bns.append(ObjectNorm(d_out))
        self.sc: nn.Conv1d | None = None
        if in_feat != out_feats[-1]:
            self.sc = nn.Conv1d(in_feat, out_feats[-1], kernel_size=1, bias=False)
            self.sc_bn = ObjectNorm(out_feats[-1])

    def forward(self, features: Tensor, nearest: Tensor) -> Tensor:
        """Features (M, in_feat), ``k`` neighbours of each object (E,) -> (M, out_feats[-1])."""
        return functional.relu(self.aggregate(features, nearest) + self.shortcut(features))

    def shortcut(self, features: Tensor) -> Tensor:
        """(M, in_feat) -> (M, out_feats[-1])."""
        if self.sc is None:
            return features
        return self.sc_bn(functional.linear(features, kernel_matrix(self.sc)))

    def aggregate(self, features: Tensor, nearest: Tensor) -> Tensor:
        """Mean of the MLP over an object's neighbours: (M, in_feat), (E,) -> (M, out_feats[-1])."""
        needs_gradients = torch.is_grad_enabled() and not torch.onnx.is_in_onnx_export()
        if not self.training and not needs_gradients:
            return self._eval_forward(features, nearest)
        first, second = kernel_matrix(self.convs[0]).chunk(2, dim=1)
        own = functional.linear(features, first - second)  # (M, H)
        other = functional.linear(with_null_row(features), second)  # (M + 1, H)
        if self._can_train_by_hand(own, nearest):
            return self._train_forward(own, other, nearest)
        messages = self._edge_sums(own, other, nearest)  # (M, k, H)
        messages = functional.relu(self.bns[0](messages))
        for conv, norm in zip(self.convs[1:], self.bns[1:], strict=True):
            messages = functional.relu(norm(functional.linear(messages, kernel_matrix(conv))))
        return messages.mean(1)

    def _can_train_by_hand(self, own: Tensor, nearest: Tensor) -> bool:
        """Whether :class:`EdgeMLP` computes what the plain form would."""
        # frozen norms stay in evaluation mode, which it does not know
        if not all(norm.training for norm in self.bns):
            return False
        # under autocast, sums have another type than the weights
        same_type = own.dtype == kernel_matrix(self.convs[0]).dtype
        # a variance needs two edges
        return own.device.type == "cpu" and same_type and len(nearest) > 1

    @property
    def _norms(self) -> list[ObjectNorm]:
        return cast("list[ObjectNorm]", list(self.bns))

    def _edge_sums(self, own: Tensor, other: Tensor, nearest: Tensor) -> Tensor:
        """Sums of the first layer: (M, H), (M + 1, H), (E,) -> (M, k, H)."""
        of_neighbours = other.index_select(0, nearest).view(-1, self.k, other.shape[1])
        return of_neighbours + own.unsqueeze(1)

    def _train_forward(self, own: Tensor, other: Tensor, nearest: Tensor) -> Tensor:
        """Training on a CPU: as the plain form, with less to move."""
        parameters = [self.bns[0].weight, self.bns[0].bias]
        for conv, norm in zip(self.convs[1:], self.bns[1:], strict=True):
            parameters += [kernel_matrix(conv), norm.weight, norm.bias]
        eps = self._norms[0].eps
        over_ranks = [norm.active_over_ranks() for norm in self._norms]
        edges = (own, other, nearest, self.k)
        output, *statistics = EdgeMLP.apply(*edges, eps, over_ranks, *parameters)
        means = statistics[1::3]
        variances = statistics[2::3]
        for norm, mean, variance in zip(self._norms, means, variances, strict=True):
            # over ranks, those of a rank without a batch follow, too
            if norm.active_over_ranks() is None:
                norm.update_running_stats(mean, variance, len(nearest))
        return output

    def _eval_forward(self, features: Tensor, nearest: Tensor) -> Tensor:
        """Evaluation without gradients: batch norm is part of the weights."""
        layers = [fold_norm(conv, norm) for conv, norm in zip(self.convs, self._norms, strict=True)]
        weight, bias = layers[0]
        first, second = weight.chunk(2, dim=1)
        own = functional.linear(features, first - second, bias)  # (M, H)
        other = functional.linear(with_null_row(features), second)  # (M + 1, H)
        if torch.onnx.is_in_onnx_export() or features.device.type != "cpu":
            return self._mean(own, other, nearest, layers[1:])
        # on a CPU, a piece that fits the cache at a time
        objects = max(PIECE_EDGES // self.k, 1)
        means = []
        pieces = zip(own.split(objects), nearest.split(objects * self.k), strict=True)
        for own_piece, nearest_piece in pieces:
            means.append(self._mean(own_piece, other, nearest_piece, layers[1:]))
        return torch.cat(means)

    def _mean(
        self, own: Tensor, other: Tensor, nearest: Tensor, layers: Sequence[Affine]
    ) -> Tensor:
        """Mean over neighbours, from the parts of the first layer's sums and other ``layers``."""
        messages = self._edge_sums(own, other, nearest).flatten(0, 1).relu_()  # (E, H)
        for weight, bias in layers:
            messages = functional.linear(messages, weight, bias).relu_()
        return messages.view(-1, self.k, messages.shape[1]).mean(1)
