"""Particle Transformer (arXiv:2202.03772) on the particles and the secondary vertices of a jet, each with an embedding of its own.

Inputs ``pf_features`` (N, C, P), ``pf_vectors`` (N, 4, P), px, py, pz, E as they are, and ``pf_mask`` (N, 1, P) of the particles, and
``sv_features``, ``sv_vectors``, ``sv_mask`` of the vertices, whose C and P are their own. Output (N, K): logits of the K classes. Options: those of
:class:`~weaver_tt.nn.models.particle_transformer.ParticleTransformer`. Trains in bf16 with ``--use-amp``.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from weaver_tt.config.schema import DataConfig
from weaver_tt.network.inputs import (
    channels,
    constituent_groups,
    constructor_options,
    model_info,
    num_outputs,
    raw_channels,
)
from weaver_tt.nn.models.particle_transformer import ParticleTransformer, ParticleTransformerTagger

KINDS = {"pf": "particles", "sv": "secondary vertices"}
GROUPS = tuple(f"{kind}_{group}" for kind in KINDS for group in ("features", "vectors", "mask"))
OWN = ("num_classes", "for_inference", "pair_extra_dim")


def get_model(
    data_config: DataConfig, use_pre_activation_pair: bool = False, **options: Any
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``; options: those of :class:`~weaver_tt.nn.models.particle_transformer.ParticleTransformer`."""
    sizes = []
    for kind, what in KINDS.items():
        constituent_groups(
            data_config,
            [name for name in GROUPS if name.startswith(kind)],
            "particle_transformer_pf_sv",
        )
        sizes.append(channels(data_config, f"{kind}_features", 1, f"features of {what}"))
        raw_channels(data_config, f"{kind}_vectors", 4, "px, py, pz, energy")
    options = constructor_options(options, ParticleTransformer, "particle_transformer_pf_sv", OWN)
    network = ParticleTransformerTagger(
        *sizes, num_outputs(data_config), use_pre_activation_pair=use_pre_activation_pair, **options
    )
    return network, model_info(data_config, GROUPS)
