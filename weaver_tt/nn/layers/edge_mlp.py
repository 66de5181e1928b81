"""The MLP of an edge convolution in training on a CPU: forward and backward by hand, in pieces that stay in the cache.

A layer's values on all edges take far more memory than a cache holds, and moving them costs as much time as the matrix products. Written with one
operation after another, each layer moves them about ten times and keeps two of them for the backward pass. Here each layer reads its input and
writes its sums once, a piece at a time: batch norm, ReLU and statistics happen while the piece is in the cache, and the backward pass computes
them again from the sums instead of keeping them. The first layer's sums are not kept either, as they are two rows added.

Shapes: M objects, k edges each, E = M * k edges sorted by object; layer l = 0 … L - 1 has H_l features:

    sums          z_0 = own_i + other_j,  z_l = y_(l-1) W_l^T          (E, H_l)
    batch norm    scale * z + shift = gamma * (z - mean) / sqrt(var + eps) + beta, mean and var (H_l,) of all edges
    activated     y_l = relu(scale * z_l + shift)
    output        mean of y_(L-1) over the k edges of each object      (M, H_(L-1))

Below, ``flow`` is the gradient with respect to what the ReLU is applied to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

PIECE_EDGES = (
    2048  # edges: some MB of features, several times what the operations on them cost to start
)


@dataclass
class Edges:
    """Edges to row ``nearest[e]`` of a table, sorted by object: ``own`` (M, H) and ``other`` (M + 1, H) make the first layer's sums."""

    own: Tensor
    other: Tensor
    nearest: Tensor  # (E,)
    k: int

    def pieces(self) -> Iterator[tuple[slice, slice]]:
        """Objects, and their edges, about ``PIECE`` of them at a time."""
        objects = max(PIECE_EDGES // self.k, 1)
        for first in range(0, len(self.own), objects):
            last = min(first + objects, len(self.own))
            yield slice(first, last), slice(first * self.k, last * self.k)

    def sums(self, objects: slice, edges: slice, out: Tensor) -> Tensor:
        """The first layer's sums of a piece, in ``out`` (at least as many rows)."""
        sums = torch.index_select(
            self.other, 0, self.nearest[edges], out=out[: edges.stop - edges.start]
        )
        sums.view(-1, self.k, sums.shape[1]).add_(self.own[objects].unsqueeze(1))
        return sums


class Moments:
    """Mean and (biased) variance over all rows of pieces (n, H) that are seen one after another."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.means: list[Tensor] = []
        self.variances: list[Tensor] = []

    def add(self, values: Tensor) -> None:
        """Take a piece in."""
        mean, variance = torch.batch_norm_update_stats(values, None, None, 0.0)
        self.counts.append(len(values))
        self.means.append(mean)
        self.variances.append(variance)

    def total(self) -> tuple[Tensor, Tensor]:
        """Over all pieces, without the difference of large numbers that sums of squares would make."""
        means = torch.stack(self.means)  # (pieces, H)
        share = (means.new_tensor(self.counts) / sum(self.counts)).unsqueeze(1)
        mean = (means * share).sum(0)
        return mean, ((torch.stack(self.variances) + (means - mean).square()) * share).sum(0)


@dataclass
class BatchNormState:
    """Batch norm of one layer, with the statistics of this batch, (H,) each."""

    mean: Tensor
    rate: Tensor  # 1 / standard deviation
    scale: Tensor
    shift: Tensor

    @classmethod
    def of(
        cls, moments: tuple[Tensor, Tensor], gamma: Tensor, beta: Tensor, eps: float
    ) -> BatchNormState:
        """From (mean, variance) and parameters."""
        mean, rate = moments[0], (moments[1] + eps).rsqrt()
        return cls(mean, rate, gamma * rate, beta - mean * gamma * rate)

    def activate(self, sums: Tensor, out: Tensor) -> Tensor:
        """relu(batch norm) of a piece, in ``out`` (at least as many rows), which may be ``sums``."""
        return torch.addcmul(self.shift, sums, self.scale, out=out[: len(sums)]).relu_()


class GradSums:
    """What batch norm's gradient needs to know of all edges: the sums of the flow and of the flow times (z - mean)."""

    def __init__(self, norm: BatchNormState) -> None:
        self.norm = norm
        self.plain: list[Tensor] = []
        self.centered: list[Tensor] = []

    def add(self, flow: Tensor, sums: Tensor, spare: Tensor) -> None:
        """Take a piece in; ``spare`` is overwritten."""
        self.plain.append(flow.sum(0))
        self.centered.append(
            torch.sub(sums, self.norm.mean, out=spare[: len(sums)]).mul_(flow).sum(0)
        )

    def gradients(self) -> tuple[Tensor, Tensor]:
        """With respect to gamma and beta."""
        return torch.stack(self.centered).sum(0) * self.norm.rate, torch.stack(self.plain).sum(0)

    def factors(self, edges: int) -> tuple[Tensor, Tensor]:
        """(a, b), with which the gradient with respect to the sums is scale * flow + a * sums + b."""
        gamma, beta = self.gradients()
        factor = -self.norm.scale * self.norm.rate * gamma / edges
        return factor, -self.norm.scale * beta / edges - factor * self.norm.mean


@dataclass
class Layers:
    """What is known of all layers, and room for a piece of each."""

    edges: Edges
    weights: Sequence[Tensor]  # of layers 1 …
    kept: list[Tensor]  # their sums
    norms: list[BatchNormState]  # of layers 0 …

    def room(self, features: int) -> Tensor:
        """For a piece with so many features."""
        return self.edges.own.new_empty(max(PIECE_EDGES, self.edges.k), features)

    def sums(self, layer: int, objects: slice, edges: slice, out: Tensor) -> Tensor:
        """A piece of a layer's sums: kept, or the first layer's in ``out``."""
        return self.kept[layer - 1][edges] if layer else self.edges.sums(objects, edges, out)


class EdgeMLP(torch.autograd.Function):
    """``apply(own, other, nearest, k, eps, gamma_0, beta_0, W_1, gamma_1, beta_1, …)`` -> output, then mean and variance of each layer's sums.

    Gradients flow through the output only, and once: there is no second derivative.
    """

    @staticmethod
    def forward(
        ctx: Any,
        own: Tensor,
        other: Tensor,
        nearest: Tensor,
        k: int,
        eps: float,
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        """See the class."""
        gammas, betas, weights = parameters[0::3], parameters[1::3], parameters[2::3]
        layers = Layers(Edges(own, other, nearest, k), weights, [], [])
        moments = [_first_moments(layers)]
        layers.norms.append(BatchNormState.of(moments[0], gammas[0], betas[0], eps))
        for layer in range(1, len(gammas)):
            moments.append(_next_sums(layers, layer))
            layers.norms.append(BatchNormState.of(moments[layer], gammas[layer], betas[layer], eps))
        statistics = tuple(value for pair in moments for value in pair)
        ctx.save_for_backward(own, other, nearest, *parameters, *layers.kept, *statistics)
        ctx.mark_non_differentiable(*statistics)
        ctx.k, ctx.eps = k, eps
        return _mean(layers), *statistics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """See the class."""
        own, other, nearest, *rest = ctx.saved_tensors
        number = (len(rest) + 2) // 6  # of layers: 3 L - 1 parameters, L - 1 kept, 2 L statistics
        gammas, betas, weights = (rest[: 3 * number - 1][part::3] for part in range(3))
        kept, statistics = rest[3 * number - 1 : 4 * number - 2], rest[4 * number - 2 :]
        norms = [
            BatchNormState.of((mean, variance), gamma, beta, ctx.eps)
            for mean, variance, gamma, beta in zip(
                statistics[0::2], statistics[1::2], gammas, betas, strict=True
            )
        ]
        layers = Layers(Edges(own, other, nearest, ctx.k), weights, kept, norms)
        flow, sums_of_flow = _last_grad(layers, gradient)
        gradients: list[Tensor] = [*sums_of_flow.gradients()]
        for layer in range(number - 1, 0, -1):
            flow, weight, below = _grad_below(layers, layer, flow, sums_of_flow)
            sums_of_flow = below
            gradients = [*below.gradients(), weight, *gradients]
        return *_first_gradients(layers, flow, sums_of_flow), None, None, None, *gradients


def _first_moments(layers: Layers) -> tuple[Tensor, Tensor]:
    """Mean and variance of the first layer's sums."""
    moments, room = Moments(), layers.room(layers.edges.own.shape[1])
    for piece in layers.edges.pieces():
        moments.add(layers.edges.sums(*piece, room))
    return moments.total()


def _next_sums(layers: Layers, layer: int) -> tuple[Tensor, Tensor]:
    """Make and keep the sums of ``layer`` >= 1; their mean and variance."""
    weight, norm, moments = layers.weights[layer - 1], layers.norms[layer - 1], Moments()
    room, sums = (
        layers.room(weight.shape[1]),
        weight.new_empty(len(layers.edges.nearest), weight.shape[0]),
    )
    for objects, edges in layers.edges.pieces():
        activated = norm.activate(layers.sums(layer - 1, objects, edges, room), room)
        moments.add(torch.mm(activated, weight.t(), out=sums[edges]))
    layers.kept.append(sums)
    return moments.total()


def _mean(layers: Layers) -> Tensor:
    """The mean of the last layer over each object's edges, (M, H)."""
    last, features = len(layers.norms) - 1, len(layers.norms[-1].mean)
    room, output = (
        layers.room(features),
        layers.edges.own.new_empty(len(layers.edges.own), features),
    )
    for objects, edges in layers.edges.pieces():
        activated = layers.norms[-1].activate(layers.sums(last, objects, edges, room), room)
        torch.mean(activated.view(-1, layers.edges.k, features), 1, out=output[objects])
    return output


def _last_grad(layers: Layers, gradient: Tensor) -> tuple[Tensor, GradSums]:
    """Gradient (M, H) of the mean -> the last layer's flow on all edges and its sums."""
    last, features, k = len(layers.norms) - 1, len(layers.norms[-1].mean), layers.edges.k
    norm, gradient = layers.norms[-1], gradient / k
    first, room, total = layers.room(features), layers.room(features), GradSums(norm)
    flow = gradient.new_empty(len(layers.edges.nearest), features)
    for objects, edges in layers.edges.pieces():
        sums = layers.sums(last, objects, edges, first)
        each = gradient[objects].unsqueeze(1).expand(-1, k, -1).reshape(-1, features)
        _relu_grad(each, norm.activate(sums, room), out=flow[edges])
        total.add(flow[edges], sums, room)
    return flow, total


def _grad_below(
    layers: Layers, layer: int, flow: Tensor, sums_of_flow: GradSums
) -> tuple[Tensor, Tensor, GradSums]:
    """Flow of ``layer`` >= 1, which is overwritten -> flow of the layer below, the weight's gradient, and the sums of that flow."""
    weight, norm, below = layers.weights[layer - 1], layers.norms[layer], layers.norms[layer - 1]
    wide, narrow = weight.shape
    first, activated, reached, through = (
        layers.room(size) for size in (narrow, narrow, narrow, wide)
    )
    target = flow if wide == narrow else flow.new_empty(len(flow), narrow)
    by_weight, total = torch.zeros_like(weight), GradSums(below)
    factor, constant = sums_of_flow.factors(len(flow))
    for objects, edges in layers.edges.pieces():
        size = edges.stop - edges.start
        dz = torch.addcmul(
            constant, layers.kept[layer - 1][edges], factor, out=through[:size]
        ).addcmul_(flow[edges], norm.scale)
        sums = layers.sums(layer - 1, objects, edges, first)
        y = below.activate(sums, activated)
        by_weight.addmm_(dz.t(), y)
        _relu_grad(torch.mm(dz, weight, out=reached[:size]), y, out=target[edges])
        total.add(target[edges], sums, activated)
    return target, by_weight, total


def _first_gradients(layers: Layers, flow: Tensor, sums_of_flow: GradSums) -> tuple[Tensor, Tensor]:
    """The first layer's flow -> gradients of ``own`` and of ``other``."""
    edges, norm = layers.edges, layers.norms[0]
    room, features = layers.room(flow.shape[1]), flow.shape[1]
    own, other = torch.empty_like(edges.own), torch.zeros_like(edges.other)
    factor, constant = sums_of_flow.factors(len(flow))
    for objects, piece in edges.pieces():
        sums = edges.sums(objects, piece, room)
        dz = torch.addcmul(constant, sums, factor, out=sums).addcmul_(flow[piece], norm.scale)
        torch.sum(dz.view(-1, edges.k, features), 1, out=own[objects])
        other.index_add_(
            0, edges.nearest[piece], dz
        )  # one row after another, in the same order each time
    return own, other


def _relu_grad(gradient: Tensor, activated: Tensor, out: Tensor) -> Tensor:
    """The gradient where the ReLU let something through, 0 elsewhere."""
    return torch.ops.aten.threshold_backward.grad_input(gradient, activated, 0, grad_input=out)
