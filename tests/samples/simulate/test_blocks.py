"""Blocks of events into a file."""

import dataclasses

import awkward as ak
import numpy as np
import pytest
import uproot

pytest.importorskip("pythia8mc")
pytest.importorskip("fastjet")

from weaver_tt.errors import ConfigError, OutputError
from weaver_tt.samples.simulate import blocks
from weaver_tt.samples.simulate.calibration_jets import Unmatched
from weaver_tt.samples.simulate.processes import SampleSettings, sample_settings

SMALL = {"block": 12, "batch": 6}
SAMPLE = SampleSettings(process="w", seed=3, **SMALL)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """25 jets of more than two blocks, made by one process."""
    path = tmp_path_factory.mktemp("reference") / "jets.parquet"
    counts = blocks.write_sample(str(path), SAMPLE, 25, progress=False)
    assert counts.events > 2 * SAMPLE.block
    assert counts.unmatched == Unmatched()
    return ak.from_parquet(path)


def test_exactly_the_jets_asked_for_are_written_all_different(reference):
    assert len(reference) == 25
    assert len(set(reference.jet_pt.tolist())) == 25


def test_fewer_jets_are_the_first_of_more_in_either_format(reference, tmp_path):
    blocks.write_sample(str(tmp_path / "few.root"), SAMPLE, 7, progress=False)
    tree = uproot.open(tmp_path / "few.root")["tree"].arrays(reference.fields)
    assert all(ak.array_equal(tree[name], reference[name][:7]) for name in reference.fields)


def test_another_seed_gives_other_jets(reference, tmp_path):
    blocks.write_sample(
        str(tmp_path / "other.parquet"), dataclasses.replace(SAMPLE, seed=4), 7, progress=False
    )
    assert not set(ak.from_parquet(tmp_path / "other.parquet").jet_pt.tolist()) & set(
        reference.jet_pt.tolist()
    )


def test_the_number_of_workers_changes_nothing(reference, tmp_path):
    blocks.write_sample(str(tmp_path / "two.parquet"), SAMPLE, 25, workers=2, progress=False)
    two = ak.from_parquet(tmp_path / "two.parquet")
    assert two.fields == reference.fields
    assert all(ak.array_equal(two[name], reference[name]) for name in two.fields)


def test_jets_of_any_mass_are_the_same_for_any_number_of_workers(tmp_path):
    sample = sample_settings("x-bb", seed=2, pthat_min=520.0, block=16, batch=8)
    made = []
    for workers in (1, 2):
        path = tmp_path / f"{workers}.parquet"
        counts = blocks.write_sample(str(path), sample, 8, workers=workers, progress=False)
        assert sum(counts.acceptance.generated) > 0
        made.append(ak.from_parquet(path))
    assert all(ak.array_equal(made[0][name], made[1][name]) for name in made[0].fields)
    masses = made[0].aux_genpart_mass.to_numpy()
    assert len(np.unique(masses.round())) > 2
    assert ((masses > 14.9) & (masses < 250.1)).all()


def test_nonsense_and_hopeless_windows_are_errors_and_leave_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "MAX_EMPTY_BLOCKS", 2)
    far = SampleSettings(
        process="higgs-bb", pthat_min=20, pthat_max=30, pt_min=3000, pt_max=3100, **SMALL
    )
    with pytest.raises(
        ConfigError,
        match=r"no jet of higgs-bb in 24 events with pTHat in 20 to 30 GeV; "
        r"the window is pT in 3000 to 3100 GeV",
    ):
        blocks.write_sample(str(tmp_path / "no.root"), far, 1, progress=False)
    with pytest.raises(
        ConfigError, match="at least one jet and one worker are needed, got 0 and 1"
    ):
        blocks.write_sample(str(tmp_path / "no.root"), SAMPLE, 0)
    with pytest.raises(OutputError, match="no writer"):
        blocks.write_sample(str(tmp_path / "no.txt"), SAMPLE, 1)
    assert list(tmp_path.iterdir()) == []


def test_jets_that_are_all_unmatched_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "MAX_EMPTY_BLOCKS", 2)
    jets = sample_settings("jets", detector=True, **SMALL)
    # a detector that sees nothing: 0 of all generated jets have a partner
    monkeypatch.setattr(
        blocks, "calibration_jets", lambda *_: ({"jet_pt": []}, Unmatched(generated=5))
    )
    with pytest.raises(
        ConfigError,
        match=r"no matched jet of jets in 24 events .*; 20 generated jets are in it, none with a "
        "reconstructed jet near it",
    ):
        blocks.write_sample(str(tmp_path / "no.root"), jets, 10, progress=False)
    assert list(tmp_path.iterdir()) == []
