"""Branches against their plain form on padded tensors, poolings by hand, and the first weights."""

import pytest
import torch
from torch import nn

from weaver_tt.nn.models.joined_collections import (
    DeepSets,
    EdgeConvolutions,
    JoinedCollections,
    Pooling,
)
from weaver_tt.nn.objects.pairwise import make_layout

REAL = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]) > 0  # 2, 0 and 4 objects
MASK = REAL.unsqueeze(1).float()  # (N, 1, P)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("sum", [4, 0, 22]), ("mean", [2, 0, 5.5]), ("mean_slots", [1, 0, 5.5])],
)
@pytest.mark.parametrize("dense", [False, True])
def test_poolings_by_hand(kind, dense, expected):
    objects = make_layout(REAL, dense)
    padded = torch.tensor([[1, 3, 99, 99], [99] * 4, [4, 5, 6, 7.0]]).unsqueeze(1)  # (N, 1, P)
    pooled = Pooling(kind, slots=4)(objects.gather(padded), objects)
    assert pooled.flatten().tolist() == expected


def with_random_statistics(network):
    for name, buffer in network.named_buffers():
        if "running" in name:
            nn.init.uniform_(buffer, 0.5, 1.5)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network


def plain_norm(values, norm):
    """Batch norm of padded (N, C, P) with running statistics."""
    return nn.functional.batch_norm(
        values, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
    )


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_deep_sets_are_convolutions_of_width_1_and_a_sum_of_what_is_real(dense, bias):
    torch.manual_seed(0)
    branch = with_random_statistics(DeepSets((3, 5, 4), bias, Pooling("sum", 4))).eval()
    branch.dense = dense
    features = torch.randn(3, 3, 4)
    values = features
    for layer in branch.layers:
        linear, norm, _ = layer
        assert (linear.bias is not None) is bias
        values = nn.functional.conv1d(values, linear.weight, linear.bias)
        values = plain_norm(values, norm).relu()
    torch.testing.assert_close(branch(features, MASK), (values * MASK).sum(2))


def test_training_on_all_slots_is_training_on_real_objects():
    features = torch.randn(3, 3, 4, generator=torch.Generator().manual_seed(1))
    results = []
    for dense in (False, True):
        torch.manual_seed(0)
        branch = DeepSets((3, 5, 4), False, Pooling("mean", 4)).train()
        branch.dense = dense
        output = branch(features, MASK)
        output.square().sum().backward()
        gradients = [parameter.grad for parameter in branch.parameters()]
        results.append([output, *gradients, *branch.buffers()])
    for real, on_all_slots in zip(*results, strict=True):
        torch.testing.assert_close(on_all_slots.float(), real.float(), atol=1e-5, rtol=1e-4)


def plain_edge_convolution(block, points, features):
    """Of one row without padding: (D, n), (C, n) -> (H, n); every object's k nearest others."""
    distances = torch.cdist(points.T, points.T).fill_diagonal_(torch.inf)
    nearest = distances.topk(block.k, largest=False).indices  # (n, k)
    own = features.unsqueeze(2).expand(-1, -1, block.k)  # (C, n, k)
    values = torch.cat((own, features[:, nearest] - own)).unsqueeze(0)  # (1, 2 C, n, k)
    for convolution, norm in zip(block.convs, block.bns, strict=True):
        values = plain_norm(nn.functional.conv2d(values, convolution.weight), norm).relu()
    shortcut = features.unsqueeze(0)
    if block.sc is not None:
        shortcut = plain_norm(nn.functional.conv1d(shortcut, block.sc.weight), block.sc_bn)
    return (values.mean(3) + shortcut).relu()[0]


def test_each_edge_convolution_looks_for_neighbours_in_what_the_one_before_learnt():
    torch.manual_seed(0)
    branch = EdgeConvolutions(3, [(2, (5, 4)), (3, (4, 6))], Pooling("mean", 8))
    with_random_statistics(branch).eval()
    points = torch.randn(1, 2, 8)
    features = torch.randn(1, 3, 8)
    first, second = branch.convolutions
    middle = plain_edge_convolution(first, points[0], features[0])
    last = plain_edge_convolution(second, middle, middle)
    expected = last.mean(1, keepdim=True).T
    torch.testing.assert_close(branch(points, features, torch.ones(1, 1, 8)), expected)


def test_f_is_given_the_branches_in_their_order_and_then_the_values_of_the_row():
    branches = {name: DeepSets((1, 1), False, Pooling("sum", 4)) for name in ("ch", "sv")}
    network = JoinedCollections(branches, row_values=3, hidden=(), outputs=5, bias=True).eval()
    seen = []
    network.head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    for branch, factor in zip(network.branches.values(), (1.0, 2.0), strict=True):
        nn.init.constant_(branch.layers[0][0].weight, factor)
        branch.layers[0][1].eps = 0.0
    objects = torch.ones(3, 1, 4)
    of_row = torch.arange(6.0).view(3, 2)
    of_event = torch.full((3, 1), 7.0)
    assert network(objects, MASK, objects, 1 - MASK, of_row, of_event).shape == (3, 5)
    assert seen[0].tolist() == [[2, 4, 0, 1, 7], [0, 8, 2, 3, 7], [4, 0, 4, 5, 7]]


def test_linear_layers_start_he_normal_and_biases_at_zero():
    """Of 2 / inputs is the variance of weights: linear layers, convolutions, edge convolutions."""
    torch.manual_seed(0)
    deep_sets = DeepSets((200, 300), True, Pooling("sum", 4))
    edges = EdgeConvolutions(60, [(3, (100,))], Pooling("mean", 4))
    network = JoinedCollections({"a": deep_sets, "b": edges}, 10, (250,), 1, bias=True)
    inputs = {
        deep_sets.layers[0][0]: 200,
        edges.convolutions[0].convs[0]: 120,
        edges.convolutions[0].sc: 60,
        network.head[0][0]: 410,
    }
    for layer, number in inputs.items():
        weight = layer.weight / (2 / number) ** 0.5
        assert weight.std().item() == pytest.approx(1, abs=0.03)
        assert weight.mean().item() == pytest.approx(0, abs=0.03)
        # cut off at two widths of the normal distribution before the cut
        assert 2.2 < weight.abs().max().item() < 2.28
        assert layer.bias is None or not layer.bias.any()
