"""Products of four-vectors that no Lorentz transformation changes.

Vectors are held as px, py, E + pz and E - pz. In single precision their products are then as
precise for a jet near the beam as for one across it: E E - pz pz would be a small difference of
large numbers. A tensor of V channels of vectors has 4 V numbers in its last dimension: px of all
channels, then the other components.
"""

from __future__ import annotations

import torch
from torch import Tensor


def to_light_cone(momenta: Tensor) -> Tensor:
    """px, py, pz, E of one vector each -> px, py, E + pz, E - pz: (…, 4) -> (…, 4)."""
    px, py, pz, energy = momenta.chunk(4, dim=-1)
    return torch.cat((px, py, energy + pz, energy - pz), dim=-1)


def product(first: Tensor, second: Tensor) -> Tensor:
    """E_a E_b - p_a . p_b, channel by channel: two (…, 4 V) that broadcast -> (…, V)."""
    px_a, py_a, plus_a, minus_a = first.chunk(4, dim=-1)
    px_b, py_b, plus_b, minus_b = second.chunk(4, dim=-1)
    return (plus_a * minus_b + minus_a * plus_b) / 2 - px_a * px_b - py_a * py_b


def square(vectors: Tensor) -> Tensor:
    """E^2 - p^2, below 0 for spacelike vectors: (…, 4 V) -> (…, V)."""
    px, py, plus, minus = vectors.chunk(4, dim=-1)
    return plus * minus - px * px - py * py


def signed_log(values: Tensor) -> Tensor:
    """sign(x) ln(1 + |x|), of any shape.

    It brings invariants over many orders of magnitude to numbers that a layer can take.
    """
    return values.sign() * torch.log1p(values.abs())


def scale(vectors: Tensor, factors: Tensor) -> Tensor:
    """Vectors times a number for each channel: (…, 4 V), (…, V) that broadcast -> (…, 4 V)."""
    return vectors * torch.cat([factors] * 4, dim=-1)


def in_units(momenta: Tensor, units: Tensor) -> Tensor:
    """One vector (…, 4) in each of the units (V,): (…, 4 V)."""
    return torch.cat([part * units for part in momenta.chunk(4, dim=-1)], dim=-1)


def mean_of_channels(vectors: Tensor) -> Tensor:
    """(…, 4 V) -> (…, 4)."""
    parts = vectors.chunk(4, dim=-1)
    return torch.cat([part.mean(dim=-1, keepdim=True) for part in parts], dim=-1)
