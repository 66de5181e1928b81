"""An adversary: it predicts from what a network gives what that is not to know."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn


class _Reversal(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a negative factor."""

    @staticmethod
    def forward(context: Any, values: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return values.view_as(values)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradient, None


def reverse_gradient(values: Tensor, strength: float = 1.0) -> Tensor:
    """``values`` as they are; their gradient is multiplied by ``-strength``.

    Source: Ganin and Lempitsky, arXiv:1409.7495, section 3.1.
    """
    return _Reversal.apply(values, strength)


class Adversary(nn.Module):
    """A multilayer perceptron (M, F) -> logits of V bins (M, V)."""

    def __init__(self, inputs: int, layers: Sequence[int], bins: int) -> None:
        """``layers``: sizes of the hidden layers."""
        super().__init__()
        parts: list[nn.Module] = []
        widths = [inputs, *layers]
        for d_in, d_out in pairwise(widths):
            parts += [nn.Linear(d_in, d_out), nn.ReLU()]
        self.layers = nn.Sequential(*parts, nn.Linear(widths[-1], bins))

    def forward(self, values: Tensor) -> Tensor:
        """(M, F) -> (M, V)."""
        return self.layers(values)

    def without_learning(self, values: Tensor) -> Tensor:
        """The same, whose gradient goes to ``values`` alone.

        Parameters have zero gradients rather than none: an optimizer with momentum then does the
        same on one rank and on several, where a gradient that is not there counts as zero.
        """
        fixed = {name: part.detach() for name, part in self.named_parameters()}
        logits: Tensor = torch.func.functional_call(self, fixed, (values,))
        return logits + 0 * sum(part.sum() for part in self.parameters())
