"""A Particle Flow Network (arXiv:1810.05165) in plain torch on padded tensors, as users of weaver-core write it, for the peer's side."""

from typing import Any

import torch
from torch import nn


class PlainFlowNetwork(nn.Module):
    """Three layers of 128 on each constituent, a sum over real ones, three layers of 128 on the jet."""

    def __init__(self, features: int, classes: int, width: int = 128) -> None:
        super().__init__()
        sizes = [features, width, width, width]
        self.phi = nn.Sequential(
            *(layer for a, b in zip(sizes, sizes[1:]) for layer in (nn.Conv1d(a, b, 1), nn.ReLU()))
        )  # noqa: B905, RUF007
        self.rho = nn.Sequential(
            *(layer for _ in range(3) for layer in (nn.Linear(width, width), nn.ReLU())),
            nn.Linear(width, classes),
        )

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
