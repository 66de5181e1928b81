"""The MLP of an edge convolution, in training on a CPU: forward and backward pass by hand.

A layer's values on all edges take far more memory than a cache holds, and moving them costs as much
time as the matrix products. Written as one torch operation after another, each layer moves them
about ten times and keeps two such tensors for the backward pass. Here the edges are worked on in
pieces that stay in the cache. Each layer reads its input once and writes its linear outputs once:
batch norm, ReLU and statistics happen while a piece is in the cache, and the backward pass computes
them again instead of reading them from memory. The first layer's linear outputs are not even
written, as each is just the sum of two rows.

Shapes: M objects with k edges each, E = M * k edges sorted by object; layer l = 0 … L - 1 has H_l
features. A piece holds E_p edges of M_p objects.

    linear        z_0 = own_i + other_j,  z_l = y_(l-1) W_l^T                   (E, H_l)
    batch norm    scale * z + shift = gamma * (z - mean) / sqrt(var + eps) + beta,
                  mean and var (H_l,) over all edges
    activated     y_l = relu(scale * z_l + shift)                               (E, H_l)
    output        mean of y_(L-1) over the k edges of each object               (M, H_(L-1))

In the backward pass ``grad`` is the gradient with respect to a layer's batch norm, that is to what
its ReLU is applied to, and ``grad_z`` the one with respect to z; both (E, H_l).

With ``--sync-batchnorm``, mean, var and the sums that their gradient is made of are those of the
edges of all ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from weaver_tt.nn.layers.norm_over_ranks import Moments, NormOverRanks, gradient_coefficients

# edges of a piece: some MB of features, which take several times longer to work through than the
# operations take to start
PIECE_EDGES = 2048


@dataclass
class Edges:
    """Edges to row ``nearest[e]`` of a table, sorted by object, and what makes their z_0."""

    own: Tensor  # (M, H_0)
    other: Tensor  # (M + 1, H_0): the null row is first
    nearest: Tensor  # (E,)
    k: int

    def pieces(self) -> Iterator[tuple[slice, slice]]:
        """Slices of objects and of their edges, about ``PIECE_EDGES`` edges at a time."""
        # whole objects, so that the mean over an object's edges needs no other piece
        objects = max(PIECE_EDGES // self.k, 1)
        for first in range(0, len(self.own), objects):
            last = min(first + objects, len(self.own))
            edges = slice(first * self.k, last * self.k)
            yield slice(first, last), edges

    def first_z(self, objects: slice, edges: slice, out: Tensor) -> Tensor:
        """z_0 of a piece, in ``out`` (at least as many rows)."""
        out = out[: edges.stop - edges.start]  # (E_p, H_0)
        z = torch.index_select(self.other, 0, self.nearest[edges], out=out)
        # an object's edges lie side by side: its own part is added to all k of them
        own = self.own[objects].unsqueeze(1)  # (M_p, 1, H_0)
        z.view(-1, self.k, z.shape[1]).add_(own)
        return z


class PieceMoments:
    """Mean and (biased) variance over all rows of pieces (n, H) that come one after another."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.means: list[Tensor] = []
        self.variances: list[Tensor] = []

    def add(self, values: Tensor) -> None:
        """Add a piece."""
        mean, variance = torch.batch_norm_update_stats(values, None, None, 0.0)
        self.counts.append(len(values))
        self.means.append(mean)
        self.variances.append(variance)

    def total(self, over_ranks: NormOverRanks | None = None) -> Moments:
        """Number of rows, mean and variance (H,) over all pieces, of all ranks where given."""
        means = torch.stack(self.means)  # (pieces, H)
        variances = torch.stack(self.variances)  # (pieces, H)
        counts = means.new_tensor(self.counts)  # (pieces,)
        weights = (counts / sum(self.counts)).unsqueeze(1)  # (pieces, 1)
        mean = (means * weights).sum(0)
        # the variance within the pieces and between them: a mean of squares minus the square of
        # the mean would be a small difference of large numbers
        variance = ((variances + (means - mean).square()) * weights).sum(0)
        number = means.new_tensor(sum(self.counts))
        if over_ranks is not None:
            return over_ranks.moments(number, mean, variance)
        return number, mean, variance


