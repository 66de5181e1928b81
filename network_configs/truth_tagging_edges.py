"""Our network for truth tagging: the efficiency of a jet from itself and the jets around it.

Input: ``jets`` (N, 4, P), raw pt in GeV, eta, phi, flavour (5, 4, other), all zero on padding.
Output (N, K, P): the logit of the efficiency of each jet for each of the K labels of the data YAML.
Logarithms, one-hot flavours and distances, with phi through its period, are made inside.

Options: ``-o hidden 64 -o rounds 2``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from weaver_tt.api import ConfigError, DataConfig, jet_model_info, make_layout
from weaver_tt.data.rows.host_counts import host_counts, with_host_counts
from weaver_tt.nn.models.edge_network import EdgeNetwork, logit_of_product, pair_geometry
from weaver_tt.physics.particles import BOTTOM, CHARM

TYPICAL_PT = 200.0  # GeV
SMALLEST_PT = 1.0  # GeV; keeps log(pT) finite on padding
FEATURES = 6


def jet_features(pt: Tensor, eta: Tensor, flavour: Tensor) -> Tensor:
    """Six numbers of order one: one-hot light, c, b; log pT and pT; eta.

    (objects, 1) each -> (objects, 6).
    """
    charm = (flavour.abs() == CHARM).to(pt.dtype)
    bottom = (flavour.abs() == BOTTOM).to(pt.dtype)
    light = 1 - charm - bottom
    scaled = pt.clamp(min=SMALLEST_PT) / TYPICAL_PT
    columns = (light, charm, bottom, scaled.log() + 0.5, scaled - 0.5, eta)
    return torch.cat(columns, dim=-1)


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
        real = with_host_counts(jets[:, 0] > 0, host_counts(jets))  # (N, P)
        pairs = make_layout(real, self.dense)
        pt, eta, phi, flavour = pairs.gather(jets).split(1, dim=-1)  # (objects, 1) each
        features = jet_features(pt, eta, flavour)  # (objects, 6)
        total = self.network(features, pair_geometry(eta, phi, pairs), pairs)  # (objects, K)
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
    size of a ``message``, and ``sharpness`` of the bend below efficiency 1 (see
    :func:`~weaver_tt.nn.models.edge_network.logit_of_product`): with 1, terms are added in the
    logit, with more, factors of the efficiency are multiplied.
    """
    sizes = {"hidden": hidden, "layers": layers, "rounds": rounds, "message": message}
    for name, value in {**sizes, "sharpness": sharpness}.items():
        if value < 1:
            raise ConfigError(f"truth_tagging_edges: option {name} must be at least 1, got {value}")
    info = jet_model_info(data_config)
    outputs = max(len(data_config.label_names), 1)
    network = EdgeNetwork(FEATURES, outputs, hidden, layers, rounds, message)
    return TruthTaggingEdges(network, sharpness), info
