"""GN blocks against the paper's formula written with loops, and their sizes."""

import pytest
import torch

from weaver_tt.errors import ConfigError
from weaver_tt.nn.models.graph_network import GraphBlock, GraphNetwork
from weaver_tt.nn.objects.pairwise import RealPairs, make_layout


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


def by_loops(block, objects):
    """A GN block as Appendix B of the paper tells it, for the objects (n, d_in) of one row."""
    n = len(objects)
    around = []
    for i in range(n):
        total = torch.zeros(block.mlp3[0].in_features)
        for j in range(n):
            if i != j:
                hidden = (
                    torch.cat((objects[i], objects[j])) @ block.mlp1_first.weight.T
                    + block.mlp1_first.bias
                )
                total = total + block.mlp1_rest(hidden)
        around.append(block.mlp3(total))
    output = torch.cat((torch.stack(around), block.mlp2(objects)), dim=1)
    return output / output.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("dense", [False, True])
def test_a_block_is_the_papers_formula(dense):
    torch.manual_seed(5)
    block = GraphBlock(4, 6)
    mask = torch.tensor(
        [[True, True, True, False], [True, False, False, False], [True, True, False, False]]
    )
    values = torch.randn(3, 4, 4)
    pairs = make_layout(mask, dense)
    output = pairs.scatter(block(pairs.gather(values), pairs))
    for row, count in enumerate((3, 1, 2)):
        torch.testing.assert_close(
            output[row, :, :count].T, by_loops(block, values[row, :, :count].T)
        )
        assert output[row, :, count:].abs().sum() == 0


def test_a_block_has_the_papers_layer_sizes():
    shapes = {
        name: tuple(weight.shape)
        for name, weight in GraphBlock(260, 256).named_parameters()
        if name.endswith("weight")
    }
    assert list(shapes.values()) == [
        (324, 520),
        (324, 324),
        (128, 324),
        (194, 260),
        (128, 194),
        (128, 128),
        (128, 128),
    ]


def test_representations_have_norm_1():
    pairs = RealPairs(torch.ones(2, 3, dtype=torch.bool))
    output = GraphBlock(4, 8)(torch.randn(6, 4), pairs)
    assert output.norm(dim=1).tolist() == pytest.approx([1.0] * 6, abs=1e-6)


def test_the_input_is_concatenated_to_the_output_of_the_last_block_too():
    pairs = RealPairs(torch.ones(1, 3, dtype=torch.bool))
    inputs = torch.randn(3, 4)
    output = GraphNetwork(4, hidden=8, blocks=2)(inputs, pairs)
    assert output.shape == (3, 12)
    assert torch.equal(output[:, 8:], inputs)


def test_a_network_is_one_block_of_the_input_and_others_of_hidden_plus_input():
    assert size(GraphNetwork(4, hidden=8, blocks=3)) == size(GraphBlock(4, 8)) + 2 * size(
        GraphBlock(12, 8)
    )


def test_an_odd_size_is_refused():
    with pytest.raises(ConfigError, match="even"):
        GraphBlock(4, 7)
