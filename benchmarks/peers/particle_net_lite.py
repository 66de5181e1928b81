"""ParticleNet-Lite made of weaver-core's ParticleNet, for the peer's side of the shoot-out.

Source: arXiv:1902.08570, section 3.2.
"""

from typing import Any

from weaver.nn.model.ParticleNet import ParticleNet


class OnFourInputs(ParticleNet):
    """A ParticleNet that takes the four groups of the data YAML, without using the momenta."""

    def forward(self, pf_points: Any, pf_features: Any, pf_vectors: Any, pf_mask: Any) -> Any:
        """Padded (N, C, P) each -> (N, K)."""
        return super().forward(pf_points, pf_features, pf_mask)


def get_model(data_config: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
    """k = 7, two EdgeConv blocks, one hidden layer."""
    features = data_config.input_dicts["pf_features"]
    network = OnFourInputs(
        input_dims=len(features),
        num_classes=len(data_config.label_value),
        conv_params=[(7, (32, 32, 32)), (7, (64, 64, 64))],
        fc_params=[(128, 0.1)],
        use_fusion=False,
        use_fts_bn=True,
        use_counts=True,
    )
    names = list(data_config.input_names)
    shapes = {name: (1, *shape[1:]) for name, shape in data_config.input_shapes.items()}
    return network, {
        "input_names": names,
        "input_shapes": shapes,
        "output_names": ["softmax"],
        "dynamic_axes": {name: {0: "N"} for name in names},
    }
