"""Secondary vertices: decays of hadrons, conversions, and tracks that cross by chance."""

from __future__ import annotations

import numpy as np

from weaver_tt.physics.angles import delta_r
from weaver_tt.physics.four_momentum import pt_eta_phi
from weaver_tt.samples.simulate.candidates import SecondaryVertices, no_vertices
from weaver_tt.samples.simulate.columnar import joined
from weaver_tt.samples.simulate.detector.tracker import Tracks
from weaver_tt.samples.simulate.generator import Floats, Integers
from weaver_tt.samples.simulate.processes import SampleSettings
from weaver_tt.samples.simulate.sums import sum_by_group

# which tracks are looked at, and which vertices are kept, mm
LARGEST_DZ = 3.0
SMALLEST_RADIUS = 0.1
SAME_PLACE = 1e-3  # tracks whose true origins differ by less come from one vertex

# error of the distance to the primary vertex: mm for two tracks, less by 1 / sqrt(tracks) for
# more, and a share of it
DISTANCE_ERROR = (0.15, 0.02)
SIGNIFICANCE = 3.0  # smallest distance over its error
FOUND = 0.85  # share of these vertices that are found

# tracks may cross by chance if their impact parameters are so many errors, and their directions
# are so near in (eta, phi); the share of such pairs that do
DISPLACED = 3.0
CROSSING_DISTANCE = 0.1
CROSSING = 0.05


def secondary_vertices(
    event: Integers,
    origin: Floats,
    tracks: Tracks,
    momentum: Floats,
    sample: SampleSettings,
    rng: np.random.Generator,
) -> SecondaryVertices:
    """Vertices of at least two tracks away from the primary one.

    ``event`` (T,), ``origin`` (3, T) where the particles of the tracks are made, and their
    ``momentum`` (4, T).
    """
    is_near = np.abs(tracks.dz) < LARGEST_DZ
    is_away = np.hypot(*origin[:2]) > SMALLEST_RADIUS
    displaced = np.flatnonzero(is_near & is_away)
    vertex = common_origins(event[displaced], origin[:, displaced])
    is_shared = np.bincount(vertex)[vertex] > 1 if len(vertex) else np.empty(0, bool)
    shared = displaced[is_shared]
    real = real_vertices(
        event[shared], origin[:, shared], vertex[is_shared], momentum[:, shared], sample, rng
    )
    if not sample.simulates("fake-vertices"):
        return real
    is_single = is_near & (np.abs(tracks.dxy) > DISPLACED * tracks.dxy_error)
    is_single[shared] = False
    single = np.flatnonzero(is_single)
    fake = crossing_tracks(event[single], momentum[:, single], np.abs(tracks.dxy[single]), rng)
    vertices = joined(real, fake)
    return vertices[np.argsort(vertices.event, kind="stable")]


def common_origins(event: Integers, origin: Floats) -> Integers:
    """(T,) numbers of the vertices of tracks: equal for those from one place of one event."""
    place = np.round(origin / SAME_PLACE)
    _, vertex = np.unique(np.vstack([event, place]), axis=1, return_inverse=True)
    return vertex.ravel()


def real_vertices(
    event: Integers,
    origin: Floats,
    vertex: Integers,
    momentum: Floats,
    sample: SampleSettings,
    rng: np.random.Generator,
) -> SecondaryVertices:
    """What is found of the vertices with these tracks; ``vertex`` (T,) is that of each."""
    _, first, vertex = np.unique(vertex, return_index=True, return_inverse=True)
    number = len(first)
    tracks = np.bincount(vertex, minlength=number)
    distance = np.sqrt((origin[:, first] ** 2).sum(axis=0))
    error = distance_error(distance, tracks)
    pull = rng.standard_normal(number)
    chance = rng.random(number)
    if sample.simulates("fake-vertices"):
        distance = distance + error * pull
        is_found = (chance < FOUND) & (distance > SIGNIFICANCE * error)
    else:
        is_found = np.ones(number, bool)
    sums = np.stack([sum_by_group(vertex, component, number) for component in momentum])
    return SecondaryVertices(
        event=event[first][is_found],
        momentum=sums[:, is_found],
        distance=distance[is_found],
        distance_error=error[is_found],
        tracks=tracks[is_found],
    )


def distance_error(distance: Floats, tracks: Integers) -> Floats:
    """(V,) standard deviation in mm of the distance of vertices."""
    constant, relative = DISTANCE_ERROR
    return np.hypot(constant * np.sqrt(2 / tracks), relative * distance)


def crossing_tracks(
    event: Integers, momentum: Floats, dxy: Floats, rng: np.random.Generator
) -> SecondaryVertices:
    """Vertices where displaced tracks of ``momentum`` (4, S) seem to cross: some neighbours in phi.

    They seem to be where an impact parameter of ``dxy`` would be at the angle between the tracks.
    """
    if len(event) < 2:
        return no_vertices()
    _, eta, phi = pt_eta_phi(*momentum[:3])
    order = np.lexsort((phi, event))
    one = order[:-1]
    two = order[1:]
    distance = delta_r(eta[one], phi[one], eta[two], phi[two])
    crosses = (event[one] == event[two]) & (distance < CROSSING_DISTANCE)
    crosses &= rng.random(len(one)) < CROSSING
    one = one[crosses]
    two = two[crosses]
    flight = (dxy[one] + dxy[two]) / np.maximum(distance[crosses], 0.01)
    tracks = np.full(len(one), 2)
    return SecondaryVertices(
        event=event[one],
        momentum=momentum[:, one] + momentum[:, two],
        distance=flight,
        distance_error=distance_error(flight, tracks),
        tracks=tracks,
    )
