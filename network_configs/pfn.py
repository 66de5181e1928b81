"""Particle Flow Network (arXiv:1810.05165): a sum over constituents of a learnt function of each.

Inputs: ``pf_features`` (N, C, P), the scaled features of the constituents of a jet, in any order
and number; ``pf_mask`` (N, 1, P), 1 for real constituents. Other groups of the data YAML are
ignored. Output: logits of the K classes (N, K). Weights of the public ``example_PFN.py`` fit (with
``-o use_bn true`` where it was trained so).

Options: ``-o phi_sizes 100,100,256 -o f_sizes 100,100,100 -o use_bn true -o dropout 0.1``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from weaver_tt.api import (
    DataConfig,
    channels,
    constituent_groups,
    layer_sizes,
    model_info,
    num_outputs,
)
from weaver_tt.nn.models.particle_flow import ParticleFlowNetwork

GROUPS = ("pf_features", "pf_mask")


def get_model(
    data_config: DataConfig,
    phi_sizes: int | Sequence[int] = (128, 128, 128),
    f_sizes: int | Sequence[int] = (128, 128, 128),
    use_bn: bool = False,
    dropout: float = 0.0,
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``.

    Options: sizes of the layers of Phi (each constituent) and of F (the jet), batch norm, dropout
    in F.
    """
    constituent_groups(data_config, GROUPS, "pfn")
    inputs = channels(data_config, "pf_features", 1, "features of constituents")
    network = ParticleFlowNetwork(
        inputs,
        num_outputs(data_config),
        layer_sizes(phi_sizes),
        layer_sizes(f_sizes),
        use_bn,
        dropout,
    )
    return network, model_info(data_config, GROUPS)
