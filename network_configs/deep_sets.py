"""Deep Sets: the objects of a row in any order and number, and values of the row beside them.

    F( mean over objects of Phi(object), ..., values of the row )

A network to start from, which `weaver-tt init` writes beside a data YAML: plain torch, and short
enough to be changed.

Inputs: of each collection X of the data YAML ``X_features`` (N, C, P), scaled, and ``X_mask``
(N, 1, P), 1 for real objects, with C and P of its own; and all groups of values of the row
(``length: null``), (N, V). There may be only collections, or only values. Other groups of a
collection, such as ``X_points``, are ignored. Output: logits of the K classes, or K targets (N, K).

Options: ``-o phi 64,64 -o f 64,64 -o dropout 0.1``.

Source: M. Zaheer et al., arXiv:1703.06114.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from weaver_tt.api import (
    DataConfig,
    channels,
    layer_sizes,
    model_info,
    num_outputs,
    object_collections,
)


def dense(sizes: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear layers of ``sizes[0] -> sizes[1] -> ...`` features, with ReLU and dropout."""
    layers: list[nn.Module] = []
    for d_in, d_out in pairwise(sizes):
        layers += [nn.Linear(d_in, d_out), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


class DeepSets(nn.Module):
    """Phi of each collection, then F of their means and of the values of the row.

    ``features``: of an object of each collection. ``row_values``: V, of all groups together.
    """

    def __init__(
        self,
        features: Sequence[int],
        row_values: int,
        phi: Sequence[int],
        f: Sequence[int],
        outputs: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.phi = nn.ModuleList(dense([size, *phi]) for size in features)
        joined = len(features) * phi[-1] + row_values
        self.f = dense([joined, *f], dropout)
        self.output = nn.Linear(f[-1], outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Features and mask of each collection, then values of the row -> (N, outputs)."""
        joined: list[Tensor] = []
        for number, phi in enumerate(self.phi):
            features = inputs[2 * number].transpose(1, 2)  # (N, P, C)
            mask = inputs[2 * number + 1].transpose(1, 2)  # (N, P, 1)
            # padding is multiplied by 0; a row without objects has the mean 0
            total = (phi(features) * mask).sum(1)  # (N, H)
            joined.append(total / mask.sum(1).clamp(min=1))
        values = inputs[2 * len(self.phi) :]  # of the row, (N, V) each
        return self.output(self.f(torch.cat([*joined, *values], dim=1)))


def get_model(
    data_config: DataConfig,
    phi: int | Sequence[int] = (64, 64),
    f: int | Sequence[int] = (64, 64),
    dropout: float = 0.0,
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``.

    Options: sizes of the layers of Phi (each object) and of F (the row), dropout in F.
    """
    groups: list[str] = []
    features: list[int] = []
    if any(group.length is not None for group in data_config.inputs.values()):
        for collection in object_collections(data_config, ("features", "mask"), "deep_sets"):
            groups += collection.groups
            features.append(collection.features)
    values = [name for name, group in data_config.inputs.items() if group.length is None]
    row_values = sum(channels(data_config, name, 1, "values of the row") for name in values)
    network = DeepSets(
        features, row_values, layer_sizes(phi), layer_sizes(f), num_outputs(data_config), dropout
    )
    return network, model_info(data_config, [*groups, *values])
