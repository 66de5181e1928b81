"""Particle Transformer (arXiv:2202.03772) with a new head on a trained body, for other classes.

    train.py ... -n network_configs/particle_transformer_finetune.py
        --load-model-weights ParT_kin.pt --exclude-model-weights "mod.fc.*"
        -p lr_mult '("fc.*", 50)' -p weight_decay 0.01 --lr-scheduler none

Inputs and output are those of ``particle_transformer.py``. The body is ``mod``, as in the public
network files and weights, and gives the class token (N, D). The head ``fc`` makes K logits of it:
hidden layers of ``-o fc_params "[(128,0.1)]"`` (size, dropout), then a linear layer. The old head
of the weights, ``mod.fc``, is left out.

Other options are those of :class:`~weaver_tt.nn.models.particle_transformer.ParticleTransformer`,
and must be those that the body was trained with.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from weaver_tt.nn.models.particle_transformer import ParticleTransformer, class_head

GROUPS = ("pf_features", "pf_vectors", "pf_mask")
# not options of the body: the head is ours, the data YAML gives the classes, the task the softmax
OWN = ("num_classes", "for_inference", "fc_params")


class FineTuned(nn.Module):
    """A body without head, and a head."""

    def __init__(self, body: ParticleTransformer, head: nn.Module) -> None:
        super().__init__()
        self.mod = body
        self.fc = head

    def no_weight_decay(self) -> set[str]:
        """Parameters that weight decay should leave alone."""
        return {f"mod.{name}" for name in self.mod.no_weight_decay()}

    def forward(self, features: Tensor, vectors: Tensor, mask: Tensor) -> Tensor:
        """(N, C, P), (N, 4, P), (N, 1, P) -> (N, K)."""
        return self.fc(self.mod(features, v=vectors, mask=mask))


def get_model(
    data_config: DataConfig,
    fc_params: Sequence[Sequence[Any]] = (),
    use_pre_activation_pair: bool = False,
    **options: Any,
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``; options: ``fc_params`` of the head, those of the body."""
    constituent_groups(data_config, GROUPS, "particle_transformer_finetune")
    features = channels(data_config, "pf_features", 1, "features of particles")
    raw_channels(data_config, "pf_vectors", 4, "px, py, pz, energy")
    options = constructor_options(
        options, ParticleTransformer, "particle_transformer_finetune", OWN
    )
    body = ParticleTransformer(
        features, fc_params=None, use_pre_activation_pair=use_pre_activation_pair, **options
    )
    head = class_head(body.size, fc_params, num_outputs(data_config))
    return FineTuned(body, head), model_info(data_config, GROUPS)
