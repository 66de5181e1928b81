"""A small semi-equivariant network: messages of four-vectors and of free numbers.

Between all particles, or the nearest ones, messages are learnt from invariants of four-vectors and
from features. They move the four-vectors as Lorentz symmetry allows, and free numbers as they like
(:mod:`weaver_tt.nn.models.vec_net` has the equations).

Inputs: ``pf_features`` (N, C, P), scaled, unless ``-o scalars invariant``; ``pf_vectors``
(N, 4, P), raw px, py, pz, E in GeV, unless ``-o vectors 0``; ``pf_points`` (N, 2, P), eta and phi
relative to the jet, for a graph of neighbours in them; ``pf_mask`` (N, 1, P), 1 for real particles.
Output: logits of the K classes (N, K).

Options: those of :class:`~weaver_tt.nn.models.vec_net.VecNetOptions`, such as ``-o hidden 8``,
``-o keep 24``, ``-o scalars invariant``, ``-o graph dynamic-knn -o distance minkowski``.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from weaver_tt.api import (
    ConfigError,
    DataConfig,
    channels,
    constituent_groups,
    constructor_options,
    model_info,
    num_outputs,
    raw_channels,
)
from weaver_tt.nn.models.vec_net import VecNet, VecNetOptions


class JetTagger(nn.Module):
    """The network, called with the groups that it takes, in their order."""

    def __init__(self, network: VecNet) -> None:
        super().__init__()
        self.mod = network

    def forward(self, *inputs: Tensor) -> Tensor:
        """Groups (N, …, P) -> logits (N, K)."""
        return self.mod(**dict(zip(self.mod.takes, inputs, strict=True)))


def get_model(data_config: DataConfig, **options: Any) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``; options: those of ``VecNetOptions``."""
    if "shortcut" in options and options["shortcut"] is None:
        # as -o shortcut none is read
        options["shortcut"] = "none"
    chosen = VecNetOptions(**constructor_options(options, VecNetOptions, "vec_net"))
    features = 0
    # a group that the options do without may be missing
    if chosen.takes_features:
        constituent_groups(data_config, ("pf_features", "pf_mask"), "vec_net")
        features = channels(data_config, "pf_features", 1, "features of particles")
    network = VecNet(features, num_outputs(data_config), chosen)
    groups = [f"pf_{name}" for name in network.takes]
    described = constituent_groups(data_config, groups, "vec_net")
    if "pf_vectors" in groups:
        raw_channels(data_config, "pf_vectors", 4, "px, py, pz, energy", exactly=True)
    if "pf_points" in groups:
        channels(data_config, "pf_points", 1, "coordinates of particles")
    check_length(chosen, described[0].length, data_config.source)
    return JetTagger(network), model_info(data_config, groups)


def check_length(options: VecNetOptions, length: int | None, source: str) -> None:
    """Check that jets of ``length`` slots can have as many particles as the options want.

    Raises:
        ConfigError: they cannot.
    """
    assert length is not None
    particles = length
    jets = f"jets of {source} have at most {length} particles (length)"
    if options.keep is not None:
        if options.keep > length:
            raise ConfigError(f"network option keep {options.keep}: {jets}")
        particles = options.keep
        jets = f"keep leaves {particles} particles"
    if options.has_neighbours and options.k >= particles:
        raise ConfigError(
            f"network option k {options.k}: {jets}, so that each has at most {particles - 1} "
            "neighbours"
        )
