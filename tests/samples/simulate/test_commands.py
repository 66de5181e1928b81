"""``weaver-tt simulate`` as a user runs it."""

import sys

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
