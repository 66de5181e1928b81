"""A multilayer perceptron on one vector a row: per-row values side by side with what is made of the objects of a row.

Inputs: every group of the data YAML, under any names. Groups of per-row values (``length: null``), (N, C), are taken as they are. A group of objects
(N, C, P) needs a mask beside it (for ``pf_features``: ``pf_mask``) and becomes the mean or the sum over real objects (N, C), which no order
changes, or all its slots one after another (N, C * P), zero on padding. Output (N, K): logits of the K classes, or K targets.
Options: ``-o layers 128,128,64 -o dropout 0.1 -o batch_norm true -o objects mean``, of ``mean``, ``sum`` and ``flatten``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from weaver_tt.config.schema import DataConfig, InputGroup
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.network.inputs import constituent_groups, layer_sizes, model_info, num_outputs
from weaver_tt.nn.layers.norm import ObjectNorm


def mean(objects: Tensor, mask: Tensor) -> Tensor:
    """(N, C, P), mask (N, 1, P) -> mean over real objects (N, C), 0 for a row without any."""
    return total(objects, mask) / mask.sum(2).clamp(min=1)


def total(objects: Tensor, mask: Tensor) -> Tensor:
    """(N, C, P), mask (N, 1, P) -> sum over real objects (N, C)."""
    return (objects * mask).sum(2)


def flatten(objects: Tensor, mask: Tensor) -> Tensor:
    """(N, C, P), mask (N, 1, P) -> all slots, zero on padding (N, C * P)."""
    return (objects * mask).flatten(1)


POOLINGS = {"mean": mean, "sum": total, "flatten": flatten}


class RowNetwork(nn.Module):
    """Input groups -> one vector a row -> layers with batch norm, ReLU and dropout -> (N, outputs).

    ``masks``: place of each input that is no mask -> place of its mask among the inputs, None for per-row values.
    Batch norm on fewer than two rows takes its running statistics (:class:`~weaver_tt.nn.layers.norm.ObjectNorm`).
    """

    def __init__(
        self,
        masks: dict[int, int | None],
        pooling: str,
        widths: Sequence[int],
        outputs: int,
        dropout: float,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        self.masks, self.pool = masks, POOLINGS[pooling]
        parts: list[nn.Module] = [ObjectNorm(widths[0])] if batch_norm else []
        for d_in, d_out in pairwise(widths):
            norm = [ObjectNorm(d_out)] if batch_norm else []
            parts += [nn.Linear(d_in, d_out), *norm, nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*parts, nn.Linear(widths[-1], outputs))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Groups (N, C) and (N, C, P) in the order of the data YAML -> (N, outputs)."""
        vectors = [
            inputs[place] if mask is None else self.pool(inputs[place], inputs[mask])
            for place, mask in self.masks.items()
        ]
        return self.layers(torch.cat(vectors, dim=1))


def mask_of(group: InputGroup, config: DataConfig) -> str:
    """The group that tells real objects of ``group`` from padding; ConfigError where there is none."""
    name = f"{group.name.rpartition('_')[0] or group.name}_mask"
    if name not in config.inputs:
        near = nearest(name, (other.name for other in config.inputs.values() if other.is_mask))
        raise ConfigError(
            f"{config.source}: inputs: mlp needs a mask {name!r} for the objects of {group.name}, which is not there; {near}"
        )
    constituent_groups(config, (group.name, name), "mlp")
    return name


def get_model(
    data_config: DataConfig,
    layers: int | Sequence[int] = (128, 128, 64),
    dropout: float = 0.0,
    batch_norm: bool = False,
    objects: str = "mean",
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``; options: sizes of the hidden layers, dropout, batch norm, and what is made of ``objects``."""
    if objects not in POOLINGS:
        raise ConfigError(f"network option objects {objects!r}; {nearest(objects, POOLINGS)}")
    names, groups = (
        data_config.input_names,
        [group for group in data_config.inputs.values() if not group.is_mask],
    )
    if not groups:
        raise ConfigError(
            f"{data_config.source}: inputs: mlp finds nothing but masks: {', '.join(names)}"
        )
    masks = {
        names.index(group.name): None
        if group.length is None
        else names.index(mask_of(group, data_config))
        for group in groups
    }
    slots = [
        group.length if group.length is not None and objects == "flatten" else 1 for group in groups
    ]
    width = sum(len(group.variables) * number for group, number in zip(groups, slots, strict=True))
    network = RowNetwork(
        masks, objects, [width, *layer_sizes(layers)], num_outputs(data_config), dropout, batch_norm
    )
    info = model_info(data_config, names)
    if objects == "flatten":  # the first layer has a weight for each slot
        info["dynamic_axes"] = {name: {0: "N"} for name in info["dynamic_axes"]}
    return network, info
