"""ParticleNeXt (H. Qu, ML4Jets 2021) on the particles and secondary vertices of a jet.

Each kind has an embedding of its own, and both are objects of one cloud. Weights of weaver-core's
``ParticleNeXtTagger`` fit.

Inputs: ``pf_points`` (N, 2, P), eta and phi in radians, raw; ``pf_features`` (N, C, P), scaled;
``pf_vectors`` (N, 4, P), raw px, py, pz, E; ``pf_mask`` (N, 1, P), 1 for real particles; and the
same for vertices with their own C and P: ``sv_points``, ``sv_features``, ``sv_vectors``,
``sv_mask``. Output: logits of the K classes (N, K).

Options: those of :class:`~weaver_tt.nn.models.particle_next.ParticleNeXtTagger`, such as ``-o
pf_input_dropout 0.1``, the share of candidates that training leaves out at random.
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
from weaver_tt.nn.models.particle_next import ParticleNeXtTagger

PF = ("pf_points", "pf_features", "pf_vectors", "pf_mask")
SV = ("sv_points", "sv_features", "sv_vectors", "sv_mask")
# not options: the data YAML gives the classes and inputs, and the task the softmax
OWN = ("num_classes", "for_inference", "edge_input_dim")


def get_model(data_config: DataConfig, **options: Any) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``; options: those of ``ParticleNeXtTagger``."""
    for groups in (PF, SV):
        constituent_groups(data_config, groups, "particle_next_pf_sv")
    for points in ("pf_points", "sv_points"):
        raw_channels(data_config, points, 2, "eta, phi", exactly=True)
    for vectors in ("pf_vectors", "sv_vectors"):
        raw_channels(data_config, vectors, 4, "px, py, pz, energy", exactly=True)
    options = constructor_options(options, ParticleNeXtTagger, "particle_next_pf_sv", OWN)
    network = ParticleNeXtTagger(
        channels(data_config, "pf_features", 1, "features of particles"),
        channels(data_config, "sv_features", 1, "features of secondary vertices"),
        num_classes=num_outputs(data_config),
        **options,
    )
    return network, model_info(data_config, (*PF, *SV))
