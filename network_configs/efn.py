"""Energy Flow Network (arXiv:1810.05165), infrared and collinear safe.

A sum over the constituents of a jet of the momentum fraction times a learnt function of the angles.

Inputs: ``pf_points`` (N, 2, P), the angles relative to the jet (deta, dphi); ``pf_vectors`` (N, 4,
P), raw px, py, pz, E in any unit, of which px and py count; ``pf_mask`` (N, 1, P), 1 for real
constituents. Other groups of the data YAML are ignored. Output: logits of the K classes (N, K).

Options: ``-o phi_sizes 100,100,256 -o f_sizes 100,100,100 -o dropout 0.1``.
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
    raw_channels,
)
from weaver_tt.nn.models.particle_flow import EnergyFlowNetwork

GROUPS = ("pf_points", "pf_vectors", "pf_mask")


def get_model(
    data_config: DataConfig,
    phi_sizes: int | Sequence[int] = (128, 128, 128),
    f_sizes: int | Sequence[int] = (128, 128, 128),
    dropout: float = 0.0,
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``.

    Options: sizes of the layers of Phi (each constituent) and of F (the jet), dropout in F.
    """
    constituent_groups(data_config, GROUPS, "efn")
    raw_channels(data_config, "pf_vectors", 2, "momenta px, py, …")
    angles = channels(data_config, "pf_points", 1, "angles of constituents")
    network = EnergyFlowNetwork(
        angles, num_outputs(data_config), layer_sizes(phi_sizes), layer_sizes(f_sizes), dropout
    )
    return network, model_info(data_config, GROUPS)
