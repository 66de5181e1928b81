"""ParticleNet-Lite (arXiv:1902.08570, section 3.2): small, and fast on a CPU.

26,416 parameters for 7 features and 2 classes: two edge convolutions with 7 neighbours, layers of
32 and of 64 features, then a dense layer of 128 with dropout.

Inputs: ``pf_points`` (N, 2, P), eta and phi relative to the jet, in which the first neighbours are
found; ``pf_features`` (N, C, P), scaled; ``pf_mask`` (N, 1, P), 1 for real particles. Other groups
of the data YAML are ignored. Output: logits of the K classes (N, K).

Options: ``-o k 7 -o dropout 0.1``.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from weaver_tt.api import DataConfig, channels, constituent_groups, model_info, num_outputs
from weaver_tt.nn.models.particle_net import ParticleNet

GROUPS = ("pf_points", "pf_features", "pf_mask")


def get_model(
    data_config: DataConfig, k: int = 7, dropout: float = 0.1
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``.

    Options: ``k`` neighbours of each particle, dropout of the dense layer.
    """
    constituent_groups(data_config, GROUPS, "particle_net_lite")
    inputs = channels(data_config, "pf_features", 1, "features of particles")
    channels(data_config, "pf_points", 1, "coordinates of particles")
    convolutions = [(k, (32, 32, 32)), (k, (64, 64, 64))]
    network = ParticleNet(
        inputs, num_outputs(data_config), convolutions, [(128, dropout)], use_fusion=False
    )
    return network, model_info(data_config, GROUPS)
