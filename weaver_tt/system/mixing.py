"""Random numbers that are functions of whole numbers: the same in any order, on any machine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

UnsignedIntegers = npt.NDArray[np.uint64]

STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: far steps for neighbouring numbers


def mix_bits(numbers: UnsignedIntegers) -> UnsignedIntegers:
    """Numbers in which every bit depends on every bit of ``numbers``: the finalizer of splitmix64.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    mixed = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
