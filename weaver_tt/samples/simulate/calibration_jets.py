"""Pairs of a reconstructed and a generated jet, and their columns: what jet energies are learnt of.

Tables 6.1 to 6.3 of D. Holmberg, "Jet energy corrections with graph neural network regression".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.physics.angles import delta_phi
from weaver_tt.physics.four_momentum import invariant_mass, pt_eta_phi
from weaver_tt.samples.simulate.candidates import (
    ReconstructedEvents,
    SecondaryVertices,
    exact_events,
)
from weaver_tt.samples.simulate.flavour import hadron_flavour, jet_flavour, parton_flavour
from weaver_tt.samples.simulate.generator import Floats, Integers, Particles, flat_entries
from weaver_tt.samples.simulate.jet_area import jet_areas
from weaver_tt.samples.simulate.jet_shapes import fragmentation, minor_axis, multiplicity
from weaver_tt.samples.simulate.jets import (
    ClusteredJets,
    anti_kt_jets,
    final_places,
    is_in_window,
)
from weaver_tt.samples.simulate.matching import Directions, mutually_nearest, nearest_others
from weaver_tt.samples.simulate.processes import SampleSettings

Columns = dict[str, Any]  # name -> (J,) numbers or (J, var)

MATCHING_RADIUS = 0.2
SOFTEST_JET = 5.0
"""GeV: jets are clustered from here on, so that a jet with a poor response still has its match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """How many jets in the window have no partner: no jet of the other kind is near."""

    generated: int = 0
    reconstructed: int = 0

    def __add__(self, other: Unmatched) -> Unmatched:
        return Unmatched(
            generated=self.generated + other.generated,
            reconstructed=self.reconstructed + other.reconstructed,
        )


def calibration_jets(
    particles: Particles, events: ReconstructedEvents | None, sample: SampleSettings
) -> tuple[Columns, Unmatched]:
    """Columns of the matched jets of some events, and how many are not matched.

    Generated jets are those in the window of ``sample``, of visible particles or, if it says so,
    with neutrinos. ``events`` is what the detector sees; None: the visible particles themselves,
    jet for jet.
    """
    generated = generated_jets(particles, sample, sample.neutrinos)
    if events is None:
        events = exact_events(particles)
        reconstructed = generated
        if sample.neutrinos:
            reconstructed = generated_jets(particles, sample, neutrinos=False)
    else:
        number = np.bincount(events.candidates.event, minlength=len(particles.counts))
        momentum = events.candidates.momentum
        reconstructed = anti_kt_jets(momentum, number, sample.radius, SOFTEST_JET)
    wanted = generated[is_in_window(generated, sample)]
    match = mutually_nearest(directions(wanted), directions(reconstructed), MATCHING_RADIUS)
    is_matched = match >= 0
    unmatched = Unmatched(
        generated=int((~is_matched).sum()),
        reconstructed=_reconstructed_alone(reconstructed, generated, sample),
    )
    jets = reconstructed[match[is_matched]]
    columns: Columns = {"jet_area": jet_areas(jets, reconstructed, sample.radius)}
    columns |= _jet_columns(jets, events, particles)
    columns |= _constituent_columns(jets, events)
    columns |= _vertex_columns(jets, events.vertices, sample.radius)
    columns |= _generated_columns(wanted[is_matched], particles, sample.radius)
    return {name: single_precision(values) for name, values in columns.items()}, unmatched


def generated_jets(particles: Particles, sample: SampleSettings, neutrinos: bool) -> ClusteredJets:
    """Anti-kT jets of all visible particles, wherever they go; or with ``neutrinos``."""
    places = final_places(particles, np.inf, neutrinos=neutrinos)
    number = np.bincount(particles.event[places], minlength=len(particles.counts))
    return anti_kt_jets(particles.momentum[:, places], number, sample.radius, SOFTEST_JET)


def directions(jets: ClusteredJets) -> Directions:
    """The axes of jets."""
    return Directions(event=jets.event, eta=jets.eta, phi=jets.phi)


def _reconstructed_alone(
    reconstructed: ClusteredJets, generated: ClusteredJets, sample: SampleSettings
) -> int:
    """How many reconstructed jets in the window have no generated jet of any pT near them."""
    seen = reconstructed[is_in_window(reconstructed, sample)]
    match = nearest_others(directions(seen), directions(generated), MATCHING_RADIUS)
    return int((match < 0).sum())


def _jet_columns(jets: ClusteredJets, events: ReconstructedEvents, particles: Particles) -> Columns:
    """Values of jets, and those of their events."""
    candidates = events.candidates
    places = flat_entries(jets.constituents)
    jet = jet_of_constituents(jets)
    pt, eta, phi = pt_eta_phi(*candidates.momentum[:3, places])
    deta = eta - jets.eta[jet]
    dphi = delta_phi(phi, jets.phi[jet])
    return {
        "jet_pt": jets.pt,
        "jet_eta": jets.eta,
        "jet_phi": jets.phi,
        "jet_mass": invariant_mass(*jets.momentum),
        "jet_ptd": fragmentation(jet, pt, len(jets)),
        "jet_sigma2": minor_axis(jet, pt, deta, dphi, len(jets)),
        "jet_multiplicity": multiplicity(jet, pt, len(jets)),
        "rho": events.rho[jets.event],
        "npv": events.primary_vertices[jets.event],
        "pileup": events.pileup[jets.event],
        "pthat": particles.pthat[jets.event],
        "event_weight": particles.weight[jets.event],
    }


