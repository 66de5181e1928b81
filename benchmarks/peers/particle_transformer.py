"""weaver-core's Particle Transformer in the sizes of its paper, for its side of the shoot-out.

Source: arXiv:2202.03772.
"""

from typing import Any

from weaver.nn.model.ParticleTransformer import ParticleTransformer


class OnFourInputs(ParticleTransformer):
    """A Particle Transformer that takes the four groups of the data YAML, without the points."""

    def forward(self, pf_points: Any, pf_features: Any, pf_vectors: Any, pf_mask: Any) -> Any:
        """Padded (N, C, P) each -> (N, K)."""
        return super().forward(pf_features, v=pf_vectors, mask=pf_mask)


def get_model(data_config: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
    """The sizes of network_configs/particle_transformer.py."""
    features = data_config.input_dicts["pf_features"]
    network = OnFourInputs(
        input_dim=len(features),
        num_classes=len(data_config.label_value),
        pair_input_dim=4,
        use_pre_activation_pair=False,
    )
    names = list(data_config.input_names)
    shapes = {name: (1, *shape[1:]) for name, shape in data_config.input_shapes.items()}
    return network, {
        "input_names": names,
        "input_shapes": shapes,
        "output_names": ["softmax"],
        "dynamic_axes": {name: {0: "N"} for name in names},
    }