@dataclass
class BatchNormState:
    """Batch norm of one layer, with the statistics of this batch, (H,) each."""

    number: Tensor  # of edges, ()
    mean: Tensor
    rate: Tensor  # 1 / standard deviation
    scale: Tensor
    shift: Tensor
    over_ranks: NormOverRanks | None  # if the edges are those of all ranks

    @classmethod
    def of(
        cls,
        moments: Moments,
        gamma: Tensor,
        beta: Tensor,
        eps: float,
        over_ranks: NormOverRanks | None,
    ) -> BatchNormState:
        """From number, mean and variance of z, and the parameters."""
        number, mean, variance = moments
        rate = (variance + eps).rsqrt()
        # the whole of batch norm as one multiplication and one addition
        scale = gamma * rate
        shift = beta - mean * gamma * rate
        return cls(number, mean, rate, scale, shift, over_ranks)

    def activate(self, z: Tensor, out: Tensor) -> Tensor:
        """relu(batch norm) of a piece, in ``out`` (at least as many rows), which may be ``z``."""
        out = out[: len(z)]  # (E_p, H)
        # one call for batch norm, and the ReLU in place: z is read once
        return torch.addcmul(self.shift, z, self.scale, out=out).relu_()


class NormGradient:
    """What batch norm's gradient needs of all edges: sums of grad and of grad * (z - mean).

    Mean and variance depend on every edge, so the gradient with respect to one edge's z contains
    these sums over all of them: they have to be complete before the first grad_z.
    """

    def __init__(self, norm: BatchNormState) -> None:
        self.norm = norm
        self.grad_sums: list[Tensor] = []  # (H,) for each piece
        self.centered_sums: list[Tensor] = []  # (H,) for each piece

    def add(self, grad: Tensor, z: Tensor, scratch: Tensor) -> None:
        """Add a piece; ``scratch`` is overwritten."""
        self.grad_sums.append(grad.sum(0))
        # centered first, as the sum of grad * z could be large where this one is small
        scratch = scratch[: len(z)]  # (E_p, H)
        centered = torch.sub(z, self.norm.mean, out=scratch)
        self.centered_sums.append(centered.mul_(grad).sum(0))

    def parameters(self) -> tuple[Tensor, Tensor]:
        """Gradients with respect to gamma and beta, (H,) each."""
        centered_sum = torch.stack(self.centered_sums).sum(0)
        grad_beta = torch.stack(self.grad_sums).sum(0)
        return centered_sum * self.norm.rate, grad_beta

    def coefficients(self) -> tuple[Tensor, Tensor]:
        """(a, b), (H,) each, with which grad_z = scale * grad + a * z + b."""
        norm = self.norm
        sums = self.parameters()
        if norm.over_ranks is not None:
            sums = norm.over_ranks.gradient_sums(*sums)
        return gradient_coefficients(sums, norm.scale, norm.rate, norm.mean, norm.number)


@dataclass
class Layers:
    """Edges, weights and batch norms of all layers, as far as they are known."""

    edges: Edges
    weights: Sequence[Tensor]  # of layers 1 …: (H_l, H_(l-1))
    kept_z: list[Tensor]  # of layers 1 …: (E, H_l)
    norms: list[BatchNormState]  # of layers 0 …

    def pieces(self) -> Iterator[tuple[slice, slice]]:
        """Slices of objects and of their edges."""
        return self.edges.pieces()

    def buffer(self, features: int) -> Tensor:
        """Memory for a piece of this many features, which each piece overwrites in the cache."""
        # an object may have more edges than a piece should hold
        return self.edges.own.new_empty(max(PIECE_EDGES, self.edges.k), features)

    def z(self, layer: int, objects: slice, edges: slice, out: Tensor) -> Tensor:
        """z of a piece: that which was kept, or the first layer's made again in ``out``."""
        if layer == 0:
            return self.edges.first_z(objects, edges, out)
        return self.kept_z[layer - 1][edges]


