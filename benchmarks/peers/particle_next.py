"""weaver-core's ParticleNeXt with its defaults, for its side of the shoot-out.

Source: H. Qu, "ParticleNeXt", ML4Jets 2021.
"""

from typing import Any

from weaver.nn.model.ParticleNeXt import ParticleNeXt


class OnFourInputs(ParticleNeXt):
    """A ParticleNeXt that takes the four groups of the data YAML in their order."""

    def forward(self, pf_points: Any, pf_features: Any, pf_vectors: Any, pf_mask: Any) -> Any:
        """Padded (N, C, P) each -> (N, K)."""
        return super().forward(pf_points, pf_features, pf_vectors, pf_mask)


def get_model(data_config: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
    """The sizes of network_configs/particle_next.py."""
    features = data_config.input_dicts["pf_features"]
    network = OnFourInputs(
        feature_input_dim=len(features), num_classes=len(data_config.label_value)
    )
    names = list(data_config.input_names)
    shapes = {name: (1, *shape[1:]) for name, shape in data_config.input_shapes.items()}
    return network, {
        "input_names": names,
        "input_shapes": shapes,
        "output_names": ["softmax"],
        "dynamic_axes": {name: {0: "N"} for name in names},
    }
