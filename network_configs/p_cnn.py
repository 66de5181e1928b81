"""P-CNN: the one-dimensional residual network of DeepAK8 (arXiv:2004.08262).

It sees the constituents of a jet in the order of the file, which is usually that of falling pT.

Inputs: ``pf_features`` (N, C, P), the scaled features of the constituents; ``pf_mask`` (N, 1, P), 1
for real constituents. Other groups of the data YAML are ignored. Output: logits of the K classes
(N, K). Weights of the public ``example_PCNN.py`` fit; ``weaver_tt/nn/models/p_cnn.py`` says what
differs on padding.

Options: ``-o conv_params "((32,),(64,64))" -o fc_params "((512,0.2),)"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from weaver_tt.api import (
    DataConfig,
    channels,
    constituent_groups,
    hidden_layers,
    layer_sizes,
    model_info,
    num_outputs,
)
from weaver_tt.nn.models.p_cnn import ParticleCNN

GROUPS = ("pf_features", "pf_mask")


def get_model(
    data_config: DataConfig,
    conv_params: Sequence[Sequence[int]] = ((32,), (64, 64), (64, 64), (128, 128)),
    fc_params: Sequence[tuple[int, float]] = ((512, 0.2),),
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``.

    Options: channels of the first convolution and then of the residual units of each stage;
    (size, dropout) of the hidden layers at the end.
    """
    constituent_groups(data_config, GROUPS, "p_cnn")
    inputs = channels(data_config, "pf_features", 1, "features of constituents")
    network = ParticleCNN(
        inputs,
        num_outputs(data_config),
        [layer_sizes(stage) for stage in conv_params],
        hidden_layers(fc_params),
    )
    return network, model_info(data_config, GROUPS)