class EdgeMLP(torch.autograd.Function):
    """The MLP on all edges and the mean over each object's edges.

    ``apply(own, other, nearest, k, eps, over_ranks, gamma_0, beta_0, W_1, gamma_1, beta_1, …)``
    gives the output (M, H_(L-1)), then number, mean and variance (H_l,) of each layer's z.
    ``over_ranks`` has what adds up the statistics of each layer over ranks, or None. Only the
    output has a gradient, and there is no second derivative.
    """

    @staticmethod
    def forward(
        ctx: Any,
        own: Tensor,
        other: Tensor,
        nearest: Tensor,
        k: int,
        eps: float,
        over_ranks: Sequence[NormOverRanks | None],
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        """See the class."""
        gammas = parameters[0::3]
        betas = parameters[1::3]
        weights = parameters[2::3]
        layers = Layers(Edges(own, other, nearest, k), weights, [], [])

        # the statistics of a layer must be complete before the next one can be computed: a pass
        # over all pieces for each layer, and one for the mean over edges
        statistics: list[Tensor] = []
        for layer, (gamma, beta) in enumerate(zip(gammas, betas, strict=True)):
            pieces = _next_moments(layers, layer) if layer else _first_moments(layers)
            moments = pieces.total(over_ranks[layer])
            norm = BatchNormState.of(moments, gamma, beta, eps, over_ranks[layer])
            layers.norms.append(norm)
            statistics += moments
        output = _mean_over_edges(layers)

        ctx.save_for_backward(own, other, nearest, *parameters, *layers.kept_z, *statistics)
        ctx.mark_non_differentiable(*statistics)
        ctx.k = k
        ctx.eps = eps
        ctx.over_ranks = over_ranks
        return output, *statistics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """See the class."""
        own, other, nearest, *rest = ctx.saved_tensors
        # of L layers there are 3 L - 1 parameters, L - 1 kept z and 3 L statistics
        number = (len(rest) + 2) // 7
        parameters = rest[: 3 * number - 1]
        kept_z = rest[3 * number - 1 : 4 * number - 2]
        statistics = rest[4 * number - 2 :]
        gammas = parameters[0::3]
        betas = parameters[1::3]
        weights = parameters[2::3]
        all_moments = zip(statistics[0::3], statistics[1::3], statistics[2::3], strict=True)
        norms = []
        for of_layer in zip(all_moments, gammas, betas, ctx.over_ranks, strict=True):
            moments, gamma, beta, over_ranks = of_layer
            norms.append(BatchNormState.of(moments, gamma, beta, ctx.eps, over_ranks))
        edges = Edges(own, other, nearest, ctx.k)
        layers = Layers(edges, weights, kept_z, norms)

        # from the last layer to the first, each pass over the pieces makes the grad of the layer
        # below together with the sums that its batch norm will need
        grad, norm_gradient = _last_grad(layers, grad_output)
        gradients: list[Tensor] = [*norm_gradient.parameters()]
        for layer in range(number - 1, 0, -1):
            grad, grad_weight, norm_gradient = _grad_below(layers, layer, grad, norm_gradient)
            gradients = [*norm_gradient.parameters(), grad_weight, *gradients]
        grad_own, grad_other = _input_gradients(layers, grad, norm_gradient)
        # `nearest`, `k`, `eps` and `over_ranks` have no gradient
        return grad_own, grad_other, None, None, None, None, *gradients


def _first_moments(layers: Layers) -> PieceMoments:
    """Those of z_0."""
    moments = PieceMoments()
    buffer = layers.buffer(layers.edges.own.shape[1])
    # z_0 is not kept: making it again costs less than writing and reading it
    for objects, edges in layers.pieces():
        moments.add(layers.edges.first_z(objects, edges, buffer))
    return moments


def _next_moments(layers: Layers, layer: int) -> PieceMoments:
    """Make and keep z of ``layer`` >= 1; its moments."""
    weight = layers.weights[layer - 1]
    norm_below = layers.norms[layer - 1]
    moments = PieceMoments()
    buffer = layers.buffer(weight.shape[1])
    z = weight.new_empty(len(layers.edges.nearest), weight.shape[0])  # (E, H_l)
    for objects, edges in layers.pieces():
        z_below = layers.z(layer - 1, objects, edges, buffer)
        y_below = norm_below.activate(z_below, buffer)
        # the product goes straight to where it is kept, and is counted while it is in the cache
        torch.mm(y_below, weight.t(), out=z[edges])
        moments.add(z[edges])
    layers.kept_z.append(z)
    return moments


def _mean_over_edges(layers: Layers) -> Tensor:
    """The mean of the last layer over each object's edges, (M, H)."""
    last = len(layers.norms) - 1
    norm = layers.norms[last]
    features = len(norm.mean)
    k = layers.edges.k
    buffer = layers.buffer(features)
    output = layers.edges.own.new_empty(len(layers.edges.own), features)
    for objects, edges in layers.pieces():
        z = layers.z(last, objects, edges, buffer)
        # the last layer's y exists for one piece at a time only
        y = norm.activate(z, buffer).view(-1, k, features)  # (M_p, k, H)
        torch.mean(y, 1, out=output[objects])
    return output


def _last_grad(layers: Layers, grad_output: Tensor) -> tuple[Tensor, NormGradient]:
    """The last layer's grad on all edges and its sums, from the gradient (M, H) of the mean."""
    last = len(layers.norms) - 1
    norm = layers.norms[last]
    features = len(norm.mean)
    k = layers.edges.k
    # of a mean over k edges, each gets a k-th
    grad_each = grad_output / k  # (M, H)
    z_buffer = layers.buffer(features)
    y_buffer = layers.buffer(features)
    norm_gradient = NormGradient(norm)
    grad = grad_each.new_empty(len(layers.edges.nearest), features)  # (E, H)
    for objects, edges in layers.pieces():
        z = layers.z(last, objects, edges, z_buffer)
        # y was not kept: where it is 0, the ReLU lets no gradient through
        y = norm.activate(z, y_buffer)
        grad_y = grad_each[objects].unsqueeze(1).expand(-1, k, -1)  # (M_p, k, H)
        grad_y = grad_y.reshape(-1, features)  # (E_p, H)
        _relu_grad(grad_y, y, out=grad[edges])
        # y is not needed any more, its memory serves as scratch
        norm_gradient.add(grad[edges], z, y_buffer)
    return grad, norm_gradient


def _grad_below(
    layers: Layers, layer: int, grad: Tensor, norm_gradient: NormGradient
) -> tuple[Tensor, Tensor, NormGradient]:
    """From the grad of ``layer`` >= 1 to that of the layer below.

    Also gives the gradient of the weight between them, and the sums of the grad below. ``grad`` is
    overwritten.
    """
    weight = layers.weights[layer - 1]  # (H_l, H_(l-1))
    norm = layers.norms[layer]
    norm_below = layers.norms[layer - 1]
    features, features_below = weight.shape
    z_buffer = layers.buffer(features_below)
    y_buffer = layers.buffer(features_below)
    grad_y_buffer = layers.buffer(features_below)
    grad_z_buffer = layers.buffer(features)

    # a piece of grad is read before its place is written, so one tensor can serve for both
    grad_below = grad
    if features_below != features:
        grad_below = grad.new_empty(len(grad), features_below)  # (E, H_(l-1))
    grad_weight = torch.zeros_like(weight)
    norm_gradient_below = NormGradient(norm_below)
    a, b = norm_gradient.coefficients()
    for objects, edges in layers.pieces():
        # through batch norm: grad_z = scale * grad + a * z + b
        z = layers.kept_z[layer - 1][edges]
        grad_z = torch.addcmul(b, z, a, out=grad_z_buffer[: len(z)])
        grad_z.addcmul_(grad[edges], norm.scale)

        # what went into the product is made again from z below, rather than read from memory
        z_below = layers.z(layer - 1, objects, edges, z_buffer)
        y_below = norm_below.activate(z_below, y_buffer)

        # through the product, to the weight and to y below
        grad_weight.addmm_(grad_z.t(), y_below)
        grad_y_below = torch.mm(grad_z, weight, out=grad_y_buffer[: len(z)])

        # through the ReLU below; its y is then scratch for the sums
        _relu_grad(grad_y_below, y_below, out=grad_below[edges])
        norm_gradient_below.add(grad_below[edges], z_below, y_buffer)
    return grad_below, grad_weight, norm_gradient_below


def _input_gradients(
    layers: Layers, grad: Tensor, norm_gradient: NormGradient
) -> tuple[Tensor, Tensor]:
    """Gradients of ``own`` (M, H_0) and ``other`` (M + 1, H_0), from the first layer's grad."""
    edges = layers.edges
    norm = layers.norms[0]
    features = grad.shape[1]
    buffer = layers.buffer(features)
    grad_own = torch.empty_like(edges.own)
    grad_other = torch.zeros_like(edges.other)
    a, b = norm_gradient.coefficients()
    for objects, piece in edges.pieces():
        # through batch norm, in the memory of z_0
        z = edges.first_z(objects, piece, buffer)
        grad_z = torch.addcmul(b, z, a, out=z)
        grad_z.addcmul_(grad[piece], norm.scale)
        # z_0 = own_i + other_j: an object gets the sum over its own edges, …
        by_object = grad_z.view(-1, edges.k, features)  # (M_p, k, H_0)
        torch.sum(by_object, 1, out=grad_own[objects])
        # … and one over the edges that end at it, added row after row: index_add_ keeps to one
        # order, so that results can be reproduced, and indexing's own gradient does not
        grad_other.index_add_(0, edges.nearest[piece], grad_z)
    return grad_own, grad_other


def _relu_grad(grad_y: Tensor, y: Tensor, out: Tensor) -> Tensor:
    """The gradient before a ReLU: ``grad_y`` where ``y`` > 0, 0 elsewhere, written to ``out``."""
    return torch.ops.aten.threshold_backward.grad_input(grad_y, y, 0, grad_input=out)
