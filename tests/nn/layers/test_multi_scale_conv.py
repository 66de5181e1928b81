"""Convolution over several sets of neighbours: a plain loop over edges, and numbers by hand."""

from copy import deepcopy

import pytest
import torch

from weaver_tt.errors import ConfigError
from weaver_tt.nn.layers.multi_scale_conv import (
    MultiScaleEdgeConv,
    WeightedSum,
    attention_size,
)
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.objects.neighbourhoods import Scales, find_neighbourhoods
from weaver_tt.nn.objects.point_cloud import PointCloud

FEATURES = 6
EDGE_FEATURES = 3
OUTPUTS = 18
MESSAGE = 16


def convolution(reductions=((2, 1), (1, 1)), **options):
    """A small convolution of double precision, statistics random as after training."""
    torch.manual_seed(0)
    scales = Scales(4, reductions)
    made = MultiScaleEdgeConv(
        FEATURES, EDGE_FEATURES, OUTPUTS, scales, MESSAGE, init_scale=0.7, **options
    )
    for module in made.modules():
        if isinstance(module, ObjectNorm):
            torch.nn.init.normal_(module.running_mean, std=0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, -0.5, 2)
            torch.nn.init.normal_(module.bias, std=0.3)
    return made.double()


def neighbours(counts=(1, 3, 6)):
    """Features of objects and of edges, and the edges, for rows of so many objects."""
    torch.manual_seed(1)
    mask = torch.arange(6) < torch.tensor(counts).unsqueeze(1)
    cloud = PointCloud(mask, shortest_first=True)
    edges = find_neighbourhoods(cloud, torch.randn(len(counts), 2, 6), 4)
    features = torch.randn(sum(counts), FEATURES, dtype=torch.float64)
    return features, torch.randn(len(edges.senders), EDGE_FEATURES, dtype=torch.float64), edges


def plain_loop(conv, features, edge_features, edges):
    """The same, message by message: (M, C), (E, d_edge) -> (M, d_out)."""
    encoded = conv.node_encode(features)
    received = {receiver: [] for receiver in range(len(features))}
    for edge, (receiver, sender) in enumerate(
        zip(edges.first.tolist(), edges.second.tolist(), strict=True)
    ):
        other = encoded[sender] - encoded[receiver] if conv.use_rel_fts else encoded[sender]
        joined = torch.cat((encoded[receiver], other, edge_features[edge]))
        received[receiver].append(conv.edge_mlp(joined[None])[0])
    row = edges.cloud.rows.tolist()
    updated = []
    for receiver, messages in received.items():
        of_row = [m for other in received if row[other] == row[receiver] for m in received[other]]
        factors = conv.edge_se(sum(of_row)[None] / len(of_row))[0]
        pooled = []
        for number, taken in enumerate(conv.scales.taken):
            chosen = [messages[place] * factors for place in taken if place < len(messages)]
            if conv.aggregation == "mean":
                pooled.append(sum(chosen) / len(taken))
            elif conv.aggregation == "max":
                absent = [torch.zeros(MESSAGE)] * (len(chosen) < len(taken))
                pooled.append(torch.stack([*chosen, *absent]).amax(0))
            else:
                logits = torch.stack([conv.sa[number](message[None])[0] for message in chosen])
                weights = logits.softmax(0).repeat(1, MESSAGE // logits.shape[1])
                pooled.append((torch.stack(chosen) * weights).sum(0))
        updated.append(conv.node_mlp(torch.cat(pooled)[None])[0])
    outputs = []
    for receiver, features_of in enumerate(features):
        of_row = [updated[other] for other in received if row[other] == row[receiver]]
        factors = conv.node_se(sum(of_row)[None] / len(of_row))[0]
        scaled = conv.gamma.flatten() * updated[receiver] * factors
        outputs.append(conv.shortcut(features_of[None])[0] + scaled)
    return torch.stack(outputs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"aggregation": "attn"},
        {"aggregation": "mean"},
        {"aggregation": "max"},
        {"use_rel_fts": True},
        {"reductions": [(2, 2), (1, 3), (1, 1)]},
    ],
    ids=str,
)
def test_outputs_are_those_of_a_plain_loop_over_edges(options):
    conv = convolution(**options).eval()
    inputs = neighbours()
    with torch.no_grad():
        expected = plain_loop(conv, *inputs)
        torch.testing.assert_close(conv(*inputs), expected, atol=1e-10, rtol=1e-10)
    assert expected.std(0).min() > 0.01


def test_what_is_computed_once_an_object_is_what_each_edge_would_have(monkeypatch):
    """Outputs, gradients and statistics in training, with the first layer on all edges too."""
    features, edge_features, edges = neighbours()
    once = convolution().train()
    each = deepcopy(once)
    monkeypatch.setattr(each, "_adds_up", lambda norm: False)
    ends = []
    for conv in (once, each):
        inputs = [features.clone().requires_grad_(), edge_features.clone().requires_grad_()]
        output = conv(*inputs, edges)
        output.pow(3).sum().backward()
        gradients = [values.grad for values in (*inputs, *conv.parameters())]
        ends.append([output, *gradients, *conv.buffers()])
    for ours, expected in zip(*ends, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-9, rtol=1e-9)


def test_a_weighted_sum_by_hand():
    values = torch.tensor([[[1.0, 2, 3, 4], [10, 20, 30, 40]]])  # two neighbours, four features
    weights = torch.tensor([[[0.5, 0.0], [0.1, 1.0]]])
    # features 0 and 2 take the first weights, 1 and 3 the second
    assert WeightedSum(4, 2)(values, weights).flatten().tolist() == [1.5, 20, 4.5, 40]
    both = torch.tensor([[[1.0, 0, 2, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 1]]])
    assert WeightedSum(4, 8)(values, both).flatten().tolist() == [1, 0, 6, 0, 0, 0, 0, 44]


def test_numbers_of_weights_by_hand():
    assert attention_size("mean", 64, "pooling") == 0
    assert attention_size("attn", 64, "pooling") == 64
    assert attention_size("attn8", 64, "pooling") == 8
    assert attention_size("attn128", 64, "pooling") == 128
    for wrong in ("attn0", "attn-4", "attn8.5", "attention", "8", "median"):
        with pytest.raises(ConfigError, match=f"pooling '{wrong}'; expected mean, sum, max, attn"):
            attention_size(wrong, 64, "pooling")
    with pytest.raises(ConfigError, match="pooling 'attn24': 24 weights do not divide 64"):
        attention_size("attn24", 64, "pooling")
