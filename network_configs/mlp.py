"""A multilayer perceptron on one vector a row.

Inputs: every group of the data YAML, under any names. Groups of per-row values (``length: null``),
(N, C), are taken as they are. A group of objects (N, C, P) needs a mask beside it (``pf_mask`` for
``pf_features``) and becomes the mean or the sum over real objects (N, C), which no order changes,
or all its slots one after another, zero on padding (N, C * P), or is ignored. Output: logits of the
K classes, or K targets (N, K).

Options: ``-o layers 128,128,64 -o dropout 0.1 -o batch_norm true``, and ``-o objects mean``,
``sum``, ``flatten`` or ``ignore``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from weaver_tt.api import (
    ConfigError,
    DataConfig,
    ObjectNorm,
    check_choice,
    constituent_groups,
    layer_sizes,
    model_info,
    nearest,
    num_outputs,
    row_groups,
)
from weaver_tt.config.schema import InputGroup


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
IGNORE = "ignore"


class RowNetwork(nn.Module):
    """Input groups -> one vector a row -> layers with batch norm, ReLU and dropout -> (N, outputs).

    ``masks``: position of each input that is no mask -> position of its mask among the inputs,
    None for per-row values. On fewer than two rows batch norm takes its running statistics (see
    :class:`~weaver_tt.nn.layers.norm.ObjectNorm`).
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
        self.masks = masks
        # there is none where objects are ignored
        self.pool = POOLINGS.get(pooling)
        parts: list[nn.Module] = [ObjectNorm(widths[0])] if batch_norm else []
        for d_in, d_out in pairwise(widths):
            norm = [ObjectNorm(d_out)] if batch_norm else []
            parts += [nn.Linear(d_in, d_out), *norm, nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*parts, nn.Linear(widths[-1], outputs))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Groups (N, C) and (N, C, P) in the order of the data YAML -> (N, outputs)."""
        vectors = []
        for position, mask in self.masks.items():
            values = inputs[position]
            if mask is not None:
                assert self.pool is not None
                values = self.pool(values, inputs[mask])
            vectors.append(values)
        return self.layers(torch.cat(vectors, dim=1))


def mask_of(group: InputGroup, config: DataConfig) -> str:
    """The group that tells real objects of ``group`` from padding.

    Raises:
        ConfigError: there is none.
    """
    name = f"{group.name.rpartition('_')[0] or group.name}_mask"
    if name not in config.inputs:
        masks = [other.name for other in config.inputs.values() if other.is_mask]
        needed = f"mlp needs a mask {name!r} for the objects of {group.name}, which is not there"
        raise ConfigError(f"{config.source}: inputs: {needed}; {nearest(name, masks)}")
    constituent_groups(config, (group.name, name), "mlp")
    return name


def get_model(
    data_config: DataConfig,
    layers: int | Sequence[int] = (128, 128, 64),
    dropout: float = 0.0,
    batch_norm: bool = False,
    objects: str = "mean",
) -> tuple[nn.Module, dict[str, Any]]:
    """The network for ``data_config``.

    Options: sizes of the hidden layers, dropout, batch norm, and what is made of ``objects``.
    """
    check_choice("objects", objects, [*POOLINGS, IGNORE])
    names = data_config.input_names
    if objects == IGNORE:
        names = row_groups(data_config, "mlp")
    inputs = [data_config.inputs[name] for name in names]
    groups = [group for group in inputs if not group.is_mask]
    if not groups:
        found = ", ".join(names)
        raise ConfigError(f"{data_config.source}: inputs: mlp finds nothing but masks: {found}")

    masks: dict[int, int | None] = {}
    width = 0  # of the first layer
    for group in groups:
        slots = 1
        mask = None
        if group.length is not None:
            mask = names.index(mask_of(group, data_config))
            if objects == "flatten":
                slots = group.length
        masks[names.index(group.name)] = mask
        width += len(group.variables) * slots

    widths = [width, *layer_sizes(layers)]
    outputs = num_outputs(data_config)
    network = RowNetwork(masks, objects, widths, outputs, dropout, batch_norm)
    info = model_info(data_config, names)
    if objects == "flatten":
        # the first layer has a weight for each slot, so that lengths are fixed
        info["dynamic_axes"] = {name: {0: "N"} for name in info["dynamic_axes"]}
    return network, info
