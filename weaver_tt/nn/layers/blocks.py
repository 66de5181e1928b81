"""Small pieces that several networks are made of; features are the last dimension."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


def mlp(sizes: Sequence[int], last: nn.Module | None = None) -> nn.Sequential:
    """Linear layers ``sizes[0] -> sizes[1] -> …`` with ReLU between them, and ``last`` after the last of them."""
    layers: list[nn.Module] = []
    for d_in, d_out in pairwise(sizes):
        layers += [nn.Linear(d_in, d_out), nn.ReLU(inplace=True)]
    layers.pop()
    return nn.Sequential(*layers) if last is None else nn.Sequential(*layers, last)


def unit_length(values: Tensor) -> Tensor:
    """(…, C) scaled to Euclidean norm 1 in the last dimension; the zero vector stays zero and has a finite gradient."""
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    # far below any length that occurs, and large enough for float32 gradients at zero
    return values * (values.square().sum(-1, keepdim=True) + 1e-12).rsqrt()


class PointwiseLinear(nn.Conv1d):
    """A convolution with a kernel of 1, weight (H, C, 1), as the matrix product that it is: (…, C) -> (…, H)."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__(d_in, d_out, kernel_size=1)

    def forward(self, values: Tensor) -> Tensor:
        """(…, C) -> (…, H)."""
        return functional.linear(values, self.weight.squeeze(2), self.bias)
