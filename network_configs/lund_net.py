"""LundNet (arXiv:2012.08526): edge convolutions on the Lund tree of a jet.

391,724 parameters for the five variables of LundNet-5 and 2 classes, 391,528 for the three of
LundNet-3 (ln kt, ln Delta, ln z), which differ by the data YAML alone.

Inputs: ``lund_features`` (N, C, P), the scaled variables of the splittings; ``lund_parent``
(N, 1, P), the place of each splitting's mother in the row as it is, -1 for the first; ``lund_mask``
(N, 1, P), 1 for real splittings. ``weaver-tt lund`` makes the columns. Output: logits of the K
classes (N, K).

Published weights load with ``--load-model-weights``; docs/lund.md says what they expect.

Options: ``-o conv_params "[(32, 32), (64, 64)]" -o fc_params "[(256, 0.1)]" -o use_fusion false``.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from weaver_tt.api import (
    DataConfig,
    channels,
    constituent_groups,
    model_info,
    num_outputs,
    raw_channels,
)
from weaver_tt.nn.models.lund_net import CONVOLUTIONS, LAYERS, Convolutions, Layers, LundNet

GROUPS = ("lund_features", "lund_parent", "lund_mask")


def get_model(
    data_config: DataConfig,
    conv_params: Convolutions = CONVOLUTIONS,
    fc_params: Layers = LAYERS,
    use_fusion: bool = True,
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``.

    Options: layer sizes of each edge convolution; (size, dropout) of each dense layer; a layer on
    the outputs of all convolutions instead of the last one.
    """
    constituent_groups(data_config, GROUPS, "lund_net")
    inputs = channels(data_config, "lund_features", 1, "variables of splittings")
    raw_channels(data_config, "lund_parent", 1, "places of mothers", exactly=True)
    network = LundNet(inputs, num_outputs(data_config), conv_params, fc_params, use_fusion)
    return network, model_info(data_config, GROUPS)
