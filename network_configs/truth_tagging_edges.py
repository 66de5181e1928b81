"""Truth tagging with pairs: each jet's efficiency from its own kinematics and the jets around it.

Input ``jets`` (N, 4, P): raw pt in GeV, eta, phi, flavour (5, 4, other), all zero on padding.
Output (N, K, P): the logit of each jet's efficiency for each of the K labels of the data YAML.
Logarithms, one-hot flavours and distances, with phi through its period, are made inside. Sizes are
options: ``-o hidden 64 -o rounds 2``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from weaver_tt.config.schema import DataConfig
from weaver_tt.data.rows.host_counts import host_counts, with_host_counts
from weaver_tt.errors import ConfigError
from weaver_tt.network.inputs import jet_model_info, num_outputs
from weaver_tt.nn.models.edge_network import EdgeNetwork, logit_of_product, pair_geometry
from weaver_tt.nn.objects.pairwise import make_layout
from weaver_tt.nn.objects.sharing import made_once
from weaver_tt.physics.particles import BOTTOM, CHARM

TYPICAL_PT = 200.0  # GeV
SMALLEST_PT = 1.0  # GeV; keeps log(pT) finite on padding
FEATURES = 6


@made_once
def jet_features(pt: Tensor, eta: Tensor, flavour: Tensor) -> Tensor:
    """(objects, 1) each -> six numbers of order one (objects, 6).

    One-hot light, c, b; log pT and pT; eta.
    """
    is_charm = (flavour.abs() == CHARM).to(pt.dtype)
    is_bottom = (flavour.abs() == BOTTOM).to(pt.dtype)
    is_light = 1 - is_charm - is_bottom
    scaled = pt.clamp(min=SMALLEST_PT) / TYPICAL_PT
    features = (is_light, is_charm, is_bottom, scaled.log() + 0.5, scaled - 0.5, eta)
    return torch.cat(features, dim=-1)


class TruthTaggingEdges(nn.Module):
    """(N, 4, P) raw jets -> (N, K, P) logits, zero on padding.

    ``dense``: compute as the ONNX export does, on all P x P slots, instead of on real pairs only.
    """

    def __init__(self, network: EdgeNetwork, sharpness: float) -> None:
        super().__init__()
        self.dense = False
        self.network = network
        self.sharpness = sharpness

    def forward(self, jets: Tensor) -> Tensor:
        """(N, 4, P) -> (N, K, P)."""
        # the counts that padding knows, so that nobody waits for a GPU to find the jets
        real = with_host_counts(jets[:, 0] > 0, host_counts(jets))  # (N, P)
        pairs = make_layout(real, self.dense)
        pt, eta, phi, flavour = pairs.gather(jets).split(1, dim=-1)  # (objects, 1) each
        geometry = pair_geometry(eta, phi, pairs)
        total = self.network(jet_features(pt, eta, flavour), geometry, pairs)  # (objects, K)
        return pairs.scatter(logit_of_product(total, self.sharpness))


def get_model(
    data_config: DataConfig,
    hidden: int = 64,
    layers: int = 2,
    rounds: int = 1,
    message: int = 16,
    sharpness: float = 4.0,
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``, one output per label.

    Options: ``hidden`` size and number of ``layers`` of all MLPs, ``rounds`` of message passing,
    size of a ``message``, and ``sharpness`` of the bend below efficiency 1
    (:func:`~weaver_tt.nn.models.edge_network.logit_of_product`): 1 adds terms up in the logit, more
    multiplies factors of the efficiency.
    """
    options = {
        "hidden": hidden,
        "layers": layers,
        "rounds": rounds,
        "message": message,
        "sharpness": sharpness,
    }
    for name, value in options.items():
        if value < 1:
            raise ConfigError(f"truth_tagging_edges: option {name} must be at least 1, got {value}")
    info = jet_model_info(data_config)
    outputs = num_outputs(data_config)
    network = EdgeNetwork(FEATURES, outputs, hidden, layers, rounds, message)
    return TruthTaggingEdges(network, sharpness), info
