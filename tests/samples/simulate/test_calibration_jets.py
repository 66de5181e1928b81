"""Pairs of reconstructed and generated jets."""

import awkward as ak
import numpy as np
import pytest

pytest.importorskip("pythia8mc")
pytest.importorskip("fastjet")

from tests.samples.simulate.test_jets import particles
from weaver_tt.samples.simulate.blocks import make_block
from weaver_tt.samples.simulate.calibration_jets import Unmatched, calibration_jets
from weaver_tt.samples.simulate.processes import sample_settings

SMALL = {"block": 25, "batch": 25}


@pytest.fixture(scope="module")
def exact():
    """Jets of three blocks, one of each kind, without a detector."""
    sample = sample_settings("jets", seed=2, **SMALL)
    batches = [columns for block in range(3) for columns, _ in make_block(sample, block, 1000)]
    return [ak.zip(columns, depth_limit=1) for columns in batches]


def test_without_a_detector_the_reconstructed_jet_is_the_generated_one(exact):
    jets = ak.concatenate(exact)
    for name in ("pt", "eta", "phi", "mass"):
        assert ak.array_equal(jets[f"jet_{name}"], jets[f"gen_{name}"])
    assert (jets.gen_pt >= 20).to_numpy().all()
    assert (np.abs(jets.gen_eta) < 5).to_numpy().all()
    assert jets.jet_area.to_numpy() == pytest.approx(np.pi * 0.4**2, rel=0.3)


def test_charged_and_neutral_constituents_make_up_the_jet(exact):
    jets = ak.concatenate(exact)
    x = sum(
        ak.sum(jets[f"{part}_pt"] * np.cos(jets[f"{part}_phi"]), axis=1) for part in ("ch", "ne")
    )
    y = sum(
        ak.sum(jets[f"{part}_pt"] * np.sin(jets[f"{part}_phi"]), axis=1) for part in ("ch", "ne")
    )
    assert np.hypot(x, y) == pytest.approx(jets.jet_pt.to_numpy(), rel=1e-4)
    for part in ("ch", "ne"):
        assert ak.all(jets[f"{part}_pt"][:, 1:] <= jets[f"{part}_pt"][:, :-1])
        assert ak.all(np.abs(jets[f"{part}_dphi"]) < 0.7)
        ratio = jets[f"{part}_pt"] / jets.jet_pt
        assert ak.all(np.abs(ratio - jets[f"{part}_ptrel"]) < 1e-6)
    number = ak.sum(jets.ch_pt > 1, axis=1) + ak.sum(jets.ne_pt > 1, axis=1)
    assert ak.all(number == jets.jet_multiplicity)
    assert set(np.abs(ak.flatten(jets.ch_id)).tolist()) <= {11, 13, 211}
    assert set(ak.flatten(jets.ne_id).tolist()) <= {22, 130}


def test_blocks_are_of_all_partons_light_and_heavy_quarks(exact):
    everything, light, heavy = (batch.jet_flavour.to_numpy() for batch in exact)
    assert (everything == 21).any()
    assert np.isin(light, (1, 2, 3)).mean() > 0.6
    assert np.isin(heavy, (4, 5)).mean() > 0.6


def test_hard_jets_are_not_rare_and_their_events_weigh_little(exact):
    jets = ak.concatenate(exact)
    is_hard = (jets.gen_pt > 300).to_numpy()
    assert is_hard.mean() > 0.1
    weight = jets.event_weight.to_numpy()
    assert weight[is_hard].mean() < 0.01 * weight[~is_hard].mean()


def test_neutrinos_are_in_no_jet():
    sample = sample_settings("jets")
    found, unmatched = calibration_jets(
        particles([(90, 0, 0, 211, 1), (60, 0.1, 0, 14, 1), (50, 0, 3, 22, 1)]), None, sample
    )
    assert found["gen_pt"].tolist() == [90, 50]
    assert unmatched == Unmatched()
    assert ak.num(found["sv_pt"]).tolist() == [0, 0]


def test_generated_jets_may_have_their_neutrinos_while_what_is_measured_has_none():
    sample = sample_settings("jets", neutrinos=True)
    event = particles([(90, 0, 0, 211, 1), (60, 0.1, 0, 14, 1), (50, 0, 3, 22, 1)])
    found, unmatched = calibration_jets(event, None, sample)
    assert found["gen_pt"].tolist() == pytest.approx([150, 50])
    assert found["jet_pt"].tolist() == pytest.approx([90, 50])
    # particles of this event have no charge
    assert found["ne_pt"].tolist() == [[90], [50]]
    assert unmatched == Unmatched()
    # a neutrino alone is a generated jet that nobody sees
    alone = particles([(90, 0, 0, 211, 1), (60, 1.1, 0, 14, 1)])
    found, unmatched = calibration_jets(alone, None, sample)
    assert found["gen_pt"].tolist() == [90]
    assert unmatched == Unmatched(generated=1)


def test_neutrinos_change_the_generated_jets_and_nothing_that_is_measured(exact):
    sample = sample_settings("jets", seed=2, neutrinos=True, **SMALL)
    # the block of heavy quarks
    [(columns, _)] = make_block(sample, 2, 1000)
    heavy = exact[2]
    # the same events: of each jet that both have, the measured pT is the same
    both, with_, without = np.intersect1d(
        np.asarray(columns["jet_pt"]), heavy.jet_pt.to_numpy(), return_indices=True
    )
    assert len(both) > 30
    ratio = np.asarray(columns["gen_pt"])[with_] / heavy.gen_pt.to_numpy()[without]
    # some 20 % of decays of b and c hadrons have a neutrino
    assert (ratio > 1.02).mean() > 0.1
    assert np.median(ratio) == pytest.approx(1, abs=1e-6)


def test_farther_forward_is_positive_on_both_sides():
    found, _ = calibration_jets(
        particles(
            [(50, 1.0, 0, 22, 1), (10, 1.2, 0, 22, 1), (50, -1.0, 3, 22, 1), (10, -1.2, 3, 22, 1)]
        ),
        None,
        sample_settings("jets"),
    )
    assert found["gen_pt"].tolist() == pytest.approx([60, 60])
    for jet in found["ne_deta"].tolist():
        assert jet == pytest.approx([-0.033, 0.167], abs=0.01)
