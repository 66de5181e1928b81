"""ParticleNeXt (H. Qu, ML4Jets 2021): ParticleNet with pair features, attention and several scales.

551,496 parameters for 7 features and 2 classes. Weights of weaver-core's ``ParticleNeXt`` fit.

Inputs: ``pf_points`` (N, 2, P), eta and phi in radians, raw; ``pf_features`` (N, C, P), the scaled
features of the particles; ``pf_vectors`` (N, 4, P), raw px, py, pz, E; ``pf_mask`` (N, 1, P), 1 for
real particles. Output: logits of the K classes (N, K).

Options: those of :class:`~weaver_tt.nn.models.particle_next.ParticleNeXt`. Each of the three
improvements over ParticleNet can be switched off: ``-o use_rel_lv_fts false`` (pair features),
``-o edge_aggregation mean -o global_aggregation mean`` (attentive pooling), ``-o layer_params
"[(32, 256, [(1, 1)], 64), (32, 256, [(1, 1)], 64), (32, 256, [(1, 1)], 64)]"`` (several scales).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from weaver_tt.api import (
    DataConfig,
    channels,
    constituent_groups,
    constructor_options,
    model_info,
    num_outputs,
    raw_channels,
)
from weaver_tt.nn.models.particle_next import ParticleNeXt

GROUPS = ("pf_points", "pf_features", "pf_vectors", "pf_mask")
# not options: the data YAML gives the classes and inputs, and the task the softmax
OWN = ("num_classes", "for_inference", "edge_input_dim")


def get_model(data_config: DataConfig, **options: Any) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``; options: those of ``ParticleNeXt``."""
    constituent_groups(data_config, GROUPS, "particle_next")
    raw_channels(data_config, "pf_points", 2, "eta, phi", exactly=True)
    raw_channels(data_config, "pf_vectors", 4, "px, py, pz, energy", exactly=True)
    features = channels(data_config, "pf_features", 1, "features of particles")
    options = constructor_options(options, ParticleNeXt, "particle_next", OWN)
    network = ParticleNeXt(features, num_classes=num_outputs(data_config), **options)
    return network, model_info(data_config, GROUPS)
