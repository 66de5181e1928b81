"""The module, its parameters and its FLOPs, as ``--print`` shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from weaver_tt.config.schema import DataConfig
from weaver_tt.network.network import Network


def shape_text(shape: Sequence[int]) -> str:
    """A shape whose first axis are the rows of a batch, such as ``(N, 4, 10)``."""
    sizes = ["N", *(str(size) for size in shape[1:])]
    return f"({', '.join(sizes)})"


def output_text(output: Any) -> str:
    """Shapes of what a module returned, such as ``(N, 3)`` or ``scores (N, 3), mass (N, 1)``."""
    if isinstance(output, Tensor):
        return shape_text(output.shape)
    if isinstance(output, Mapping):
        return ", ".join(f"{name} {output_text(entry)}" for name, entry in output.items())
    if isinstance(output, tuple | list):
        return ", ".join(output_text(entry) for entry in output)
    return type(output).__name__


def network_summary(network: Network, config: DataConfig) -> str:
    """The module, its parameters, and the FLOPs of one forward pass of a full row.

    The data YAML is enough for it; no data is read.
    """
    module = network.unwrapped
    shapes = {name: (1, *config.input_shapes[name][1:]) for name in network.input_names}
    row = _full_row(shapes, network.device)
    counter = FlopCounterMode(display=False)
    was_training = module.training
    module.eval()
    # without gradients the counter refuses a part that is called with a parameter, such as a class
    # token
    with torch.enable_grad(), counter:
        output = Network(module, network.input_names)(row)
    module.train(was_training)

    lines = [str(module), f"network file  {network.source}"]
    objects = []
    for name, shape in shapes.items():
        lines.append(f"input         {name} {shape_text(shape)}")
        if len(shape) == 3:
            objects.append(f"{shape[2]} objects in {name}")
    lines.append(f"output        {output_text(output)}")
    total = 0
    trainable = 0
    for parameter in module.parameters():
        total += parameter.numel()
        if parameter.requires_grad:
            trainable += parameter.numel()
    lines.append(f"parameters    {total:,} ({trainable:,} trainable)")
    flops = f"FLOPs         {counter.get_total_flops():,} forward, for one row"
    if objects:
        flops += f" with {' and '.join(objects)}"
    lines.append(flops)
    return "\n".join(lines)


def _full_row(shapes: Mapping[str, tuple[int, ...]], device: torch.device) -> dict[str, Tensor]:
    """One row of uniform positive numbers, by input group.

    Every slot is a real object, also for networks that derive the mask from the values.
    """
    random = torch.Generator().manual_seed(0)
    row = {}
    for name, shape in shapes.items():
        # drawn on the CPU, whose generator it is
        row[name] = torch.rand(shape, generator=random).to(device)  # (1, C, P) or (1, C)
    return row
