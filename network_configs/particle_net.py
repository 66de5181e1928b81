"""ParticleNet (arXiv:1902.08570): edge convolutions on the nearest neighbours of each particle.

366,160 parameters for 7 features and 2 classes. The sizes are those of the paper and of the public
``example_ParticleNet.py``, whose weights fit.

Inputs: ``pf_points`` (N, 2, P), eta and phi relative to the jet, in which the first neighbours are
found; ``pf_features`` (N, C, P), scaled; ``pf_mask`` (N, 1, P), 1 for real particles. Other groups
of the data YAML, such as ``pf_vectors``, are ignored. Output: logits of the K classes (N, K).

Options: ``-o conv_params "[(16, (64, 64, 64)), (16, (128, 128, 128))]" -o fc_params "[(256,
0.1)]"``, ``-o k 8 -o use_fusion true``.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from weaver_tt.api import DataConfig, channels, constituent_groups, model_info, num_outputs
from weaver_tt.nn.models.particle_net import Convolutions, Layers, ParticleNet, read_convolutions

GROUPS = ("pf_points", "pf_features", "pf_mask")
CONVOLUTIONS: Convolutions = ((16, (64, 64, 64)), (16, (128, 128, 128)), (16, (256, 256, 256)))
LAYERS: Layers = ((256, 0.1),)


class JetTagger(nn.Module):
    """ParticleNet under the name ``mod``, as in the public network file, whose weights fit."""

    def __init__(self, network: ParticleNet) -> None:
        super().__init__()
        self.mod = network

    def forward(self, points: Tensor, features: Tensor, mask: Tensor) -> Tensor:
        """(N, 2, P), (N, C, P), (N, 1, P) -> logits (N, K)."""
        return self.mod(points, features, mask)


def get_model(
    data_config: DataConfig,
    conv_params: Convolutions = CONVOLUTIONS,
    fc_params: Layers = LAYERS,
    k: int | None = None,
    use_fusion: bool = False,
    use_fts_bn: bool = True,
    use_counts: bool = True,
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``.

    Options: (k, layer sizes) of each edge convolution, or ``k`` neighbours in all of them; (size,
    dropout) of each dense layer; a layer on the outputs of all convolutions instead of the last
    one; batch norm of the features; the mean over particles instead of slots.
    """
    constituent_groups(data_config, GROUPS, "particle_net")
    inputs = channels(data_config, "pf_features", 1, "features of particles")
    channels(data_config, "pf_points", 1, "coordinates of particles")
    network = ParticleNet(
        inputs,
        num_outputs(data_config),
        read_convolutions(conv_params, k),
        fc_params,
        use_fusion,
        use_fts_bn,
        use_counts,
    )
    return JetTagger(network), model_info(data_config, GROUPS)
