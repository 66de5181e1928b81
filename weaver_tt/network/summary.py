"""The module, its parameters and its FLOPs, as ``--print`` shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.utils.flop_counter import FlopCounterMode

from weaver_tt.config.schema import PARENT_SUFFIX, DataConfig
from weaver_tt.network.network import Network
from weaver_tt.network.outputs import shape_text


def output_text(output: Any) -> str:
    """Shapes of what a module returned, such as ``(N, 3)`` or ``scores (N, 3), mass (N, 1)``."""
    if isinstance(output, Tensor):
        return shape_text(output.shape)
    if isinstance(output, Mapping):
        return ", ".join(f"{name} {output_text(entry)}" for name, entry in output.items())
    if isinstance(output, tuple | list):
        return ", ".join(output_text(entry) for entry in output)
    return type(output).__name__


def network_summary(
    network: Network, config: DataConfig, rows: Mapping[str, Tensor] | None = None
) -> str:
    """The module, and what there is to say of it; see :func:`network_facts`."""
    return summary_text(network, network_facts(network, config, rows))


def summary_text(network: Network, facts: Iterable[tuple[str, str]]) -> str:
    """The module and the ``facts``, a line each."""
    lines = [str(network.unwrapped)]
    for name, fact in facts:
        lines.append(f"{name:13} {fact}")
    return "\n".join(lines)


def network_facts(
    network: Network, config: DataConfig, rows: Mapping[str, Tensor] | None = None
) -> list[tuple[str, str]]:
    """File, inputs, output, parameters, and the FLOPs of one forward pass of a row, with names.

    ``rows``: inputs of N rows of the data by group, (N, C, P) or (N, C). Without them it is one row
    of random numbers that is full of objects. As no file may hold such a row, a network need not
    stand it: then the summary says so instead of giving FLOPs.
    """
    module = network.unwrapped
    shapes = {name: (1, *config.input_shapes[name][1:]) for name in network.input_names}
    output = "unknown"
    if rows is None:
        try:
            shown, flops = _count_flops(network, _full_row(shapes, network.device))
            output = output_text(shown)
            counted = f"{flops:,} forward, for one row"
            objects = [f"{s[2]} objects in {name}" for name, s in shapes.items() if len(s) == 3]
            if objects:
                counted += f" with {' and '.join(objects)}"
        except Exception as error:  # whatever a user's network says of a row that was made up
            counted = (
                "unknown: the network fails on a full row of random numbers "
                f"({type(error).__name__}: {_first_line(error)}); -i counts on rows of the data"
            )
    else:
        number = len(rows[network.input_names[0]])
        shown, flops = _count_flops(network, rows)
        output = output_text(shown)
        counted = f"{flops // number:,} forward, for one row, the mean of {number} of the data"

    facts = [("network file", network.source)]
    for name, shape in shapes.items():
        facts.append(("input", f"{name} {shape_text(shape)}"))
    facts.append(("output", output))
    facts.append(("parameters", _count_parameters(module)))
    facts.append(("FLOPs", counted))
    return facts


def count_flops_per_row(network: Network, rows: Mapping[str, Tensor]) -> float:
    """FLOPs of one forward pass of a row, the mean over N ``rows`` of the data."""
    _, flops = _count_flops(network, rows)
    return flops / len(rows[network.input_names[0]])


def count_trainable(module: nn.Module) -> int | None:
    """The number of trainable parameters; None where it is not known before the first row."""
    trainable = 0
    for parameter in module.parameters():
        # that of a lazy layer has no size before the first row
        if isinstance(parameter, UninitializedParameter):
            return None
        if parameter.requires_grad:
            trainable += parameter.numel()
    return trainable


def _count_flops(network: Network, rows: Mapping[str, Tensor]) -> tuple[Any, int]:
    """What the module returns for ``rows`` in evaluation mode, and the FLOPs that it took."""
    module = network.unwrapped
    counter = FlopCounterMode(display=False)
    was_training = module.training
    module.eval()
    try:
        # without gradients the counter refuses a part that is called with a parameter, such as a
        # class token
        with torch.enable_grad(), counter:
            output = Network(module, network.input_names, network.source)(rows)
    finally:
        module.train(was_training)
    return output, counter.get_total_flops()


def _count_parameters(module: nn.Module) -> str:
    trainable = count_trainable(module)
    if trainable is None:
        return "unknown before the first row"
    total = sum(parameter.numel() for parameter in module.parameters())
    line = f"{total:,}"
    if trainable < total:
        line += f" ({trainable:,} trainable)"
    # what other libraries count among the parameters
    statistics = _running_statistics(module)
    if statistics:
        line += f", {total + statistics:,} with running statistics"
    return line


def _running_statistics(module: nn.Module) -> int:
    """Running means and variances of all batch norms."""
    number = 0
    for name, buffer in module.named_buffers():
        if name.rpartition(".")[2] in ("running_mean", "running_var"):
            number += buffer.numel()
    return number


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _full_row(shapes: Mapping[str, tuple[int, ...]], device: torch.device) -> dict[str, Tensor]:
    """One row of uniform positive numbers, by input group.

    Every slot is a real object, also for networks that derive the mask from the values.
    """
    random = torch.Generator().manual_seed(0)
    row = {}
    for name, shape in shapes.items():
        if name.endswith(PARENT_SUFFIX):
            # each node is the mother of the next
            row[name] = torch.arange(-1.0, shape[2] - 1, device=device).expand(shape)
            continue
        # drawn on the CPU, whose generator it is
        row[name] = torch.rand(shape, generator=random).to(device)  # (1, C, P) or (1, C)
    return row
