"""``weaver-tt simulate`` as a user runs it."""

import sys

import numpy as np
import pytest
import uproot

from weaver_tt.cli import main
from weaver_tt.samples.simulate.commands import SimulateOptions
from weaver_tt.samples.simulate.processes import PROCESSES


def test_the_command_offers_every_process():
    field = SimulateOptions.__dataclass_fields__["process"]
    assert field.metadata["argparse"]["choices"] == list(PROCESSES)


def test_jets_from_the_command_line(tmp_path, capfd):
    pytest.importorskip("pythia8mc")
    pytest.importorskip("fastjet")
    path = tmp_path / "z.root"
    flags = "--process z -n 5 --seed 2 --pt-min 300 --pt-max 400 --radius 1.0 --no-progress"
    assert main(["simulate", *flags.split(), "-o", str(path)]) == 0
    pt = uproot.open(path)["tree"]["jet_pt"].array(library="np")
    assert len(pt) == 5
    assert ((pt >= 300) & (pt <= 400)).all()
    assert "PYTHIA" not in capfd.readouterr().out  # no banners


@pytest.mark.parametrize("missing", ["pythia8mc", "fastjet"])
def test_a_missing_library_is_one_clear_message(tmp_path, monkeypatch, capsys, missing):
    if missing == "fastjet":
        pytest.importorskip("pythia8mc")
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["simulate", "-n", "5", "--no-progress", "-o", str(tmp_path / "no.root")]) == 1
    message = capsys.readouterr().err
    assert f"needs {missing}" in message
    assert "pip install 'weaver_tt[simulate]'" in message
    assert list(tmp_path.iterdir()) == []


def test_reconstructed_jets_from_the_command_line_and_what_has_no_match(tmp_path, capsys):
    pytest.importorskip("pythia8mc")
    pytest.importorskip("fastjet")
    path = tmp_path / "jets.root"
    flags = "--process jets --detector --without conversions chs -n 20 --no-progress"
    assert main(["simulate", *flags.split(), "-o", str(path)]) == 0
    with uproot.open(path) as file:
        response = file["tree"]["jet_pt"].array() / file["tree"]["gen_pt"].array()
    assert len(response) == 20
    assert 0.8 < np.median(response) < 1.1
    assert "not matched: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--process top --detector", "--detector is for --process jets, got --process top"),
        ("--process jets --without field", "--without switches off what --detector does"),
    ],
)
def test_a_detector_that_cannot_be_is_one_line(tmp_path, capsys, flags, message):
    path = tmp_path / "no.root"
    assert main(["simulate", *flags.split(), "-n", "5", "-o", str(path)]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_simulated_lund_trees_are_those_of_the_stored_momenta(tmp_path):
    pytest.importorskip("pythia8mc")
    pytest.importorskip("fastjet")
    flags = "--process w -n 4 --seed 2 --pt-min 300 --pt-max 400 --no-progress"
    simulated = tmp_path / "with.root"
    assert main(["simulate", *flags.split(), "--lund", "-o", str(simulated)]) == 0
    without = tmp_path / "without.root"
    assert main(["simulate", *flags.split(), "-o", str(without)]) == 0
    added = tmp_path / "added.root"
    assert main(["lund", str(without), "--no-progress", "--no-figure", "-o", str(added)]) == 0
    with uproot.open(simulated) as file, uproot.open(added) as other:
        columns = file["tree"].keys()
        assert set(columns) == set(other["tree"].keys())
        assert {"lund_lnkt", "lund_parent"} <= set(columns)
        for name in columns:
            ours = file["tree"][name].array()
            assert ours.tolist() == other["tree"][name].array().tolist()


def test_lund_trees_are_for_large_radius_jets(tmp_path, capsys):
    path = tmp_path / "no.root"
    assert main(["simulate", "--process", "jets", "--lund", "-n", "5", "-o", str(path)]) == 1
    assert "--lund is for large-radius jets, got --process jets" in capsys.readouterr().err
