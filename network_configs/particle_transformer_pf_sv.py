"""Particle Transformer (arXiv:2202.03772) on the particles and secondary vertices of a jet.

Each kind has an embedding of its own.

Inputs: ``pf_features`` (N, C, P), scaled; ``pf_vectors`` (N, 4, P), raw px, py, pz, E; ``pf_mask``
(N, 1, P), 1 for real particles; and the same for vertices with their own C and P: ``sv_features``,
``sv_vectors``, ``sv_mask``. Output: logits of the K classes (N, K).

Options: those of :class:`~weaver_tt.nn.models.particle_transformer.ParticleTransformer`. Trains in
bf16 with ``--use-amp``.
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
from weaver_tt.nn.models.particle_transformer import ParticleTransformer, ParticleTransformerTagger

PF = ("pf_features", "pf_vectors", "pf_mask")
SV = ("sv_features", "sv_vectors", "sv_mask")
# not options: the data YAML gives the classes and inputs, and the task the softmax
OWN = ("num_classes", "for_inference", "pair_extra_dim")


def get_model(
    data_config: DataConfig, use_pre_activation_pair: bool = False, **options: Any
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``; options: those of ``ParticleTransformer``."""
    for groups in (PF, SV):
        constituent_groups(data_config, groups, "particle_transformer_pf_sv")
    for vectors in ("pf_vectors", "sv_vectors"):
        raw_channels(data_config, vectors, 4, "px, py, pz, energy")
    options = constructor_options(options, ParticleTransformer, "particle_transformer_pf_sv", OWN)
    network = ParticleTransformerTagger(
        channels(data_config, "pf_features", 1, "features of particles"),
        channels(data_config, "sv_features", 1, "features of secondary vertices"),
        num_outputs(data_config),
        use_pre_activation_pair=use_pre_activation_pair,
        **options,
    )
    return network, model_info(data_config, (*PF, *SV))
