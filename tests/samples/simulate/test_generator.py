"""Events of Pythia."""

import numpy as np
import pytest

pytest.importorskip("pythia8mc")

from weaver_tt.errors import ConfigError
from weaver_tt.physics.four_momentum import invariant_mass
from weaver_tt.physics.particles import is_parton
from weaver_tt.samples.simulate import processes
from weaver_tt.samples.simulate.generator import (
    STABLE,
    block_seed,
    generate_events,
    masses_of_block,
    start_pythia,
)
from weaver_tt.samples.simulate.processes import SampleSettings, sample_settings
from weaver_tt.samples.simulate.truth import find_origins

SAMPLE = SampleSettings(process="top", batch=3)


@pytest.fixture(scope="module")
def some():
    """Three events."""
    return next(generate_events(SAMPLE, 0))


def test_every_event_conserves_momentum_and_charge(some):
    final = some.status > 0
    for event in range(3):
        mine = final & (some.event == event)
        assert some.momentum[:, mine].sum(axis=1) == pytest.approx([0, 0, 0, 14_000], abs=0.02)
        assert some.charge[mine].sum() == pytest.approx(2)  # of two protons


def test_before_hadronisation_quarks_and_gluons_are_left_and_nothing_is_lost():
    sample = SampleSettings(process="w", batch=3, parton_level=True)
    partons = next(generate_events(sample, 0))
    final = partons.status > 0
    kinds = np.abs(partons.pid[final])
    # photons of the shower, and the electrons they split into, are final too
    assert is_parton(kinds[~np.isin(kinds, (11, 13, 22))]).all()
    assert (kinds == 21).sum() > 20
    for event in range(3):
        mine = final & (partons.event == event)
        assert partons.momentum[:, mine].sum(axis=1) == pytest.approx([0, 0, 0, 14_000], abs=0.02)
        assert partons.charge[mine].sum() == pytest.approx(2)


def test_daughters_stay_inside_their_event(some):
    assert (some.event[some.daughters] == some.event).all()
    assert (some.daughters[:, some.status > 0] == np.flatnonzero(some.status > 0)).all()


def test_tracks_of_long_lived_hadrons_start_away_from_the_beam(some):
    pythia = start_pythia(SampleSettings(process="top"), 1)
    flight = np.hypot(some.vertex[0], some.vertex[1])
    assert (flight > 0.1).any()
    final = np.unique(some.pid[some.status > 0])
    assert {310, 3122} & set(np.abs(final).tolist())  # K_S and Lambda reach the detector
    assert not {111, 421, 521} & set(np.abs(final).tolist())
    assert all(
        pythia.particleData.tau0(int(kind)) > STABLE or pythia.particleData.tau0(int(kind)) == 0
        for kind in final
    )


def test_a_block_is_the_same_whenever_it_is_made_and_another_differs(some):
    again, other = (next(generate_events(SAMPLE, block)) for block in (0, 1))
    assert (again.momentum == some.momentum).all()
    assert other.momentum.shape != some.momentum.shape or (other.momentum != some.momentum).any()


def test_masses_are_flat_where_they_are_drawn_and_in_any_order():
    sample = sample_settings("x-bb", mass_min=20.0, mass_max=220.0, seed=5)
    blocks = [masses_of_block(sample, block, 80) for block in range(50)]
    found = np.histogram(np.concatenate(blocks), 20, (20, 220))[0]
    # chi2 to the flat spectrum with 19 degrees of freedom: below 43.8 at p = 0.001
    assert ((found - 200) ** 2 / 200).sum() < 43.8
    # what has been drawn after a part of each block is flat too
    first = np.histogram([mass for block in blocks for mass in block[:20]], 20, (20, 220))[0]
    assert ((first - 50) ** 2 / 50).sum() < 43.8
    assert masses_of_block(sample, 7, 80) == blocks[7]
    assert len(set(np.concatenate(blocks))) == 50 * 80
    assert masses_of_block(SAMPLE, 0, 2) == [None, None]


def test_pythia_takes_the_mass_that_is_drawn_up_and_down_and_decays_to_the_quarks_as_often():
    sample = sample_settings("x-qq", mass_min=12.0, block=60, batch=15, parton_level=True)
    masses = masses_of_block(sample, 0, 4)
    assert masses != sorted(masses)
    quarks = []
    for batch, mass in zip(generate_events(sample, 0), masses, strict=True):
        origins = find_origins(batch, sample.kind)
        assert len(origins.index) == 15
        assert invariant_mass(*batch.momentum[:, origins.index]) == pytest.approx(mass, abs=0.06)
        quarks += np.abs(batch.pid[origins.quarks[:, 0]]).tolist()
    counts = np.bincount(quarks, minlength=4)
    assert counts[0] == 0
    assert counts.sum() == 60
    # 20 +- 3.7 of each
    assert (counts[1:] > 7).all()
    assert len(counts) == 4


def test_no_two_blocks_of_a_sample_share_a_seed_and_all_are_pythias():
    seeds = [block_seed(1, block) for block in range(1000)]
    assert len(set(seeds)) == 1000
    assert 1 <= min(seeds) <= max(seeds) <= 900_000_000


def test_settings_that_pythia_refuses_are_shown(monkeypatch):
    monkeypatch.setitem(
        processes.PROCESSES,
        "odd",
        processes.Process(settings=("HardQCD:everything = on",), label="label_QCD"),
    )
    with pytest.raises(ConfigError, match="Pythia cannot generate odd"):
        start_pythia(SampleSettings(process="odd"), 1)
