"""PFN-r: jets measured from their particles by Deep Sets, one for each collection of objects.

Inputs: of each collection X of the data YAML ``X_features`` (N, C, P), scaled, and ``X_mask``
(N, 1, P), 1 for real objects, with C and P of its own; and all groups of values of the jet
(``length: null``), (N, V). Each object goes through three layers and each collection is summed; F
is given these sums and the values of the jet. Other groups of a collection, such as ``X_points``,
are ignored. Output: the K targets, or logits of classes (N, K).

Batch norm follows each linear layer but the last; the inputs have none. The sizes are those of the
thesis, for 25, 11 and 10 features of charged and neutral candidates and vertices, 11 values of the
jet and one target 1,467,105 parameters (full) or 40,249 (lite). In the lite network, layers before
batch norm have no bias.

Options: ``-o size lite``; ``-o pooling mean`` over the objects of a jet, or ``mean_slots``, their
sum divided by P; ``-o small_length 16``: collections of at most as many objects, such as vertices,
have layers of half the width.

Source: D. Holmberg, Jet energy corrections with graph neural network regression, thesis, University
of Helsinki (2022), section 6.3.2.
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
from weaver_tt.nn.models.joined_collections import POOLINGS, DeepSets, JoinedCollections, Pooling


class Sizes(NamedTuple):
    """Layers on each object and of F, and whether those before batch norm have a bias."""

    phi: Sequence[int]
    f: Sequence[int]
    bias: bool


SIZES = {
    "full": Sizes(phi=(64, 128, 256), f=(1024, 512, 256, 128, 64), bias=True),
    "lite": Sizes(phi=(16, 32, 64), f=(128, 64, 32, 16, 8), bias=False),
}


def get_model(
    data_config: DataConfig, size: str = "full", pooling: str = "sum", small_length: int = 16
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``.

    Options: full or lite; how the objects of a jet are pooled; up to which length a collection has
    layers of half the width.
    """
    check_choice("size", size, SIZES)
    check_choice("pooling", pooling, POOLINGS)
    phi, f, bias = SIZES[size]
    values = row_groups(data_config, "pfn_r")
    collections = object_collections(data_config, ("features", "mask"), "pfn_r")
    branches: dict[str, DeepSets] = {}
    groups: list[str] = []
    for collection in collections:
        share = 2 if collection.length <= small_length else 1
        sizes = [collection.features, *(width // share for width in phi)]
        branches[f"{collection.name}_features"] = DeepSets(
            sizes, bias, Pooling(pooling, collection.length)
        )
        groups += collection.groups
    row_values = sum(channels(data_config, name, 1, "values of the jet") for name in values)
    network = JoinedCollections(branches, row_values, f, num_outputs(data_config), bias)
    return network, model_info(data_config, [*groups, *values])
