"""The graph network of the truth-tagging paper: GN blocks with skip connections.

Written for any :class:`~weaver_tt.nn.objects.pairwise.Layout`: ``objects`` and ``pairs`` are the
leading dimensions of its form.

Source: arXiv:2004.02665, Appendix B, Fig. 9.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from weaver_tt.errors import ConfigError
from weaver_tt.nn.layers.blocks import mlp, unit_length
from weaver_tt.nn.objects.pairwise import Layout, PairLinear


class GraphBlock(nn.Module):
    """One GN block: each object's representation, updated from the other objects of its row.

    The left half of the output is MLP3(sum over partners j of MLP1([x_i, x_j])), the right half
    MLP2(x_i); together they have Euclidean norm 1. All three have ReLU between their layers and
    Tanh at the end. Hidden sizes are the paper's: half of input plus output.

    Raises:
        ConfigError: ``d_out`` cannot be halved.
    """

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        if d_out < 2 or d_out % 2:
            raise ConfigError(
                f"a GN block joins two halves, so its size must be even and positive, not {d_out}"
            )
        half = d_out // 2
        hidden_pair = (2 * d_in + half) // 2
        hidden_object = (d_in + half) // 2
        # MLP1 in two parts: its first layer never builds [x_i, x_j]
        self.mlp1_first = PairLinear(d_in, hidden_pair)
        self.mlp1_rest = nn.Sequential(
            nn.ReLU(inplace=True), *mlp((hidden_pair, hidden_pair, half), nn.Tanh())
        )
        self.mlp2 = mlp((d_in, hidden_object, half), nn.Tanh())
        self.mlp3 = mlp((half, half, half), nn.Tanh())

    def forward(self, objects: Tensor, pairs: Layout) -> Tensor:
        """(objects, d_in) -> (objects, d_out)."""
        messages = self.mlp1_rest(self.mlp1_first(objects, pairs))  # (pairs, d_out / 2)
        around = self.mlp3(pairs.sum_partners(messages))  # (objects, d_out / 2)
        own = self.mlp2(objects)  # (objects, d_out / 2)
        return unit_length(torch.cat((around, own), dim=-1))


class GraphNetwork(nn.Module):
    """GN blocks one after another, with skip connections.

    The input is concatenated to the output of each.
    """

    def __init__(self, d_in: int, hidden: int = 256, blocks: int = 4) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        size = d_in
        for _ in range(blocks):
            self.blocks.append(GraphBlock(size, hidden))
            size = hidden + d_in

    def forward(self, inputs: Tensor, pairs: Layout) -> Tensor:
        """(objects, d_in) -> (objects, hidden + d_in)."""
        objects = inputs
        for block in self.blocks:
            objects = torch.cat((block(objects, pairs), inputs), dim=-1)
        return objects
