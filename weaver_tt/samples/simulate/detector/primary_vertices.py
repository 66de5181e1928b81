"""Primary vertices along the beam, and to which of them a track belongs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weaver_tt.samples.simulate.candidates import DISPLACED, FITTED, OTHER
from weaver_tt.samples.simulate.columnar import Columnar
from weaver_tt.samples.simulate.detector.tracker import Tracks
from weaver_tt.samples.simulate.generator import Floats, Integers

COMPATIBLE = 3.0  # errors of the impact parameters of a track that belongs to a vertex
FEWEST_TRACKS = 3  # of a vertex that is found
NEAR = 3.0  # mm along the beam: tracks that may come from decays after the hard collision
MERGED = 0.5  # mm: vertices nearer to the hard one are not told apart. arXiv:1405.6569

APART = 1e5  # mm between events on one line


@dataclass(slots=True, kw_only=True)
class Collisions(Columnar):
    """K further collisions of all events: where they are along the beam, in mm."""

    event: Integers  # (K,)
    number: Integers  # (K,) 1, 2, ... in the event
    z: Floats  # (K,)


def no_collisions() -> Collisions:
    """Events with the hard collision alone."""
    nothing = np.empty(0, np.int64)
    return Collisions(event=nothing, number=nothing, z=np.empty(0))


def found_vertices(collisions: Collisions, event: Integers, collision: Integers) -> np.ndarray:
    """(K,) whether the vertex of a further collision is found.

    ``event`` and ``collision`` (T,) say where each track comes from.
    """
    most = int(max(collision.max(initial=0), collisions.number.max(initial=0))) + 1
    events = int(max(event.max(initial=0), collisions.event.max(initial=0))) + 1
    tracks = np.bincount(event * most + collision, minlength=events * most)
    number = tracks[collisions.event * most + collisions.number]
    return (number >= FEWEST_TRACKS) & (np.abs(collisions.z) > MERGED)


def belongs_to_pileup(event: Integers, tracks: Tracks, vertices: Collisions) -> np.ndarray:
    """(T,) whether a track belongs to one of the further ``vertices`` of its ``event``.

    It is the nearest along the beam, nearer than the hard one, and within three errors.
    """
    distance = nearest_distance(event, tracks.dz, vertices)
    return (distance < np.abs(tracks.dz)) & (distance < COMPATIBLE * tracks.dz_error)


def nearest_distance(event: Integers, z: Floats, vertices: Collisions) -> Floats:
    """(T,) distance along the beam to the nearest of the vertices of the ``event``."""
    # all events one after another on one line, far apart
    order = np.lexsort((vertices.z, vertices.event))
    places = np.concatenate(
        [[-np.inf], vertices.event[order] * APART + vertices.z[order], [np.inf]]
    )
    own = event * APART + z
    after = np.searchsorted(places, own)
    return np.minimum(own - places[after - 1], places[after] - own)


def vertex_quality(tracks: Tracks) -> Integers:
    """(T,) how well tracks fit to the hard vertex: 7 on it, 4 displaced from it, 1 elsewhere."""
    along = np.abs(tracks.dz) < COMPATIBLE * tracks.dz_error
    across = np.abs(tracks.dxy) < COMPATIBLE * tracks.dxy_error
    is_near = np.abs(tracks.dz) < NEAR
    quality = np.where(is_near, DISPLACED, OTHER)
    return np.where(along & across, FITTED, quality)
