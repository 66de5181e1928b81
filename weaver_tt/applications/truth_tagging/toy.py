"""Toy events whose tagging efficiencies are known.

N events of J = ``MOST_JETS`` padded jets, leading in pT first. All numbers of the model stand at
the top of this file; angles in radians, pT and mass in GeV. Values are rounded to float32, as they
are stored, before efficiencies are computed: ``jet_eff_true`` is the efficiency of the stored jet.
Pseudo-data are such events with another efficiency (``distortion.py``).

Source: Di Bello et al., arXiv:2004.02665, section 3 and Appendix A.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.applications.truth_tagging.distortion import Distortion
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.formats.writers import open_writer
from weaver_tt.physics.angles import delta_r, wrap_phi
from weaver_tt.physics.four_momentum import energy_from_mass, pt_eta_phi, px_py_pz
from weaver_tt.physics.particles import BOTTOM, CHARM, FLAVOURS, LIGHT, flavour_index

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]
Kind = Literal["multijet", "boosted"]

# events made at once: bounds the memory, and is part of the sequence that a seed gives
CHUNK = 200_000
CLUSTER = 50_000  # events of a cluster in the file: what a reader decodes at once

# flavours in the order of every table below: light, c, b
CODES = np.array([LIGHT, CHARM, BOTTOM], np.int32)

MOST_JETS = 8
EXTRA_JETS = 1.2  # mean of the exponential whose whole part is added to two jets
PT_RANGE = (20.0, 600.0)
PT_PEAK = 20.0
PT_WIDTH = 200.0
ETA_LIMIT = 2.0
ETA_WIDTH = 0.5
DR_RANGE = (0.4, 3.5)
JET_MASS = 2.0
FLAVOUR_SHARES = (0.5, 0.2, 0.3)

BOSON_MASS = 90.0
BOSON_WIDTH = 10.0
BOSON_PT = 200.0  # mean of the exponential
BOSON_FLAVOUR_SHARES = (1 / 3, 1 / 3, 1 / 3)

PEAK = np.array([0.02, 0.20, 0.75])  # a of the efficiency, by flavour
PT_CENTER = np.array([250.0, 200.0, 180.0])  # m
PT_SPREAD = np.array([250.0, 220.0, 260.0])  # s
ETA_SPREAD = np.array([1.8, 1.6, 1.7])  # w
# A[own, neighbour]
NEIGHBOUR = np.array(
    [
        [0.30, 0.80, 1.50],
        [-0.15, -0.25, -0.35],
        [-0.20, -0.30, -0.45],
    ]
)
NEIGHBOUR_RANGE = 0.5
EFFICIENCY_RANGE = (1e-4, 0.98)

# float32(pi) itself lies beyond pi
LARGEST_PHI = np.nextafter(np.float32(np.pi), np.float32(0))


@dataclass(slots=True)
class ToyJets:
    """Padded jets of N events.

    ``pt``, ``eta``, ``phi`` float32 (N, J), ``flavour`` int32 (N, J), ``real`` bool (N, J).
    """

    pt: Floats
    eta: Floats
    phi: Floats
    flavour: Integers
    real: Bools


def generate_toy(
    events: int, seed: int, kind: Kind = "multijet", distortion: Distortion | None = None
) -> ak.Array:
    """``events`` toy events as one record array: jagged ``jet_*`` columns and ``event_number``.

    All of them in memory; :func:`toy_chunks` bounds it.
    """
    return ak.concatenate(list(toy_chunks(events, seed, kind, distortion)))


def toy_chunks(
    events: int, seed: int, kind: Kind = "multijet", distortion: Distortion | None = None
) -> Iterator[ak.Array]:
    """The same events in chunks of at most ``CHUNK``.

    Columns: ``jet_pt jet_eta jet_phi jet_mass jet_delta_r jet_eff_true`` float32, ``jet_flavour``
    int32 (5, 4, 0), ``jet_istag`` bool, each ``var`` an event; ``event_number`` int64, from 0.
    With a ``distortion`` they are pseudo-data: ``jet_eff_true`` is the efficiency that their tags
    are drawn with, ``jet_sf_true`` that over the efficiency in simulation.

    Raises:
        ConfigError: an unknown ``kind``, or fewer than one event.
        DataError: a scale factor is not above 0.
    """
    kinds = get_args(Kind)
    if kind not in kinds:
        raise ConfigError(f"toy: no kind of events is called {kind!r}; {nearest(kind, kinds)}")
    if events < 1:
        raise ConfigError(f"toy: events must be at least 1, got {events}")
    make_jets = multijet if kind == "multijet" else boosted
    shares: Sequence[float] = FLAVOUR_SHARES if kind == "multijet" else BOSON_FLAVOUR_SHARES
    if distortion is not None and distortion.shares is not None:
        shares = tuple(distortion.shares[FLAVOURS[place]] for place in flavour_index(CODES))
    for number, first in enumerate(range(0, events, CHUNK)):
        # each chunk has random numbers of its own
        rng = np.random.default_rng([seed, number])
        jets = make_jets(min(CHUNK, events - first), rng, shares)
        yield _records(jets, first, rng, distortion)


def write_toy(
    path: str,
    events: int,
    seed: int,
    kind: Kind = "multijet",
    distortion: Distortion | None = None,
) -> None:
    """Write the events to ``path``: tree ``tree`` of a .root file, or .parquet.

    Raises:
        OutputError: writing fails; no file is left behind.
    """
    with open_writer(path) as writer:
        for chunk in toy_chunks(events, seed, kind, distortion):
            # small clusters, which readers can shuffle
            for first in range(0, len(chunk), CLUSTER):
                cluster = chunk[first : first + CLUSTER]
                writer.write({name: cluster[name] for name in cluster.fields})


def multijet(
    events: int, rng: np.random.Generator, shares: Sequence[float] = FLAVOUR_SHARES
) -> ToyJets:
    """Events of 2 + floor(Exp(1.2)) jets, 8 at most (more are set to 8), around a leading jet.

    Source: arXiv:2004.02665, Appendix A.
    """
    extra_jets = np.floor(rng.exponential(EXTRA_JETS, events)).astype(int)
    counts = np.minimum(2 + extra_jets, MOST_JETS)
    real = np.arange(MOST_JETS) < counts[:, None]  # (N, J)
    pt = _truncated_gaussian(real.shape, PT_PEAK, PT_WIDTH, PT_RANGE, rng)
    pt = np.where(real, pt, 0).astype(np.float32)
    # leading first, padding last
    pt = -np.sort(-pt, axis=1)
    eta_range = (-ETA_LIMIT, ETA_LIMIT)
    leading_eta = _truncated_gaussian((events, 1), 0.0, ETA_WIDTH, eta_range, rng)
    leading_eta = np.broadcast_to(leading_eta, (events, MOST_JETS))
    eta, turn = _place_around(leading_eta, real, rng)
    leading_phi = rng.uniform(-np.pi, np.pi, (events, 1))
    phi = _wrap_float32(leading_phi + turn)
    flavour = rng.choice(CODES, real.shape, p=shares)
    return ToyJets(pt, eta, phi, flavour, real)


def boosted(
    events: int, rng: np.random.Generator, shares: Sequence[float] = BOSON_FLAVOUR_SHARES
) -> ToyJets:
    """A scalar that decays isotropically to two jets of one flavour.

    Mass Gaussian(90, 10) GeV, pT Exp(200) GeV, eta Gaussian(0, 0.5). Decays are drawn anew until
    both jets lie where multijet events have jets: pT in [20, 600] GeV, |eta| < 2, dR in [0.4, 3.5].
    """
    parts: list[Floats] = []
    missing = events
    while missing > 0:
        # three of four pass, so that one round nearly always suffices
        decays = _decays(2 * missing + 100, rng)  # (3, n, 2): pt, eta, phi
        kept = decays[:, _is_in_acceptance(*decays)][:, :missing]
        parts.append(kept)
        missing -= kept.shape[1]
    jets = np.concatenate(parts, axis=1)  # (3, N, 2)
    leading_first = np.argsort(-jets[0], axis=1, kind="stable")[None]  # (1, N, 2)
    pt, eta, phi = np.take_along_axis(jets, leading_first, axis=2)
    one_each = rng.choice(CODES, (events, 1), p=shares)
    flavour = np.repeat(one_each, 2, axis=1)
    return ToyJets(pt, eta, phi, flavour, np.ones(flavour.shape, bool))


def _is_in_acceptance(pt: Floats, eta: Floats, phi: Floats) -> Bools:
    """(n,) whether both jets (n, 2) lie where multijet events have jets."""
    low, high = PT_RANGE
    in_pt = (pt >= low) & (pt <= high)
    in_eta = np.abs(eta) < ETA_LIMIT
    closest, farthest = DR_RANGE
    distance = delta_r(eta[:, 0], phi[:, 0], eta[:, 1], phi[:, 1])
    in_distance = (distance >= closest) & (distance <= farthest)
    return (in_pt & in_eta).all(axis=1) & in_distance


def true_efficiency(jets: ToyJets) -> Floats:
    """The efficiency of each jet, float64 (N, J); padding holds anything.

    a exp(-((pT-m)/s)^2/2 - (eta/w)^2/2), times the product over the event's other jets of
    1 + A exp(-(dR/0.5)^2/2), clipped to [1e-4, 0.98].

    Source: arXiv:2004.02665, Eq. 2, with numbers of our own for its Fig. 3.
    """
    own = np.searchsorted(CODES, jets.flavour)  # (N, J): 0, 1, 2
    pt = jets.pt.astype(np.float64)
    eta = jets.eta.astype(np.float64)
    phi = jets.phi.astype(np.float64)
    pt_pull = (pt - PT_CENTER[own]) / PT_SPREAD[own]
    eta_pull = eta / ETA_SPREAD[own]
    efficiency = PEAK[own] * np.exp(-0.5 * (pt_pull**2 + eta_pull**2))
    # one neighbour at a time, which needs no (N, J, J) in memory
    for number in range(pt.shape[1]):
        other = [number]
        distance = delta_r(eta, phi, eta[:, other], phi[:, other])  # (N, J)
        closeness = np.exp(-0.5 * (distance / NEIGHBOUR_RANGE) ** 2)
        factor = 1 + NEIGHBOUR[own, own[:, other]] * closeness
        is_other = np.arange(pt.shape[1]) != number
        efficiency *= np.where(jets.real[:, other] & is_other, factor, 1)
    return np.clip(efficiency, *EFFICIENCY_RANGE)


def nearest_jet_distance(jets: ToyJets) -> Floats:
    """Distance of each jet to the nearest other one of its event, float64 (N, J).

    Padding holds anything.
    """
    eta = jets.eta.astype(np.float64)
    phi = jets.phi.astype(np.float64)
    closest = np.full(eta.shape, np.inf)
    for number in range(eta.shape[1]):
        other = [number]
        distance = delta_r(eta, phi, eta[:, other], phi[:, other])  # (N, J)
        is_other = np.arange(eta.shape[1]) != number
        closest = np.where(jets.real[:, other] & is_other, np.minimum(closest, distance), closest)
    return closest


def distorted_efficiency(
    jets: ToyJets, efficiency: Floats, distance: Floats, distortion: Distortion
) -> Floats:
    """The efficiency (N, J) in pseudo-data; padding holds anything.

    From that in simulation and the distance to the nearest jet, (N, J) both. It is kept within
    the same range, so that a scale factor may be nearer to 1 than it was asked to be.
    """
    real = jets.real
    count = np.broadcast_to(real.sum(axis=1, keepdims=True), real.shape)
    padded = {"pt": jets.pt, "eta": jets.eta, "phi": jets.phi, "delta_r": distance, "jets": count}
    variables = {name: values[real].astype(np.float64) for name, values in padded.items()}
    distorted = efficiency.copy()
    distorted[real] *= distortion.scale_factors(variables, jets.flavour[real])
    return np.clip(distorted, *EFFICIENCY_RANGE)


def _records(
    jets: ToyJets, first: int, rng: np.random.Generator, distortion: Distortion | None
) -> ak.Array:
    """The events as they are written, numbered from ``first``; tags are drawn here."""
    in_simulation = true_efficiency(jets)
    distance = nearest_jet_distance(jets)
    efficiency = in_simulation
    if distortion is not None:
        efficiency = distorted_efficiency(jets, in_simulation, distance, distortion)
    padded = {
        "jet_pt": jets.pt,
        "jet_eta": jets.eta,
        "jet_phi": jets.phi,
        "jet_mass": np.full(jets.pt.shape, JET_MASS, np.float32),
        "jet_delta_r": distance.astype(np.float32),
        "jet_flavour": jets.flavour,
        "jet_istag": rng.random(efficiency.shape) < efficiency,
        "jet_eff_true": efficiency.astype(np.float32),
    }
    if distortion is not None:
        padded["jet_sf_true"] = (efficiency / in_simulation).astype(np.float32)
    counts = jets.real.sum(axis=1)
    columns = {}
    for name, values in padded.items():
        columns[name] = ak.unflatten(values[jets.real], counts)
    numbers = np.arange(first, first + len(counts), dtype=np.int64)
    columns["event_number"] = ak.Array(numbers)
    return ak.zip(columns, depth_limit=1)


def _truncated_gaussian(
    shape: tuple[int, ...],
    mean: float,
    width: float,
    limits: tuple[float, float],
    rng: np.random.Generator,
) -> Floats:
    """Gaussian numbers strictly between two limits, once rounded to float32.

    Those outside are drawn anew, which gives the truncated distribution exactly.
    """
    low, high = limits
    values = rng.normal(mean, width, shape).astype(np.float32)
    outside = (values <= low) | (values >= high)
    while outside.any():
        values[outside] = rng.normal(mean, width, int(outside.sum()))
        outside = (values <= low) | (values >= high)
    return values


def _place_around(leading: Floats, real: Bools, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Eta (N, J), and distance in phi from the leading jet (N, J), given the leading jet's eta.

    sqrt(dR) is uniform and kept; the direction is uniform among those with |eta| < 2 and
    |dPhi| < pi (drawn anew until there), so that the stored jets have exactly the drawn distances.
    There always is such a direction, as dR < 3.5.
    """
    eta = leading.astype(np.float32)
    turn = np.zeros(eta.shape)
    is_other = real & (np.arange(real.shape[1]) > 0)
    # jets that still have no direction: (K,) each
    row, jet = np.nonzero(is_other)
    low, high = np.sqrt(DR_RANGE)
    distance = rng.uniform(low, high, len(row)) ** 2
    while len(row):
        direction = rng.uniform(-np.pi, np.pi, len(row))
        drawn_eta = leading[row, jet] + distance * np.sin(direction)
        drawn_eta = drawn_eta.astype(np.float32)
        drawn_turn = distance * np.cos(direction)
        good = (np.abs(drawn_eta) < ETA_LIMIT) & (np.abs(drawn_turn) < np.pi)
        eta[row[good], jet[good]] = drawn_eta[good]
        turn[row[good], jet[good]] = drawn_turn[good]
        row = row[~good]
        jet = jet[~good]
        distance = distance[~good]
    return eta, turn


