"""Toy events whose tagging efficiencies are known: section 3 and Appendix A of the truth-tagging paper (Di Bello et al., 2020).

N events of J = ``MOST_JETS`` padded jets, leading in pT first. All numbers of the model stand at the top of this file; angles in radians, pT and mass
in GeV. Values are rounded to float32, as they are stored, before efficiencies are computed: ``jet_eff_true`` is the efficiency of the stored jet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.formats.writers import open_writer
from weaver_tt.physics.angles import delta_r, wrap_phi
from weaver_tt.physics.four_momentum import energy_from_mass, pt_eta_phi, px_py_pz
from weaver_tt.physics.particles import BOTTOM, CHARM, LIGHT

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]
Kind = Literal["multijet", "boosted"]

CODES = np.array([LIGHT, CHARM, BOTTOM], np.int32)  # order of every table below: light, c, b

CHUNK = (
    200_000  # events made at once: bounds the memory, and is part of the sequence that a seed gives
)
CLUSTER = 50_000  # events of a cluster in the file: what a reader decodes at once

MOST_JETS = 8
EXTRA_JETS = 1.2  # mean of the exponential whose whole part is added to two jets
PT_RANGE, PT_PEAK, PT_WIDTH = (20.0, 600.0), 20.0, 200.0
ETA_LIMIT, ETA_WIDTH = 2.0, 0.5
DR_RANGE = (0.4, 3.5)
JET_MASS = 2.0
FLAVOUR_SHARES = (0.5, 0.2, 0.3)

BOSON_MASS, BOSON_WIDTH = 90.0, 10.0
BOSON_PT = 200.0  # mean of the exponential
BOSON_FLAVOUR_SHARES = (1 / 3, 1 / 3, 1 / 3)

PEAK = np.array([0.02, 0.20, 0.75])  # a of the efficiency, by flavour
PT_CENTER = np.array([250.0, 200.0, 180.0])  # m
PT_SPREAD = np.array([250.0, 220.0, 260.0])  # s
ETA_SPREAD = np.array([1.8, 1.6, 1.7])  # w
NEIGHBOUR = np.array(
    [[0.30, 0.80, 1.50], [-0.15, -0.25, -0.35], [-0.20, -0.30, -0.45]]
)  # A[own, neighbour]
NEIGHBOUR_RANGE = 0.5
EFFICIENCY_RANGE = (1e-4, 0.98)

LARGEST_PHI = np.nextafter(np.float32(np.pi), np.float32(0))  # float32(pi) itself lies beyond pi


@dataclass(slots=True)
class ToyJets:
    """Padded jets of N events: ``pt``, ``eta``, ``phi`` float32 (N, J), ``flavour`` int32 (N, J), ``real`` bool (N, J)."""

    pt: Floats
    eta: Floats
    phi: Floats
    flavour: Integers
    real: Bools


def generate_toy(events: int, seed: int, kind: Kind = "multijet") -> ak.Array:
    """``events`` toy events as one record array: jagged ``jet_*`` columns and ``event_number``; see :func:`toy_chunks` for the memory-bounded way."""
    return ak.concatenate(list(toy_chunks(events, seed, kind)))


def toy_chunks(events: int, seed: int, kind: Kind = "multijet") -> Iterator[ak.Array]:
    """The same events in pieces of at most ``CHUNK``.

    Columns: ``jet_pt jet_eta jet_phi jet_mass jet_eff_true`` float32, ``jet_flavour`` int32 (5, 4, 0), ``jet_istag`` bool, each ``var`` an event;
    ``event_number`` int64, from 0. Raises ConfigError for an unknown ``kind`` or fewer than one event.
    """
    if kind not in get_args(Kind):
        raise ConfigError(
            f"toy: no kind of events is called {kind!r}; {nearest(kind, get_args(Kind))}"
        )
    if events < 1:
        raise ConfigError(f"toy: events must be at least 1, got {events}")
    make = multijet if kind == "multijet" else boosted
    for number, first in enumerate(range(0, events, CHUNK)):
        rng = np.random.default_rng([seed, number])
        jets = make(min(CHUNK, events - first), rng)
        yield _records(jets, first, rng)


def write_toy(path: str, events: int, seed: int, kind: Kind = "multijet") -> None:
    """Write the events to ``path``: tree ``tree`` of a .root file, or .parquet. A failure is an OutputError and leaves no file behind."""
    with open_writer(path) as writer:
        for chunk in toy_chunks(events, seed, kind):
            # small pieces make small clusters, which readers can shuffle
            for first in range(0, len(chunk), CLUSTER):
                piece = chunk[first : first + CLUSTER]
                writer.write({name: piece[name] for name in piece.fields})


def multijet(events: int, rng: np.random.Generator) -> ToyJets:
    """Events of 2 + floor(Exp(1.2)) jets, 8 at most (more are set to 8), around a leading jet (Appendix A)."""
    counts = np.minimum(2 + np.floor(rng.exponential(EXTRA_JETS, events)).astype(int), MOST_JETS)
    real = np.arange(MOST_JETS) < counts[:, None]  # (N, J)
    pt = np.where(
        real, _truncated_gaussian(real.shape, PT_PEAK, PT_WIDTH, *PT_RANGE, rng), 0
    ).astype(np.float32)
    pt = -np.sort(-pt, axis=1)  # leading first, padding last
    leading = _truncated_gaussian((events, 1), 0.0, ETA_WIDTH, -ETA_LIMIT, ETA_LIMIT, rng)
    eta, around = _place_around(np.broadcast_to(leading, (events, MOST_JETS)), real, rng)
    phi = _wrap_float32(rng.uniform(-np.pi, np.pi, (events, 1)) + around)
    flavour = rng.choice(CODES, real.shape, p=FLAVOUR_SHARES)
    return ToyJets(pt, eta, phi, flavour, real)


def boosted(events: int, rng: np.random.Generator) -> ToyJets:
    """A scalar of mass Gaussian(90, 10) GeV, pT Exp(200) GeV, eta Gaussian(0, 0.5) decays isotropically to two jets of one flavour.

    Decays are drawn anew until both jets lie where multijet events have jets: pT in [20, 600] GeV, |eta| < 2, dR in [0.4, 3.5].
    """
    parts: list[Floats] = []
    missing = events
    while missing > 0:
        pair = _decays(2 * missing + 100, rng)  # (3, n, 2): pt, eta, phi
        distance = delta_r(pair[1, :, 0], pair[2, :, 0], pair[1, :, 1], pair[2, :, 1])
        good = (
            (pair[0] >= PT_RANGE[0]) & (pair[0] <= PT_RANGE[1]) & (np.abs(pair[1]) < ETA_LIMIT)
        ).all(axis=1)
        good &= (distance >= DR_RANGE[0]) & (distance <= DR_RANGE[1])
        parts.append(pair[:, good][:, :missing])
        missing -= parts[-1].shape[1]
    pair = np.concatenate(parts, axis=1)
    pair = np.take_along_axis(pair, np.argsort(-pair[0], axis=1)[None], axis=2)
    flavour = np.repeat(rng.choice(CODES, (events, 1), p=BOSON_FLAVOUR_SHARES), 2, axis=1)
    return ToyJets(pair[0], pair[1], pair[2], flavour, np.ones(flavour.shape, bool))


def true_efficiency(jets: ToyJets) -> Floats:
    """Eq. 2 with our Fig. 3: the efficiency of each jet, float64 (N, J); padding holds anything.

    a exp(-((pT-m)/s)^2/2 - (eta/w)^2/2), times the product over the event's other jets of 1 + A exp(-(dR/0.5)^2/2), clipped to [1e-4, 0.98].
    """
    own = np.searchsorted(CODES, jets.flavour)  # (N, J): 0, 1, 2
    pt, eta, phi = (values.astype(np.float64) for values in (jets.pt, jets.eta, jets.phi))
    efficiency = PEAK[own] * np.exp(
        -0.5 * (((pt - PT_CENTER[own]) / PT_SPREAD[own]) ** 2 + (eta / ETA_SPREAD[own]) ** 2)
    )
    for other in range(pt.shape[1]):
        close = np.exp(
            -0.5 * (delta_r(eta, phi, eta[:, [other]], phi[:, [other]]) / NEIGHBOUR_RANGE) ** 2
        )  # (N, J)
        factor = 1 + NEIGHBOUR[own, own[:, [other]]] * close
        counts = jets.real[:, [other]] & (np.arange(pt.shape[1]) != other)
        efficiency *= np.where(counts, factor, 1)
    return np.clip(efficiency, *EFFICIENCY_RANGE)


def _records(jets: ToyJets, first: int, rng: np.random.Generator) -> ak.Array:
    efficiency = true_efficiency(jets)
    columns = {
        "jet_pt": jets.pt,
        "jet_eta": jets.eta,
        "jet_phi": jets.phi,
        "jet_mass": np.full(jets.pt.shape, JET_MASS, np.float32),
        "jet_flavour": jets.flavour,
        "jet_istag": rng.random(efficiency.shape) < efficiency,
        "jet_eff_true": efficiency.astype(np.float32),
    }
    counts = jets.real.sum(axis=1)
    record = {name: ak.unflatten(values[jets.real], counts) for name, values in columns.items()}
    record["event_number"] = ak.Array(np.arange(first, first + len(counts), dtype=np.int64))
    return ak.zip(record, depth_limit=1)


def _truncated_gaussian(
    shape: tuple[int, ...],
    mean: float,
    width: float,
    low: float,
    high: float,
    rng: np.random.Generator,
) -> Floats:
    """Gaussian numbers strictly above ``low`` and below ``high`` once rounded to float32; those outside are drawn anew, which is exact."""
    values = rng.normal(mean, width, shape).astype(np.float32)
    outside = (values <= low) | (values >= high)
    while outside.any():
        values[outside] = rng.normal(mean, width, int(outside.sum()))
        outside = (values <= low) | (values >= high)
    return values


def _place_around(leading: Floats, real: Bools, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Eta (N, J) and distance in phi from the leading jet (N, J), given the leading jet's eta (N, J).

    sqrt(dR) is uniform and kept; the direction is uniform among those with |eta| < 2 and |dPhi| < pi (drawn anew until there), so that the
    stored jets have exactly the drawn distances. There always is such a direction, as dR < 3.5.
    """
    eta = leading.astype(np.float32)
    around = np.zeros(eta.shape)
    row, jet = np.nonzero(real & (np.arange(real.shape[1]) > 0))
    distance = rng.uniform(DR_RANGE[0] ** 0.5, DR_RANGE[1] ** 0.5, len(row)) ** 2
    while len(row):
        direction = rng.uniform(-np.pi, np.pi, len(row))
        drawn = (leading[row, jet] + distance * np.sin(direction)).astype(np.float32)
        turn = distance * np.cos(direction)
        good = (np.abs(drawn) < ETA_LIMIT) & (np.abs(turn) < np.pi)
        eta[row[good], jet[good]], around[row[good], jet[good]] = drawn[good], turn[good]
        row, jet, distance = row[~good], jet[~good], distance[~good]
    return eta, around


