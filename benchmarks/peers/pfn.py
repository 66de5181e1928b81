"""A Particle Flow Network in plain torch on padded tensors, for the peer's side of the shoot-out.

Users of weaver-core write it like this. Source: arXiv:1810.05165.
"""

from typing import Any

import torch
from torch import nn


class PlainFlowNetwork(nn.Module):
    """Three layers of 128 on each constituent, a sum over the real ones, and three on the jet."""

    def __init__(self, features: int, classes: int, width: int = 128) -> None:
        super().__init__()
        constituent_layers: list[nn.Module] = []
        for size in (features, width, width):
            constituent_layers += [nn.Conv1d(size, width, 1), nn.ReLU()]
        jet_layers: list[nn.Module] = []
        for _ in range(3):
            jet_layers += [nn.Linear(width, width), nn.ReLU()]
        self.phi = nn.Sequential(*constituent_layers)
        self.rho = nn.Sequential(*jet_layers, nn.Linear(width, classes))

    def forward(self, pf_points: Any, pf_features: Any, pf_vectors: Any, pf_mask: Any) -> Any:
        """Padded (N, C, P) each -> (N, K)."""
        return self.rho((self.phi(pf_features) * pf_mask).sum(-1))


def get_model(data_config: Any, **options: Any) -> tuple[nn.Module, dict[str, Any]]:
    """The sizes of network_configs/pfn.py."""
    names = list(data_config.input_names)
    shapes = {name: (1, *shape[1:]) for name, shape in data_config.input_shapes.items()}
    network = PlainFlowNetwork(
        len(data_config.input_dicts["pf_features"]), len(data_config.label_value)
    )
    return network, {
        "input_names": names,
        "input_shapes": shapes,
        "output_names": ["softmax"],
        "dynamic_axes": {name: {0: "N"} for name in names},
    }


def get_loss(data_config: Any, **options: Any) -> nn.Module:
    """Cross entropy."""
    return torch.nn.CrossEntropyLoss()
