"""How many particles X of a flat spectrum of masses have a jet that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weaver_tt.physics.four_momentum import invariant_mass, pt_eta_phi
from weaver_tt.samples.simulate.generator import Particles
from weaver_tt.samples.simulate.processes import SampleSettings
from weaver_tt.samples.simulate.truth import find_origins

BINS = 5  # of equal width in mass
NONE = (0,) * BINS


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Particles X with pT and eta in the window of jets, in bins of mass, and those that jets hold.

    Jets may also hold those that are outside of it; these are not counted.
    """

    generated: tuple[int, ...] = NONE
    held: tuple[int, ...] = NONE

    def __add__(self, other: Acceptance) -> Acceptance:
        return Acceptance(
            generated=_sums(self.generated, other.generated), held=_sums(self.held, other.held)
        )

    def text(self, sample: SampleSettings) -> str:
        """The share that jets hold, of all and in each bin of mass in GeV."""
        edges = mass_edges(sample)
        shares = [
            f"{low:.0f}-{high:.0f}: {_percent(held, generated)}"
            for low, high, held, generated in zip(
                edges[:-1], edges[1:], self.held, self.generated, strict=True
            )
        ]
        whole = _percent(sum(self.held), sum(self.generated))
        return f"{whole}; by mass in GeV, {', '.join(shares)}"


def acceptance_of(
    particles: Particles, columns: Mapping[str, Any], sample: SampleSettings
) -> Acceptance:
    """Of the particles X of some events, whose jets have ``columns``."""
    places = find_origins(particles, sample.kind).index
    momentum = particles.momentum[:, places]
    pt, eta, _ = pt_eta_phi(*momentum[:3])
    return Acceptance(
        generated=_by_mass(pt, eta, invariant_mass(*momentum), sample),
        held=_by_mass(
            columns["aux_genpart_pt"],
            columns["aux_genpart_eta"],
            columns["aux_genpart_mass"],
            sample,
        ),
    )


def mass_edges(sample: SampleSettings) -> np.ndarray:
    """(BINS + 1,) edges in GeV."""
    return np.linspace(*sample.masses, BINS + 1)


def _by_mass(
    pt: np.ndarray, eta: np.ndarray, mass: np.ndarray, sample: SampleSettings
) -> tuple[int, ...]:
    """How many of those in the window in pT and eta are in each bin of mass."""
    is_inside = (pt >= sample.pt_min) & (pt < sample.pt_max) & (np.abs(eta) < sample.eta_max)
    # the drawn mass is up to 0.05 GeV off, at either end of the window too
    inner_edges = mass_edges(sample)[1:-1]
    bins = np.searchsorted(inner_edges, mass[is_inside], side="right")
    return tuple(np.bincount(bins, minlength=BINS).tolist())


def _sums(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(left + right for left, right in zip(one, other, strict=True))


def _percent(held: int, generated: int) -> str:
    return f"{held / generated:.0%}" if generated else "none"