def _decays(events: int, rng: np.random.Generator) -> Floats:
    """Two-body decays of the scalar, float32 (3, events, 2): pt, eta, phi of the two jets."""
    mass = rng.normal(BOSON_MASS, BOSON_WIDTH, events)
    pt, phi, eta = (
        rng.exponential(BOSON_PT, events),
        rng.uniform(-np.pi, np.pi, events),
        rng.normal(0, ETA_WIDTH, events),
    )
    boson = np.stack(px_py_pz(pt, eta, phi))  # (3, events)
    boson_energy = energy_from_mass(mass, (boson**2).sum(axis=0))
    momentum = np.sqrt(mass**2 / 4 - JET_MASS**2)  # of each jet in the rest frame
    cosine, azimuth = rng.uniform(-1, 1, events), rng.uniform(-np.pi, np.pi, events)
    sine = np.sqrt(1 - cosine**2)
    rest = momentum * np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine])
    # Lorentz boost: p' = p + P (P.p / (E + m) + e) / m, with e = m / 2 for both jets and p -> -p for the second
    along = (boson * rest).sum(axis=0) / (boson_energy + mass)
    jets = np.stack(
        [rest + boson * (along + mass / 2) / mass, -rest + boson * (-along + mass / 2) / mass],
        axis=-1,
    )  # (3, events, 2)
    jet_pt, jet_eta, jet_phi = pt_eta_phi(*jets)
    jet_phi = np.clip(jet_phi, -LARGEST_PHI, LARGEST_PHI)
    return np.stack([jet_pt, jet_eta, jet_phi]).astype(np.float32)


def _wrap_float32(phi: Floats) -> Floats:
    """Angles brought into [-pi, pi), float32."""
    return np.clip(wrap_phi(phi), -LARGEST_PHI, LARGEST_PHI).astype(np.float32)
