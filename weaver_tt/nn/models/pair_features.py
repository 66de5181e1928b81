"""Features of pairs of particles from their four-vectors: the Particle Transformer's interactions.

Source: arXiv:2202.03772, Eqs. 3-4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from weaver_tt.errors import ConfigError
from weaver_tt.nn.objects.sharing import made_once
from weaver_tt.physics.angles import wrap_phi

FEATURES = {
    0: (),
    1: ("ln ΔR",),
    3: ("ln kT", "ln z", "ln ΔR"),
    4: ("ln kT", "ln z", "ln ΔR", "ln m²"),
}
MIN_ARGUMENT = 1e-8  # the smallest value that a logarithm is taken of
TINY = 1e-30


def check_number(number: int, where: str) -> None:
    """Check that there is a set of ``number`` pair features.

    Raises:
        ConfigError: there is none; ``where`` says which option asked for it.
    """
    if number in FEATURES:
        return
    sets = []
    for size, names in FEATURES.items():
        sets.append(f"{size}: {', '.join(names) or 'none'}")
    raise ConfigError(f"{where}: {number!r} pair features; expected {'; '.join(sets)}")


def pair_features(vectors: Tensor, first: Tensor, second: Tensor, number: int = 4) -> Tensor:
    """Features (E, number) of pairs, in the order of ``FEATURES``.

    From four-vectors (M, 4) px, py, pz, E and the objects a and b of each pair, ``first`` and
    ``second`` (E,). With ΔR² = Δy² + Δφ² (rapidity y), kT = min(pT_a, pT_b) ΔR,
    z = min(pT_a, pT_b) / (pT_a + pT_b) and m² = (E_a + E_b)² - |p_a + p_b|²; all are symmetric, and
    logarithms are taken of at least 1e-8. Values and gradients are finite for any finite vectors,
    equal and zero ones included.
    """
    px, py, pz, energy = vectors.unbind(1)  # (M,) each
    pt2 = px * px + py * py
    # the operations and their order are those of weaver-core: differences of neighbours are so
    # small that rounding shows in their logarithm
    rapidity = 0.5 * torch.log((1 + 2 * pz / (energy - pz).clamp(min=1e-20)).clamp(min=TINY))
    d_y = _pair_difference(rapidity, first, second)  # (E,)
    d_phi = wrap_phi(_pair_difference(_azimuth(px, py), first, second))
    delta2 = d_y * d_y + d_phi * d_phi
    log_delta = 0.5 * torch.log(delta2.clamp(min=MIN_ARGUMENT**2))
    if number == 1:
        return log_delta.unsqueeze(1)

    pt2_a = pt2.index_select(0, first)
    pt2_b = pt2.index_select(0, second)
    smaller2 = torch.minimum(pt2_a, pt2_b)
    log_kt = 0.5 * torch.log((smaller2 * delta2).clamp(min=MIN_ARGUMENT**2))
    pt_sum = _safe_sqrt(pt2_a) + _safe_sqrt(pt2_b)
    z = _safe_sqrt(smaller2) / pt_sum.clamp(min=MIN_ARGUMENT)
    log_z = torch.log(z.clamp(min=MIN_ARGUMENT))
    if number == 3:
        return torch.stack((log_kt, log_z, log_delta), dim=1)

    sum_x = _pair_sum(px, first, second)
    sum_y = _pair_sum(py, first, second)
    sum_z = _pair_sum(pz, first, second)
    sum_e = _pair_sum(energy, first, second)
    mass2 = sum_e * sum_e - (sum_x * sum_x + sum_y * sum_y + sum_z * sum_z)
    log_mass2 = torch.log(mass2.clamp(min=MIN_ARGUMENT))
    return torch.stack((log_kt, log_z, log_delta, log_mass2), dim=1)


@made_once
def given_features(given: Tensor, slots: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Features (N, C, P, P) of all pairs of slots -> those of the listed pairs (E, C).

    ``slots`` (M,) are the objects' places among the N * P slots, ``first`` and ``second`` (E,) the
    objects of each pair.
    """
    length = given.shape[3]
    # the first object's slot says which row it is
    first_slot = slots.index_select(0, first)
    second_slot = slots.index_select(0, second)
    by_slots = given.permute(0, 2, 3, 1).flatten(0, 2)  # (N * P * P, C)
    return by_slots.index_select(0, first_slot * length + second_slot % length)


def polarization_angle(vectors: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Cosine (E,) of the angle between object b and the pair, in the pair's rest frame.

    b has the momentum there, the pair its own in the frame of ``vectors`` (M, 4) px, py, pz, E;
    ``first`` and ``second`` (E,) are the objects a and b of each pair. Numbers are at least 1e-8
    where they divide, so that a pair without momentum, or of light-like and parallel objects, has a
    finite angle.
    """
    other = vectors.index_select(0, second)  # (E, 4)
    pair = vectors.index_select(0, first) + other
    # the boost to the rest frame
    beta = -pair[:, :3] / pair[:, 3:].clamp(min=MIN_ARGUMENT)  # (E, 3)
    beta2 = beta.square().sum(1, keepdim=True)
    gamma = (1 - beta2).clamp(min=MIN_ARGUMENT) ** -0.5
    along = (other[:, :3] * beta).sum(1, keepdim=True)
    factor = torch.where(beta2 == 0, 0.0, (gamma - 1) / beta2)
    boosted = other[:, :3] + factor * along * beta + other[:, 3:] * gamma * beta
    return (_direction(boosted) * _direction(pair[:, :3])).sum(1)


def _direction(momenta: Tensor) -> Tensor:
    """(E, 3) of length 1; shorter below a length of 1e-8."""
    return momenta / momenta.norm(dim=1, keepdim=True).clamp(min=MIN_ARGUMENT)


def _pair_difference(values: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """(M,) -> (E,)."""
    return values.index_select(0, first) - values.index_select(0, second)


def _pair_sum(values: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """(M,) -> (E,)."""
    return values.index_select(0, first) + values.index_select(0, second)


def _azimuth(x: Tensor, y: Tensor) -> Tensor:
    """Azimuth, whose gradient is 0 (and not NaN) for a vector along the beam."""
    is_along_beam = (x == 0) & (y == 0)
    return torch.atan2(y, torch.where(is_along_beam, 1.0, x))


def _safe_sqrt(values: Tensor) -> Tensor:
    """Square root with gradient 0 at 0."""
    return torch.sqrt(values.clamp(min=TINY))
