"""Edge convolution beside the formula written down edge by edge."""

import pytest
import torch
from torch.nn import functional

from weaver_tt.nn.layers.edge_conv import EdgeConvBlock, convolve, fold_norm, kernel_matrix
from weaver_tt.nn.objects.point_cloud import PointCloud, make_cloud
from weaver_tt.nn.objects.sharing import sharing


def trained(block):
    """Parameters and statistics of batch norm as after training."""
    random = torch.Generator().manual_seed(1)
    for name, tensor in [*block.named_buffers(), *block.named_parameters()]:
        with torch.no_grad():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2, generator=random)
            elif tensor.dim() == 1:
                tensor.normal_(std=0.5, generator=random)
    return block


def edge_by_edge(block, features, neighbours):
    """Features (M, C); ``neighbours[i]`` lists the features (C,) of i's neighbours.

    Edges are in one tensor, so that training's batch norm takes all of them.
    """
    edges = torch.stack(
        [
            torch.cat((features[i], other - features[i]))
            for i, others in enumerate(neighbours)
            for other in others
        ]
    )
    for conv, norm in zip(block.convs, block.bns, strict=True):
        edges = functional.batch_norm(
            edges @ conv.weight[:, :, 0, 0].T,
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            block.training,
        )
        edges = edges.relu()
    around = torch.stack([chunk.mean(0) for chunk in edges.split(block.k)])
    own = features if block.sc is None else block.sc_bn(features @ block.sc.weight[:, :, 0].T)
    return (around + own).relu()


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("sizes", [(4,), (5, 4), (5, 6, 3)])
def test_a_block_is_the_mean_of_the_mlp_over_neighbours_and_a_shortcut(mode, sizes):
    torch.manual_seed(0)
    points, features = torch.tensor([[0.0], [1.0], [3.0], [7.0], [5.0]]), torch.randn(5, 4)
    cloud = PointCloud(torch.tensor([[True, True, True, True], [False, True, False, False]]))
    nobody = torch.zeros(4)
    near = [[1, 2], [0, 2], [1, 0], [2, 1]]  # the fifth object is alone
    neighbours = [[features[j] for j in others] for others in near] + [[nobody, nobody]]
    block, same = (trained(EdgeConvBlock(2, 4, sizes)).train(mode == "train") for _ in range(2))
    same.load_state_dict(block.state_dict())
    torch.testing.assert_close(
        block(features, cloud.nearest(points, 2)),
        edge_by_edge(same, features, neighbours),
        atol=1e-5,
        rtol=1e-5,
    )
    for ours, theirs in zip(block.buffers(), same.buffers(), strict=True):
        if ours.dtype.is_floating_point:
            torch.testing.assert_close(ours, theirs)


def test_a_folded_layer_is_the_layer_and_its_batch_norm_in_evaluation():
    block = trained(EdgeConvBlock(2, 3, (5, 4))).eval()
    values = torch.randn(7, 5)
    weight, bias = fold_norm(block.convs[1], block.bns[1])
    torch.testing.assert_close(
        functional.linear(values, weight, bias),
        block.bns[1](functional.linear(values, kernel_matrix(block.convs[1]))),
    )


def test_a_shortcut_of_equal_sizes_has_no_parameters():
    assert not [name for name in EdgeConvBlock(2, 4, (8, 4)).state_dict() if name.startswith("sc")]
    assert EdgeConvBlock(2, 4, (8, 5)).state_dict()["sc.weight"].shape == (5, 4, 1)


def test_neighbours_in_the_coordinates_are_looked_for_once_for_all_members(monkeypatch):
    torch.manual_seed(0)
    counts = torch.tensor([[4], [0], [3]])
    mask = torch.arange(4) < counts
    points = torch.randn(3, 2, 4)
    asked = []
    nearest = PointCloud.nearest

    def counting(cloud, of_points, k):
        asked.append(of_points.shape[1])
        return nearest(cloud, of_points, k)

    monkeypatch.setattr(PointCloud, "nearest", counting)
    members = [[EdgeConvBlock(2, 5, (6,)), EdgeConvBlock(2, 6, (7,))] for _ in range(3)]
    with sharing():
        for blocks in members:
            # each member has features of its own, such as after a batch norm
            features = torch.randn(7, 5)
            outputs = convolve(blocks, points, features, make_cloud(mask.clone()))
            assert [output.shape for output in outputs] == [(7, 6), (7, 7)]
    # once in two coordinates, then in the six features of each member
    assert asked == [2, 6, 6, 6]
