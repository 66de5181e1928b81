"""Small building blocks of several networks; features are in the last dimension."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


def mlp(sizes: Sequence[int], last: nn.Module | None = None) -> nn.Sequential:
    """Linear layers ``sizes[0] -> sizes[1] -> …`` with ReLU between them, then ``last``."""
    layers: list[nn.Module] = []
    for d_in, d_out in pairwise(sizes):
        layers += [nn.Linear(d_in, d_out), nn.ReLU(inplace=True)]
    # no ReLU on the output
    layers.pop()
    if last is not None:
        layers.append(last)
    return nn.Sequential(*layers)


def unit_length(values: Tensor) -> Tensor:
    """(…, C) scaled to Euclidean norm 1 in the last dimension.

    The zero vector stays zero and has a finite gradient.
    """
    # squares of half-precision numbers overflow
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    square = values.square().sum(-1, keepdim=True)  # (…, 1)
    # far below any length that occurs, and large enough for float32 gradients at zero
    return values * (square + 1e-12).rsqrt()


# standard deviation of a normal distribution of width 1 that is cut off at 2
TRUNCATED_WIDTH = 0.87962566


def init_he_normal(module: nn.Module) -> None:
    """Draw the weights of all linear layers and convolutions in ``module`` anew; biases are 0.

    Normal with standard deviation sqrt(2 / inputs), without what is beyond two widths.

    Source: K. He et al., arXiv:1502.01852.
    """
    for layer in module.modules():
        if not isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            continue
        width = math.sqrt(2 / layer.weight[0].numel()) / TRUNCATED_WIDTH
        nn.init.trunc_normal_(layer.weight, std=width, a=-2 * width, b=2 * width)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class PointwiseLinear(nn.Conv1d):
    """A convolution with a kernel of 1, computed as the matrix product that it is.

    The weight is (H, C, 1), as in files of trained networks.
    """

    def __init__(self, d_in: int, d_out: int, bias: bool = True) -> None:
        super().__init__(d_in, d_out, kernel_size=1, bias=bias)

    def forward(self, values: Tensor) -> Tensor:
        """(…, C) -> (…, H)."""
        return functional.linear(values, self.weight.squeeze(2), self.bias)


class PointwiseLinear2d(nn.Conv2d):
    """As :class:`PointwiseLinear`, for a weight (H, C, 1, 1) and without bias."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__(d_in, d_out, kernel_size=1, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """(…, C) -> (…, H)."""
        return functional.linear(values, self.weight.flatten(1))
