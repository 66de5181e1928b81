"""Edge convolution over several numbers of nearest neighbours, each with an attention of its own.

Shapes: M objects, E edges, C features, H features of a message, A of an attention; see
``nn/objects/neighbourhoods.py``.

Source: H. Qu, ParticleNeXt, ML4Jets 2021.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaver_tt.errors import ConfigError
from weaver_tt.nn.layers.blocks import PointwiseLinear2d
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.objects.neighbourhoods import (
    EdgesByObject,
    Neighbourhoods,
    Scales,
    join_objects,
)
from weaver_tt.nn.objects.point_cloud import NULL_LOGIT, with_null_row
from weaver_tt.nn.objects.real_objects import at_least_float32

POOLINGS = ("mean", "sum", "max")
SQUEEZED = 16  # times fewer features inside of a squeeze and excitation


def attention_size(pooling: str, features: int, option: str) -> int:
    """A of a pooling: ``attn`` has a weight for each feature, ``attn8`` 8 weights; 0 without.

    Raises:
        ConfigError: the ``option`` is none of these, or A and ``features`` do not divide.
    """
    if pooling in POOLINGS:
        return 0
    size = pooling.removeprefix("attn")
    if pooling == "attn":
        return features
    if pooling.startswith("attn") and size.isdecimal() and int(size) > 0:
        larger = max(int(size), features)
        if larger % min(int(size), features) == 0:
            return int(size)
        raise ConfigError(
            f"{option} {pooling!r}: {size} weights do not divide {features} features; expected a "
            "number that does"
        )
    raise ConfigError(
        f"{option} {pooling!r}; expected {', '.join(POOLINGS)}, attn, or attn and a number of "
        "weights, such as attn8"
    )


def pointwise(*sizes: int) -> nn.Sequential:
    """Batch norm, ReLU and a linear layer without bias from each size to the next."""
    layers: list[nn.Module] = []
    for d_in, d_out in pairwise(sizes):
        layers += [ObjectNorm(d_in), nn.ReLU(inplace=True), PointwiseLinear2d(d_in, d_out)]
    return nn.Sequential(*layers)


def apply_to_real(layers: nn.Module, values: Tensor, real: Tensor | None) -> Tensor:
    """A layer or several on (E, C), of which batch norm counts ``real`` (E, 1); None: all."""
    for layer in layers if isinstance(layers, nn.Sequential) else [layers]:
        if not isinstance(layer, ObjectNorm):
            values = layer(values)
        elif layer.training:
            values = layer(values, real)
        else:
            # one operation
            (values,) = layer.normalize_parts([(values, None)])
    return values


class SqueezeExcitation(nn.Module):
    """Factors in (0, 1) for the features of a row, from their means.

    Source: J. Hu et al., arXiv:1709.01507.
    """

    def __init__(self, features: int, option: str) -> None:
        super().__init__()
        if features < SQUEEZED:
            raise ConfigError(
                f"{option}: needs at least {SQUEEZED} features, found {features}; "
                f"set {option} to False"
            )
        squeezed = features // SQUEEZED
        self.fc = nn.Sequential(
            nn.Linear(features, squeezed, bias=False),
            nn.ReLU(),
            nn.Linear(squeezed, features, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, means: Tensor) -> Tensor:
        """(N, C) -> (N, C)."""
        return self.fc(means)


class MultiScaleEdgeConv(nn.Module):
    """Messages from the nearest objects, pooled in several sets of them, joined by an MLP.

    A message is an MLP of the features of receiver and sender and of the edge. For each of
    ``scales`` the messages are pooled by themselves: ``aggregation`` is "mean", "sum", "max" or
    "attn8", a sum with weights of a softmax over the set, 8 of them, of which feature c takes
    number c mod 8. Means and sums are those of a full set: a mean is over as many as the set would
    have, and a maximum over fewer is at least 0. Squeeze and excitation (``use_edge_se``,
    ``use_node_se``) scale messages and new features by factors from their means in the row. The new
    features are added to a shortcut with the factor ``gamma``, at first ``init_scale``.

    ``use_rel_fts``: messages of the difference of sender and receiver in place of the sender.
    """

    def __init__(
        self,
        d_in: int,
        d_edge: int,
        d_out: int,
        scales: Scales,
        d_message: int,
        aggregation: str = "attn8",
        use_rel_fts: bool = False,
        use_node_se: bool = True,
        use_edge_se: bool = True,
        init_scale: float = 1e-5,
    ) -> None:
        super().__init__()
        self.scales = scales
        self.aggregation = aggregation
        self.use_rel_fts = use_rel_fts
        d_node = d_message // 2
        self.node_encode = nn.Identity() if d_in == d_node else pointwise(d_in, d_node)
        self.edge_mlp = pointwise(2 * d_node + d_edge, d_message, d_message)
        if use_edge_se:
            self.edge_se = SqueezeExcitation(d_message, "use_edge_se")
        attention = attention_size(aggregation, d_message, "edge_aggregation")
        pooled = max(d_message, attention)
        if attention:
            self.sa = nn.ModuleList(pointwise(d_message, attention) for _ in scales.sizes)
            self.weighted_sum = WeightedSum(d_message, attention)
        self.node_mlp = pointwise(pooled * len(scales.sizes), d_out, d_out)
        if use_node_se:
            self.node_se = SqueezeExcitation(d_out, "use_node_se")
        self.shortcut: nn.Module = nn.Identity()
        if d_in != d_out:
            self.shortcut = nn.Sequential(PointwiseLinear2d(d_in, d_out))
        # of this shape in weaver-core's weights
        self.gamma = nn.Parameter(torch.full((d_out, 1, 1), init_scale))

    def forward(
        self, features: Tensor, edge_features: Tensor | None, edges: Neighbourhoods
    ) -> Tensor:
        """(M, d_in), (E, d_edge) of all edges -> (M, d_out)."""
        edges, listed = edges.select(self.scales)
        if edge_features is not None and listed is not None:
            edge_features = edge_features.index_select(0, listed)
        messages = self._messages(self.node_encode(features), edge_features, edges)
        if hasattr(self, "edge_se"):
            factors = edges.cloud.spread_row(self.edge_se(edges.mean_row(messages)))
            messages = edges.scale_receivers(messages, factors)
        updated = self.node_mlp(self._pool(messages, edges))
        if hasattr(self, "node_se"):
            updated = updated * edges.cloud.spread_row(self.node_se(edges.cloud.mean_row(updated)))
        return self.shortcut(features) + self.gamma.flatten() * updated

    def _messages(
        self, nodes: Tensor, edge_features: Tensor | None, edges: Neighbourhoods
    ) -> Tensor:
        """(M, H / 2), (E, d_edge) -> (E, H)."""
        norm, _, first, *rest = self.edge_mlp
        assert isinstance(norm, ObjectNorm)
        assert isinstance(first, PointwiseLinear2d)
        if not self._adds_up(norm):
            own = nodes.index_select(0, edges.first)
            other = with_null_row(nodes).index_select(0, edges.senders)
            joined = [own, other - own if self.use_rel_fts else other]
            if edge_features is not None:
                joined.append(edge_features)
            return apply_to_real(self.edge_mlp, torch.cat(joined, dim=1), edges.real)
        # batch norm, ReLU and the linear layer act on each feature by itself, or add up: those of
        # receiver and sender are computed once an object, and added for each edge
        parts: list[tuple[Tensor, Tensor | None]] = [(nodes, edges.received), (nodes, edges.sent)]
        if edge_features is not None:
            parts.append((edge_features, edges.real))
        weights = first.weight.flatten(1).split([part.shape[1] for part, _ in parts], dim=1)
        sums = []
        for part, weight in zip(norm.normalize_parts(parts), weights, strict=True):
            sums.append(functional.linear(part.relu_(), weight))
        messages = with_null_row(sums[1]).index_select(0, edges.senders)
        if edge_features is not None:
            messages = messages + sums[2]
        messages = edges.add_receivers(messages, sums[0])
        return apply_to_real(nn.Sequential(*rest), messages, edges.real)

    def _adds_up(self, norm: ObjectNorm) -> bool:
        """Whether the first layer of a message is a sum of receiver, sender and edge."""
        # over ranks, batch norm takes all edges
        return not self.use_rel_fts and norm.active_over_ranks() is None

    def _pool(self, messages: Tensor, edges: Neighbourhoods) -> Tensor:
        """What is pooled of each set of neighbours, side by side: (E, H) -> (M, H')."""
        pooled = []
        for number, (edges_of_set, of_set) in enumerate(edges.sets(self.scales, messages)):
            if self.aggregation in POOLINGS:
                pooled.append(self._pool_plainly(number, of_set, edges_of_set))
            else:
                pooled.append(self._attend(number, of_set, edges_of_set))
        return torch.cat(pooled, dim=1)

    def _pool_plainly(self, number: int, messages: Tensor, edges: EdgesByObject) -> Tensor:
        """Mean, sum or maximum over a set of neighbours: (E_s, H) -> (M, H)."""
        size = self.scales.sizes[number]
        if edges.real is not None:
            messages = messages * edges.real
        if self.aggregation == "max":
            largest = []
            for part in edges.split(messages):
                most = part.amax(1)
                largest.append(most.clamp(min=0) if part.shape[1] < size else most)
            return join_objects(largest)
        total = edges.sum_neighbours(messages)
        return total / size if self.aggregation == "mean" else total

    def _attend(self, number: int, messages: Tensor, edges: EdgesByObject) -> Tensor:
        """Sum over a set of neighbours weighted by attention: (E_s, H) -> (M, max(H, A))."""
        logits = apply_to_real(self.sa[number], messages, edges.real)  # (E_s, A)
        if edges.real is not None:
            # NULL_LOGIT is no number of float16
            logits = at_least_float32(logits).masked_fill(edges.real == 0, NULL_LOGIT)
        pooled = []
        for part, of_part in zip(edges.split(messages), edges.split(logits), strict=True):
            pooled.append(self.weighted_sum(part, of_part.softmax(1)))
        return join_objects(pooled)


class WeightedSum(nn.Module):
    """Sum over the second last dimension, of which feature c takes weight c mod ``weights``.

    With more weights than ``features``, weight c takes feature c mod ``features``.
    """

    def __init__(self, features: int, weights: int) -> None:
        super().__init__()
        smaller = min(features, weights)
        # whole numbers that are known before: ONNX Runtime finds none where there are no values
        self.of_values = (features // smaller, smaller)
        self.of_weights = (weights // smaller, smaller)

    def forward(self, values: Tensor, weights: Tensor) -> Tensor:
        """(m, s, H), (m, s, A) -> (m, max(H, A))."""
        return self.products(values, weights).sum(1).flatten(1)

    def products(self, values: Tensor, weights: Tensor) -> Tensor:
        """What is summed up: (…, H), (…, A) -> (…, max(H, A) / c, c), c the smaller of H and A."""
        return values.unflatten(-1, self.of_values) * weights.unflatten(-1, self.of_weights)
