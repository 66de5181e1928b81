"""The module, its parameters and its FLOPs, as ``--print`` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from weaver_tt.config.schema import DataConfig
from weaver_tt.network.network import Network


def output_text(output: Any) -> str:
    """The shapes of what a module returned, such as ``(N, 3)`` or ``scores (N, 3), mass (N, 1)``."""
    if isinstance(output, Tensor):
        return f"({', '.join(['N', *map(str, output.shape[1:])])})"
    if isinstance(output, Mapping):
        return ", ".join(f"{name} {output_text(entry)}" for name, entry in output.items())
    if isinstance(output, tuple | list):
        return ", ".join(output_text(entry) for entry in output)
    return type(output).__name__


def network_summary(network: Network, config: DataConfig) -> str:
    """The module, its parameters, and the FLOPs of one forward pass of a full row, from the data YAML alone."""
    module = network.unwrapped
    random = torch.Generator().manual_seed(0)
    # uniform positive numbers: every slot is a real object, also for networks that derive the mask
    shapes = {name: (1, *config.input_shapes[name][1:]) for name in network.input_names}
    row = {
        name: torch.rand(shape, generator=random).to(network.device)
        for name, shape in shapes.items()
    }
    was_training, counter = module.training, FlopCounterMode(display=False)
    module.eval()
    with (
        torch.enable_grad(),
        counter,
    ):  # without gradients the counter refuses a part that is called with a parameter, such as a class token
        output = Network(module, network.input_names)(row)
    module.train(was_training)
    total = sum(parameter.numel() for parameter in module.parameters())
    trainable = sum(
        parameter.numel() for parameter in module.parameters() if parameter.requires_grad
    )
    objects = [f"{shape[2]} objects in {name}" for name, shape in shapes.items() if len(shape) == 3]
    lines = [str(module), f"network file  {network.source}"]
    lines += [
        f"input         {name} (N, {', '.join(map(str, shape[1:]))})"
        for name, shape in shapes.items()
    ]
    lines += [
        f"output        {output_text(output)}",
        f"parameters    {total:,} ({trainable:,} trainable)",
    ]
    lines += [
        f"FLOPs         {counter.get_total_flops():,} forward, for one row{' with ' if objects else ''}{' and '.join(objects)}"
    ]
    return "\n".join(lines)
