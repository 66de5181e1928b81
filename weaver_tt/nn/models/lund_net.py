"""LundNet: a jet as the tree of its splittings (arXiv:2012.08526).

Edge convolutions between a splitting, its mother and its daughters. Everything is computed on the
list of real splittings and on the edges there are (``nn/objects/lund_tree.py``), so that padding is
nothing: how much of it there is and what it holds changes neither outputs nor the statistics of
batch norm. Names of the state_dict are those of the published weights.

Shapes: N jets, P slots, M splittings of all jets, E edges, C features, H of a layer, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaver_tt.errors import ConfigError
from weaver_tt.nn.layers.norm import ObjectNorm
from weaver_tt.nn.models.particle_net import Layers, read_dense_layers
from weaver_tt.nn.objects.lund_tree import LundTrees, make_trees
from weaver_tt.nn.objects.real_objects import real_slots

# sizes of the layers of each edge convolution
Convolutions = Sequence[Sequence[int]]

CONVOLUTIONS: Convolutions = ((32, 32), (32, 32), (64, 64), (64, 64), (128, 128), (128, 128))
LAYERS: Layers = ((256, 0.1),)


class TreeConv(nn.Module):
    """Edge convolution on a tree: the mean over a node's neighbours of an MLP of each edge.

    Its first layer is theta (x_i - x_j) + phi x_j for receiver i and neighbour j, both without
    bias. It is linear in x_i and x_j, so theta x_i and (phi - theta) x_j are computed once a node,
    and added for each edge. Batch norm and ReLU follow, then further layers without bias, each with
    both. The node's own features (through a linear layer and batch norm where sizes differ) are
    added before a last ReLU. A node without neighbours has its own alone.
    """

    def __init__(self, in_feat: int, out_feats: Sequence[int]) -> None:
        super().__init__()
        first, last = out_feats[0], out_feats[-1]
        self.theta = nn.Linear(in_feat, first, bias=False)
        self.phi = nn.Linear(in_feat, first, bias=False)
        self.fcs = nn.ModuleList()
        for d_in, d_out in pairwise(out_feats):
            self.fcs.append(nn.Linear(d_in, d_out, bias=False))
        self.bns = nn.ModuleList(ObjectNorm(size) for size in out_feats)
        self.sc: nn.Linear | None = None
        if in_feat != last:
            self.sc = nn.Linear(in_feat, last, bias=False)
            self.sc_bn = ObjectNorm(last)

    def forward(self, features: Tensor, trees: LundTrees) -> Tensor:
        """(M, in_feat) -> (M, out_feats[-1])."""
        own = functional.linear(features, self.theta.weight)  # (M, H)
        other = functional.linear(features, self.phi.weight - self.theta.weight)  # (M, H)
        messages = own.index_select(0, trees.receivers) + other.index_select(0, trees.senders)
        real = trees.real_edges
        messages = functional.relu(self.bns[0](messages, real))  # (E, H)
        for linear, norm in zip(self.fcs, self.bns[1:], strict=True):
            messages = functional.relu(norm(linear(messages), real))
        shortcut = features if self.sc is None else self.sc_bn(self.sc(features))
        return functional.relu(trees.mean_of_neighbours(messages) + shortcut)


class LundNet(nn.Module):
    """Edge convolutions on Lund trees, a mean over splittings, dense layers.

    ``conv_params``: layer sizes of each edge convolution; ``fc_params``: (size, dropout) of each
    dense layer. ``use_fusion`` joins the outputs of all convolutions through one more layer instead
    of taking the last. 391,724 parameters for five variables and two classes, 391,528 for three.

    Raises:
        ConfigError: ``conv_params`` or ``fc_params`` do not have this form.
    Source: arXiv:2012.08526, section 3.
    """

    def __init__(
        self,
        input_dims: int,
        num_classes: int,
        conv_params: Convolutions = CONVOLUTIONS,
        fc_params: Layers = LAYERS,
        use_fusion: bool = True,
    ) -> None:
        super().__init__()
        self.use_fusion = use_fusion
        self.bn_fts = ObjectNorm(input_dims)
        self.edge_convs = nn.ModuleList()
        outputs: list[int] = []  # features after each convolution
        size = input_dims
        for sizes in read_convolutions(conv_params):
            self.edge_convs.append(TreeConv(size, sizes))
            size = sizes[-1]
            outputs.append(size)
        if use_fusion:
            # a multiple of 128 in [128, 1024], as in ParticleNet
            size = min(max(sum(outputs) // 128 * 128, 128), 1024)
            self.fusion_block = nn.Sequential(
                nn.Linear(sum(outputs), size), nn.ReLU(), ObjectNorm(size)
            )
        parts: list[nn.Module] = []
        for width, dropout in read_dense_layers(fc_params):
            parts.append(nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Dropout(dropout)))
            size = width
        parts.append(nn.Linear(size, num_classes))
        self.fc = nn.Sequential(*parts)

    def forward(self, features: Tensor, parent: Tensor, mask: Tensor) -> Tensor:
        """Scores (N, K) of jets.

        ``features`` (N, C, P), ``parent`` (N, 1, P) the slot of each splitting's mother, -1 for the
        first, ``mask`` (N, 1, P), 1 for real splittings.
        """
        trees = make_trees(real_slots(mask), parent.squeeze(1))
        nodes = self.bn_fts(trees.gather(features))  # (M, C)
        outputs = []
        for convolution in cast("list[TreeConv]", list(self.edge_convs)):
            nodes = convolution(nodes, trees)
            outputs.append(nodes)
        if self.use_fusion:
            nodes = self.fusion_block(torch.cat(outputs, dim=1))
        return self.fc(trees.mean_row(nodes))


def read_convolutions(given: Convolutions) -> list[list[int]]:
    """Sizes of the layers of each edge convolution.

    Raises:
        ConfigError: what was given, perhaps on a command line, does not have this form.
    """
    convolutions: list[list[int]] = []
    try:
        convolutions = [[int(size) for size in sizes] for sizes in given]
    except (TypeError, ValueError):
        convolutions = []
    are_valid = [bool(sizes) and min(sizes) > 0 for sizes in convolutions]
    if not convolutions or not all(are_valid):
        raise ConfigError(
            "conv_params: expected the sizes of the layers of each edge convolution, such as "
            f"{CONVOLUTIONS}, found {given!r}"
        )
    return convolutions
