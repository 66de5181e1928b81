"""ParticleNet (arXiv:1902.08570) on particle-flow candidates and secondary vertices of a jet together.

Inputs ``pf_points`` (N, 2, P), where the first neighbours are looked for (eta and phi relative to the jet), ``pf_features`` (N, C, P), scaled,
``pf_mask`` (N, 1, P), 1 for real candidates, and the same for vertices: ``sv_points``, ``sv_features``, ``sv_mask`` with their own C and P; other
groups of the data YAML are left alone. Output (N, K): logits of the K classes. Weights of weaver-core's ``ParticleNetTagger`` fit. Options:
``-o conv_params "[(16, (64, 64, 64)), (16, (128, 128, 128))]" -o fc_params "[(256, 0.1)]" -o k 8 -o sv_input_dropout 0.05``.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from weaver_tt.config.schema import DataConfig
from weaver_tt.errors import ConfigError
from weaver_tt.network.inputs import channels, constituent_groups, model_info, num_outputs
from weaver_tt.nn.models.particle_net import (
    Convolutions,
    Layers,
    ParticleNetTagger,
    read_convolutions,
)

PF, SV = ("pf_points", "pf_features", "pf_mask"), ("sv_points", "sv_features", "sv_mask")
CONVOLUTIONS: Convolutions = ((16, (64, 64, 64)), (16, (128, 128, 128)), (16, (256, 256, 256)))
LAYERS: Layers = ((256, 0.1),)


def get_model(
    data_config: DataConfig,
    conv_params: Convolutions = CONVOLUTIONS,
    fc_params: Layers = LAYERS,
    k: int | None = None,
    use_fusion: bool = False,
    pf_input_dropout: float | None = None,
    sv_input_dropout: float | None = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``.

    Options: (k, layer sizes) of each edge convolution, (size, dropout) of each dense layer; ``k`` neighbours in all convolutions instead;
    a layer on all convolutions' outputs instead of the last one's; the share of candidates and of vertices left out at random in training.
    """
    for groups in (PF, SV):
        constituent_groups(data_config, groups, "particle_net_pf_sv")
    dimensions = [
        channels(data_config, points, 1, "coordinates") for points in ("pf_points", "sv_points")
    ]
    inputs = [
        channels(data_config, features, 1, "features")
        for features in ("pf_features", "sv_features")
    ]
    if dimensions[0] != dimensions[1]:
        raise ConfigError(
            f"{data_config.source}: inputs.sv_points: {dimensions[1]} coordinates, but pf_points has {dimensions[0]}; make them equal"
        )
    network = ParticleNetTagger(
        *inputs,
        num_outputs(data_config),
        read_convolutions(conv_params, k),
        fc_params,
        use_fusion,
        pf_input_dropout=pf_input_dropout,
        sv_input_dropout=sv_input_dropout,
    )
    return network, model_info(data_config, (*PF, *SV))
