"""The whole detector on simulated jets."""

import awkward as ak
import numpy as np
import pytest

pytest.importorskip("pythia8mc")
pytest.importorskip("fastjet")

from weaver_tt.samples.simulate.blocks import make_block
from weaver_tt.samples.simulate.detector.effects import EFFECTS
from weaver_tt.samples.simulate.pileup import make_pool
from weaver_tt.samples.simulate.processes import sample_settings


def jets_of(block=0, events=40, **settings):
    """Matched jets of one block."""
    sample = sample_settings("jets", detector=True, block=events, batch=events, **settings)
    ((columns, counts),) = make_block(sample, block, 10_000)
    return ak.zip(columns, depth_limit=1), counts


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
