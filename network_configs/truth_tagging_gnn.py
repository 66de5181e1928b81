"""The graph network of the truth-tagging paper: 1,435,245 parameters for one label.

Input ``jets`` (N, 4, P): raw pt in GeV, eta, phi, flavour (5, 4, other), all zero on padding.
Output (N, K, P): the logit of each jet's efficiency for each of the K labels of the data YAML.
Sizes are options: ``-o hidden 64 -o blocks 2 -o head 64,32``.

Source: arXiv:2004.02665, section 5 and Appendix B.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from weaver_tt.config.schema import DataConfig
from weaver_tt.data.rows.host_counts import host_counts, with_host_counts
from weaver_tt.network.inputs import jet_model_info, num_outputs
from weaver_tt.nn.layers.blocks import mlp
from weaver_tt.nn.models.graph_network import GraphNetwork
from weaver_tt.nn.objects.pairwise import make_layout
from weaver_tt.physics.angles import delta_phi
from weaver_tt.physics.particles import BOTTOM, CHARM


def jet_features(jets: Tensor) -> Tensor:
    """Raw (pt, eta, phi, flavour) (N, 4, P) -> four numbers of order one (N, 4, P).

    log(pt / 100 GeV); eta / 1.5; phi from the leading jet's, wrapped to [-pi, pi), over 1.5 as eta;
    flavour b +1, c 0, other -1. Nothing depends on where phi = 0 lies: a rotated event gives the
    same efficiencies without the network having to learn that, and the jump at +-pi is left only
    opposite to the leading jet. Eta and phi share a scale because distances mix them.
    """
    pt, eta, phi, flavour = jets.unbind(1)  # (N, P) each
    leading = pt.argmax(dim=1, keepdim=True)
    phi = delta_phi(phi, phi.gather(1, leading))
    # padding has pt 0
    log_pt = torch.log(pt.clamp(min=1e-2) / 100)
    is_b = (flavour.abs() == BOTTOM).to(pt.dtype)
    is_c = (flavour.abs() == CHARM).to(pt.dtype)
    return torch.stack((log_pt, eta / 1.5, phi / 1.5, 2 * is_b + is_c - 1), dim=1)


class TruthTaggingNetwork(nn.Module):
    """GN blocks over the jets of an event, then the efficiency network on each jet.

    ``dense``: compute as the ONNX export does, on all P x P slots, instead of on real pairs only.
    """

    def __init__(
        self,
        outputs: int = 1,
        hidden: int = 256,
        blocks: int = 4,
        head: Sequence[int] = (256, 128, 50),
    ) -> None:
        super().__init__()
        self.dense = False
        self.graph = GraphNetwork(4, hidden, blocks)
        self.head = mlp((hidden + 4, *head, outputs))

    def forward(self, jets: Tensor) -> Tensor:
        """(N, 4, P) -> logits (N, K, P), zero on padding."""
        # the counts that padding knows, so that nobody waits for a GPU to find the jets
        real = with_host_counts(jets[:, 0] > 0, host_counts(jets))  # (N, P)
        pairs = make_layout(real, self.dense)
        inputs = pairs.gather(jet_features(jets))  # (jets, 4)
        return pairs.scatter(self.head(self.graph(inputs, pairs)))


def get_model(
    data_config: DataConfig,
    hidden: int = 256,
    blocks: int = 4,
    head: int | Sequence[int] = (256, 128, 50),
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``, one output per label.

    Options: size of a jet's representation, GN blocks, hidden sizes of the head.
    """
    info = jet_model_info(data_config)
    outputs = num_outputs(data_config)
    if isinstance(head, int):
        head = (head,)
    return TruthTaggingNetwork(outputs, hidden, blocks, head), info
