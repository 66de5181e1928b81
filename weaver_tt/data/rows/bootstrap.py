"""Rows weighted at random, each member of an ensemble in its own way: the bootstrap.

To draw as many rows as there are, with replacement, gives each row a number of copies that is
nearly Poisson distributed with mean 1. As weights such numbers leave all members with the same
stream of rows.

Source: Chamandy, Muralidharan, Najmi, Naidu, "Estimating uncertainty for massive data streams",
2012.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.rows import Floats, Integers
from weaver_tt.system.mixing import STEP, mix_bits

# bits of a row's identity that count the rows of a file; those above count the files
ROW_BITS = 40
# more than any row is ever given: beyond, the probability is below 1e-17
MOST_COPIES = 17
# P(copies <= k), k = 0, 1, …
_AT_MOST = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(MOST_COPIES)])


def identify_rows(file: int, entries: Integers) -> Integers:
    """A number for each of the ``entries`` (R,) of a file that no other row of the data has."""
    return entries + (file << ROW_BITS)


def poisson_weights(identity: Integers, seed: int) -> Floats:
    """A number 0, 1, 2, … for each row, Poisson distributed with mean 1: (R,) -> (R,).

    A function of ``seed`` and the row alone: the same in every epoch, in any order, on any rank.
    """
    of_seed = mix_bits(np.full(1, seed, np.uint64) * STEP)
    # mixed twice: the numbers of two seeds have nothing to do with each other
    of_row = mix_bits(identity.astype(np.uint64) * STEP)
    mixed = mix_bits(of_row + of_seed)
    uniform = (mixed >> np.uint64(11)) * 2.0**-53  # in [0, 1)
    return np.searchsorted(_AT_MOST, uniform, side="right").astype(np.float32)


def with_poisson_weights(batch: Batch, seed: int) -> Batch:
    """The same batch, each row's weight multiplied by its :func:`poisson_weights`."""
    assert batch.identity is not None
    drawn = torch.from_numpy(poisson_weights(batch.identity, seed))  # (N,)
    device = next(iter(batch.inputs.values())).device
    weight = drawn.to(device, non_blocking=True)
    if batch.weight is not None:
        weight = weight * batch.weight
    return replace(batch, weight=weight)