def _decays(events: int, rng: np.random.Generator) -> Floats:
    """Two-body decays of the scalar, float32 (3, events, 2): pt, eta, phi of the two jets."""
    mass = rng.normal(BOSON_MASS, BOSON_WIDTH, events)
    pt = rng.exponential(BOSON_PT, events)
    phi = rng.uniform(-np.pi, np.pi, events)
    eta = rng.normal(0, ETA_WIDTH, events)
    boson = np.stack(px_py_pz(pt, eta, phi))  # (3, events)
    energy = energy_from_mass(mass, (boson**2).sum(axis=0))
    # the first jet in the rest frame; the second has the opposite momentum
    momentum = np.sqrt(mass**2 / 4 - JET_MASS**2)
    rest = momentum * _isotropic_directions(events, rng)  # (3, events)
    # Lorentz boost: p' = p + P (P.p / (E + m) + e) / m, with e = m / 2 for both jets
    along = (boson * rest).sum(axis=0) / (energy + mass)
    first = rest + boson * (along + mass / 2) / mass
    second = -rest + boson * (-along + mass / 2) / mass
    jets = np.stack([first, second], axis=-1)  # (3, events, 2)
    jet_pt, jet_eta, jet_phi = pt_eta_phi(*jets)
    jet_phi = np.clip(jet_phi, -LARGEST_PHI, LARGEST_PHI)
    return np.stack([jet_pt, jet_eta, jet_phi]).astype(np.float32)


def _isotropic_directions(number: int, rng: np.random.Generator) -> Floats:
    """Unit vectors (3, number)."""
    cosine = rng.uniform(-1, 1, number)
    azimuth = rng.uniform(-np.pi, np.pi, number)
    sine = np.sqrt(1 - cosine**2)
    x = sine * np.cos(azimuth)
    y = sine * np.sin(azimuth)
    return np.stack([x, y, cosine])


def _wrap_float32(phi: Floats) -> Floats:
    """Angles brought into [-pi, pi), float32."""
    wrapped = np.clip(wrap_phi(phi), -LARGEST_PHI, LARGEST_PHI)
    return wrapped.astype(np.float32)
