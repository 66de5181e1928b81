"""The constant that gives a network's ratio of two samples the mean that it should have."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from weaver_tt.network.outputs import Output, first_tensor, with_first_tensor

# of the part of a network that holds it, and of its number in files of weights
NAME = "ratio_normalisation"
SHIFT = f"{NAME}.shift"


class RatioNormalisation(nn.Module):
    """What is added to the logarithm of a ratio, beside the weights that it belongs to.

    ``shift``: the constant, a number; 0 before it is fitted.
    """

    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(()))

    def forward(self, log_ratio: Tensor) -> Tensor:
        """Logarithms of the ratio, of any shape, in the normalisation."""
        return log_ratio.float() + self.shift


def attach_normalisation(module: nn.Module) -> None:
    """Give ``module`` a constant of its own, which is added to the first tensor that it returns.

    The constant is a part of the module, so that whatever saves, loads, averages or exports its
    weights does so with it. It is a hook and no module around this one: the names of the weights,
    which patterns and files of weights use, stay those of the network file.
    """
    module.add_module(NAME, RatioNormalisation())
    module.register_forward_hook(_normalise)


def find_normalisation(module: nn.Module) -> RatioNormalisation | None:
    """The constant of ``module``; None of a network that gives no ratio."""
    found = getattr(module, NAME, None)
    return found if isinstance(found, RatioNormalisation) else None


def reset_normalisation(module: nn.Module) -> None:
    """Undo what was fitted, where training goes on: weights are trained without the constant."""
    found = find_normalisation(module)
    if found is not None:
        found.shift.zero_()


def _normalise(module: nn.Module, inputs: Any, output: Output) -> Output:
    """The output of ``module`` with its constant."""
    return with_first_tensor(output, getattr(module, NAME)(first_tensor(output)))