def _constituent_columns(jets: ClusteredJets, events: ReconstructedEvents) -> Columns:
    """The charged (``ch_``) and the neutral (``ne_``) candidates of jets, highest pT first."""
    places = flat_entries(jets.constituents)
    jet = jet_of_constituents(jets)
    candidates = events.candidates[places]
    is_charged = candidates.is_charged
    charged = candidates[is_charged]
    neutral = candidates[~is_charged]
    significance = np.divide(
        charged.dxy, charged.dxy_error, out=np.zeros(len(charged)), where=charged.dxy_error > 0
    )
    of_charged = _relative_columns(jets, jet[is_charged], charged.momentum) | {
        "id": charged.pid,
        "dxy": charged.dxy,
        "dxysig": significance,
        "dz": charged.dz,
        "nhits": charged.hits,
        "npixelhits": charged.pixel_hits,
        "losthits": charged.lost_hits,
        "pvquality": charged.vertex_quality,
    }
    of_neutral = _relative_columns(jets, jet[~is_charged], neutral.momentum) | {
        "id": neutral.pid,
        "hcalfrac": neutral.hcal_fraction,
    }
    columns = _jagged_columns("ch", of_charged, jet[is_charged], len(jets))
    return columns | _jagged_columns("ne", of_neutral, jet[~is_charged], len(jets))


def _vertex_columns(jets: ClusteredJets, vertices: SecondaryVertices, radius: float) -> Columns:
    """The secondary vertices (``sv_``) of jets: those nearest to it and within ``radius``."""
    _, eta, phi = pt_eta_phi(*vertices.momentum[:3])
    of_vertices = Directions(event=vertices.event, eta=eta, phi=phi)
    jet_of_vertex = nearest_others(of_vertices, directions(jets), radius)
    inside = np.flatnonzero(jet_of_vertex >= 0)
    # by jet, highest pT first
    pt = np.hypot(*vertices.momentum[:2, inside])
    inside = inside[np.lexsort((-pt, jet_of_vertex[inside]))]
    jet = jet_of_vertex[inside]
    momentum = vertices.momentum[:, inside]
    distance = vertices.distance[inside]
    values = _relative_columns(jets, jet, momentum) | {
        "mass": invariant_mass(*momentum),
        "d": distance,
        "dsig": distance / vertices.distance_error[inside],
        "ntracks": vertices.tracks[inside],
    }
    return _jagged_columns("sv", values, jet, len(jets))


def _relative_columns(jets: ClusteredJets, jet: Integers, momentum: Floats) -> Columns:
    """Momenta (4, M) of parts of jets, alone and relative to their ``jet`` (M,).

    Eqs. 6.3 to 6.5.
    """
    pt, eta, phi = pt_eta_phi(*momentum[:3])
    # towards the beam is positive on both sides
    forward = np.where(jets.eta[jet] < 0, -1.0, 1.0)
    return {
        "pt": pt,
        "eta": eta,
        "phi": phi,
        "ptrel": pt / jets.pt[jet],
        "deta": (eta - jets.eta[jet]) * forward,
        "dphi": delta_phi(phi, jets.phi[jet]),
    }


def _generated_columns(jets: ClusteredJets, particles: Particles, radius: float) -> Columns:
    """The generated jets, and their flavours."""
    hadron = hadron_flavour(particles, jets, radius)
    parton = parton_flavour(particles, jets, radius)
    return {
        "gen_pt": jets.pt,
        "gen_eta": jets.eta,
        "gen_phi": jets.phi,
        "gen_mass": invariant_mass(*jets.momentum),
        "jet_flavour": jet_flavour(hadron, parton),
        "jet_hadron_flavour": hadron,
        "jet_parton_flavour": parton,
    }


def jet_of_constituents(jets: ClusteredJets) -> Integers:
    """(M,) which jet a constituent is in."""
    return np.repeat(np.arange(len(jets)), ak.to_numpy(ak.num(jets.constituents)))


def _jagged_columns(prefix: str, values: Columns, jet: Integers, jets: int) -> Columns:
    """Values (M,), sorted by their ``jet``, as lists of ``jets`` jets."""
    counts = np.bincount(jet, minlength=jets)
    return {f"{prefix}_{name}": ak.unflatten(value, counts) for name, value in values.items()}


def single_precision(values: npt.NDArray[Any] | ak.Array) -> Any:
    """Numbers or lists of them as a file holds them: float32 or int32."""
    content = flat_entries(values) if isinstance(values, ak.Array) else values
    kind = np.int32 if np.issubdtype(content.dtype, np.integer) else np.float32
    return ak.values_astype(values, kind)
