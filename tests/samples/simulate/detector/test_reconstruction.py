"""The whole detector on simulated jets."""

import awkward as ak
import numpy as np
import pytest

pytest.importorskip("pythia8mc")
pytest.importorskip("fastjet")

from tests.samples.simulate.detector.flying import flying
from weaver_tt.samples.simulate.blocks import make_block
from weaver_tt.samples.simulate.detector.effects import EFFECTS
from weaver_tt.samples.simulate.detector.particles import flying_particles
from weaver_tt.samples.simulate.detector.primary_vertices import no_collisions
from weaver_tt.samples.simulate.detector.reconstruction import reconstruct
from weaver_tt.samples.simulate.generator import generate_events
from weaver_tt.samples.simulate.pileup import add_pileup, make_pool
from weaver_tt.samples.simulate.processes import sample_settings


def jets_of(block=0, events=40, **settings):
    """Matched jets of one block."""
    sample = sample_settings("jets", detector=True, block=events, batch=events, **settings)
    ((columns, counts),) = make_block(sample, block, 10_000)
    return ak.zip(columns, depth_limit=1), counts


@pytest.fixture(scope="module")
def events():
    """Particles of eight events with two further collisions each, and where these are."""
    sample = sample_settings("jets", block=8, batch=8)
    particles = flying_particles(next(generate_events(sample, 0)))
    return add_pileup(particles, 8, make_pool(1, 0, 13_000.0, 5), 2.0, np.random.default_rng(1))


@pytest.fixture(scope="module")
def jets():
    """Jets of heavy quarks in the whole detector."""
    return jets_of(block=2)[0]


def test_without_any_effect_the_reconstructed_jet_is_the_generated_one():
    jets, counts = jets_of(without=tuple(EFFECTS))
    # up to the end of the calorimeter
    inside = jets[np.abs(jets.gen_eta) < 4.7]
    assert len(inside) > 60
    deviation = np.abs(inside.jet_pt / inside.gen_pt - 1).to_numpy()
    # what is left: masses are those of pions and photons, and directions those of straight lines
    # from the beam; a jet at the edge of another may so be taken over by it
    assert np.quantile(deviation, 0.8) < 1e-3
    assert np.quantile(deviation, 0.95) < 0.02
    assert counts.unmatched.generated <= 1


def test_jets_are_measured_as_well_as_jets_are(jets):
    response = (jets.jet_pt / jets.gen_pt).to_numpy()
    assert np.median(response) == pytest.approx(0.95, abs=0.06)
    low, high = np.quantile(response, (0.25, 0.75))
    assert 0.03 < high - low < 0.2


def test_tracks_end_where_the_tracker_ends_and_forward_candidates_begin(jets):
    assert ak.all(np.abs(jets.ch_eta) < 2.5)
    assert ak.all(jets.ch_pt > 0.05)
    is_forward = (jets.ne_id == 1) | (jets.ne_id == 2)
    assert ak.all(np.abs(jets.ne_eta)[is_forward] > 2.9)
    assert set(ak.flatten(jets.ne_id).tolist()) <= {1, 2, 22, 130}
    assert ak.all(jets.ch_nhits >= jets.ch_npixelhits)
    assert ak.all(jets.ch_npixelhits <= 3)


def test_jets_of_heavy_quarks_have_displaced_tracks_and_vertices(jets):
    bottom = jets[(jets.jet_flavour == 5) & (np.abs(jets.gen_eta) < 2.4)]
    assert ak.mean(ak.num(bottom.sv_pt) > 0) > 0.5
    assert ak.mean(ak.max(np.abs(bottom.ch_dxysig), axis=1) > 5) > 0.5
    assert ak.all(jets.sv_ntracks >= 2)
    assert ak.all(jets.sv_dsig > 0)
    assert ak.all(jets.sv_pt[:, 1:] <= jets.sv_pt[:, :-1])


def test_all_columns_are_finite(jets):
    for name in jets.fields:
        assert np.isfinite(ak.to_numpy(ak.flatten(jets[name], axis=None))).all()


def test_a_block_is_the_same_whatever_was_made_before_it():
    sample = sample_settings("jets", detector=True, pileup=3.0, pool=20, block=6, batch=6)
    make_pool.cache_clear()
    ((alone, _),) = make_block(sample, 33, 1000)
    # of another pool
    list(make_block(sample, 0, 1000))
    ((again, _),) = make_block(sample, 33, 1000)
    for name, values in alone.items():
        assert ak.array_equal(values, again[name])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("without", EFFECTS)
def test_each_effect_can_be_left_out_alone(events, without):
    sample = sample_settings("jets", detector=True, without=(without,))
    found = reconstruct(*events, 8, sample, np.random.default_rng(1))
    assert len(found.candidates) > 100
    assert np.isfinite(found.candidates.momentum).all()
    assert (found.candidates.momentum[3] > 0).all()
    assert (np.diff(found.candidates.event) >= 0).all()


def test_events_without_particles_have_no_candidates():
    nothing = flying((22, 0, 1.0, 0.0, 0.0))[[]]
    sample = sample_settings("jets", detector=True)
    found = reconstruct(nothing, no_collisions(), 2, sample, np.random.default_rng(1))
    assert len(found.candidates) == len(found.vertices) == 0
    assert found.rho.tolist() == [0, 0]
    assert found.primary_vertices.tolist() == [1, 1]


def test_blocks_without_jets_in_the_window_have_columns_without_rows():
    sample = sample_settings(
        "jets", detector=True, pileup=2.0, pool=5, block=4, batch=4, pt_min=2990, pthat_min=16
    )
    ((columns, counts),) = make_block(sample, 0, 10)
    assert {len(values) for values in columns.values()} == {0}
    assert counts.unmatched.generated == 0
