"""ParticleNet-r: jets measured from their particles by edge convolutions on nearest neighbours.

Inputs: of each collection X of the data YAML ``X_points`` (N, 2, P), eta and phi relative to the
jet, in which the first neighbours are found, ``X_features`` (N, C, P), scaled, and ``X_mask``
(N, 1, P), 1 for real objects, with C and P of its own; and all groups of values of the jet
(``length: null``), (N, V). Each collection goes through three edge convolutions of its own and a
mean over its objects; F is given these means and the values of the jet. Output: the K targets, or
logits of classes (N, K).

Batch norm follows each linear layer but the last; the inputs have none. The sizes are those of the
thesis, for 25, 11 and 10 features of charged and neutral candidates and vertices, 11 values of the
jet and one target 1,188,673 parameters (full) or 36,737 (lite). Edge convolutions have no bias.

Options: ``-o size lite``; ``-o k 8`` neighbours in all collections; ``-o pooling sum``, or
``mean_slots``, the sum divided by P; ``-o small_length 16``: collections of at most as many
objects, such as vertices, have layers of half the width and half as many neighbours.

Source: D. Holmberg, Jet energy corrections with graph neural network regression, thesis, University
of Helsinki (2022), section 6.3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import nn

from weaver_tt.api import (
    DataConfig,
    channels,
    check_choice,
    model_info,
    num_outputs,
    object_collections,
    row_groups,
)
from weaver_tt.nn.models.joined_collections import (
    POOLINGS,
    EdgeConvolutions,
    JoinedCollections,
    Pooling,
)
from weaver_tt.nn.models.particle_net import read_convolutions

NEIGHBOURS = 16


class Sizes(NamedTuple):
    """Layers of each edge convolution, and of F."""

    convolutions: Sequence[Sequence[int]]
    f: Sequence[int]


SIZES = {
    "full": Sizes(((64, 64, 64), (128, 128, 128), (256, 256, 256)), (512, 256, 128, 64)),
    "lite": Sizes(((16, 16), (32, 32), (48, 48)), (64, 32, 16, 8)),
}


def get_model(
    data_config: DataConfig,
    size: str = "full",
    k: int | None = None,
    pooling: str = "mean",
    small_length: int = 16,
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``.

    Options: full or lite; ``k`` neighbours of each object; how the objects of a jet are pooled; up
    to which length a collection has layers of half the width and half as many neighbours.
    """
    check_choice("size", size, SIZES)
    check_choice("pooling", pooling, POOLINGS)
    convolutions, f = SIZES[size]
    values = row_groups(data_config, "particle_net_r")
    collections = object_collections(data_config, ("points", "features", "mask"), "particle_net_r")
    branches: dict[str, EdgeConvolutions] = {}
    groups: list[str] = []
    for collection in collections:
        share = 2 if collection.length <= small_length else 1
        layers = [
            (NEIGHBOURS // share, [width // share for width in widths]) for widths in convolutions
        ]
        branches[f"{collection.name}_features"] = EdgeConvolutions(
            collection.features,
            read_convolutions(layers, k),
            Pooling(pooling, collection.length),
        )
        groups += collection.groups
    row_values = sum(channels(data_config, name, 1, "values of the jet") for name in values)
    network = JoinedCollections(branches, row_values, f, num_outputs(data_config), bias=True)
    return network, model_info(data_config, [*groups, *values])
