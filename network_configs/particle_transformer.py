"""Particle Transformer (arXiv:2202.03772), version 1 as published.

Attention between the particles of a jet, with a bias for each pair of them. By default this is the
network of the public ``example_ParticleTransformer.py``, 2.14 million parameters, whose weights
fit.

Inputs: ``pf_features`` (N, C, P), the scaled features of the particles; ``pf_vectors`` (N, 4, P),
raw px, py, pz, E; ``pf_mask`` (N, 1, P), 1 for real particles. Other groups of the data YAML, such
as ``pf_points``, are ignored. Output: logits of the K classes (N, K).

Options: those of :class:`~weaver_tt.nn.models.particle_transformer.ParticleTransformer`, such as
``-o num_layers 4 -o fc_params "[(128,0.1)]" -o block_params "{'dropout':0}"``. Trains in bf16 with
``--use-amp``.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from weaver_tt.api import (
    DataConfig,
    channels,
    constituent_groups,
    constructor_options,
    model_info,
    num_outputs,
    raw_channels,
)
from weaver_tt.nn.models.particle_transformer import ParticleTransformer

GROUPS = ("pf_features", "pf_vectors", "pf_mask")
# not options: the data YAML gives the classes, and the task the softmax
OWN = ("num_classes", "for_inference")


class Wrapper(nn.Module):
    """The network under the name that public weights have for it."""

    def __init__(self, network: ParticleTransformer) -> None:
        super().__init__()
        self.mod = network

    def no_weight_decay(self) -> set[str]:
        """Parameters that weight decay should leave alone."""
        return {f"mod.{name}" for name in self.mod.no_weight_decay()}

    def forward(self, features: Tensor, vectors: Tensor, mask: Tensor) -> Tensor:
        """(N, C, P), (N, 4, P), (N, 1, P) -> (N, K)."""
        return self.mod(features, v=vectors, mask=mask)


def get_model(
    data_config: DataConfig, use_pre_activation_pair: bool = False, **options: Any
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``; options: those of ``ParticleTransformer``."""
    constituent_groups(data_config, GROUPS, "particle_transformer")
    features = channels(data_config, "pf_features", 1, "features of particles")
    raw_channels(data_config, "pf_vectors", 4, "px, py, pz, energy")
    options = constructor_options(options, ParticleTransformer, "particle_transformer", OWN)
    network = ParticleTransformer(
        features,
        num_outputs(data_config),
        use_pre_activation_pair=use_pre_activation_pair,
        **options,
    )
    return Wrapper(network), model_info(data_config, GROUPS)
