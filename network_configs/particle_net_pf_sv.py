"""ParticleNet (arXiv:1902.08570) on the candidates and the secondary vertices of a jet together.

Inputs: ``pf_points`` (N, 2, P), eta and phi relative to the jet, in which the first neighbours are
found; ``pf_features`` (N, C, P), scaled; ``pf_mask`` (N, 1, P), 1 for real candidates; and the same
for vertices with their own C and P: ``sv_points``, ``sv_features``, ``sv_mask``. Other groups of
the data YAML are ignored. Output: logits of the K classes (N, K). Weights of weaver-core's
``ParticleNetTagger`` fit.

Options: ``-o conv_params "[(16, (64, 64, 64)), (16, (128, 128, 128))]" -o fc_params "[(256,
0.1)]"``, ``-o k 8 -o sv_input_dropout 0.05``.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from weaver_tt.api import (
    ConfigError,
    DataConfig,
    channels,
    constituent_groups,
    model_info,
    num_outputs,
)
from weaver_tt.nn.models.particle_net import (
    Convolutions,
    Layers,
    ParticleNetTagger,
    read_convolutions,
)

PF = ("pf_points", "pf_features", "pf_mask")
SV = ("sv_points", "sv_features", "sv_mask")
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

    Options: (k, layer sizes) of each edge convolution, or ``k`` neighbours in all of them; (size,
    dropout) of each dense layer; a layer on the outputs of all convolutions instead of the last
    one; the share of candidates and of vertices that training leaves out at random.
    """
    for groups in (PF, SV):
        constituent_groups(data_config, groups, "particle_net_pf_sv")
    # neighbours may be of either kind, so both need the same coordinates
    pf_dimensions = channels(data_config, "pf_points", 1, "coordinates")
    sv_dimensions = channels(data_config, "sv_points", 1, "coordinates")
    if pf_dimensions != sv_dimensions:
        problem = f"{sv_dimensions} coordinates, but pf_points has {pf_dimensions}"
        raise ConfigError(f"{data_config.source}: inputs.sv_points: {problem}; make them equal")
    network = ParticleNetTagger(
        channels(data_config, "pf_features", 1, "features"),
        channels(data_config, "sv_features", 1, "features"),
        num_outputs(data_config),
        read_convolutions(conv_params, k),
        fc_params,
        use_fusion,
        pf_input_dropout=pf_input_dropout,
        sv_input_dropout=sv_input_dropout,
    )
    return network, model_info(data_config, (*PF, *SV))
