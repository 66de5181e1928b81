"""Impact parameters of tracks, smeared as a detector would."""

from __future__ import annotations

import numpy as np

from weaver_tt.physics.four_momentum import transverse_momentum
from weaver_tt.samples.simulate.generator import Floats

# standard deviations in mm: (asymptotic, times 1 / pT with pT in GeV), added in quadrature;
# those of a silicon tracker of the LHC experiments
D0_RESOLUTION = (0.015, 0.080)
DZ_RESOLUTION = (0.030, 0.120)


def impact_parameters(momentum: Floats, vertex: Floats) -> tuple[Floats, Floats]:
    """(d0, dz) in mm of tracks from the primary vertex at 0, (M,) each.

    From their momentum (4, M) and production vertex (3, M) in mm. The track is taken as a straight
    line. d0 = (x py - y px) / pT is signed as the track's angular momentum about the beam, dz is z
    where the track is closest to the beam.
    """
    px, py, pz, _ = momentum
    x, y, z = vertex
    pt = transverse_momentum(px, py)
    d0 = (x * py - y * px) / pt
    # from the vertex back along the track, to where it is closest to the beam
    dz = z - (x * px + y * py) * pz / pt**2
    return d0, dz


def resolution(pt: Floats, terms: tuple[float, float]) -> Floats:
    """Standard deviation in mm of tracks of ``pt`` GeV."""
    return np.hypot(terms[0], terms[1] / pt)


def track_columns(
    momentum: Floats, vertex: Floats, charged: np.ndarray, rng: np.random.Generator
) -> dict[str, Floats]:
    """``part_d0val part_d0err part_dzval part_dzerr`` in mm, each (M,).

    Smeared by the errors; 0 for neutral particles, as in JetClass.
    """
    pt = transverse_momentum(momentum[0], momentum[1])
    d0, dz = impact_parameters(momentum, vertex)
    columns = {}
    for name, value, terms in (("d0", d0, D0_RESOLUTION), ("dz", dz, DZ_RESOLUTION)):
        error = resolution(pt, terms)
        columns[f"part_{name}val"] = np.where(charged, rng.normal(value, error), 0)
        columns[f"part_{name}err"] = np.where(charged, error, 0)
    return columns
