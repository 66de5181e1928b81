"""``weaver-tt convert`` as a user runs it; see test_top.py for more."""

import sys

import numpy as np
import pytest
import uproot

from weaver_tt.cli import main


def test_quark_and_gluon_jets_as_root(tmp_path, capsys):
    np.savez(tmp_path / "QG_jets.npz", X=np.array([[[10.0, 0.0, 1.0, 22]]]), y=np.array([1.0]))
    assert (
        main(
            [
                "convert",
                "qg",
                "-i",
                str(tmp_path),
                "-o",
                str(tmp_path / "out"),
                "--format",
                "root",
                "--no-progress",
            ]
        )
        == 0
    )
    assert uproot.open(tmp_path / "out" / "train_file_0.root")["tree"][
        "jet_pt"
    ].array().tolist() == [10]
    assert "train_file_0.root" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["pandas", "tables"])
def test_a_missing_library_names_the_extra(tmp_path, monkeypatch, capsys, missing):
    if missing == "tables":
        pytest.importorskip("pandas")
    (tmp_path / "train.h5").touch()
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["convert", "top", "-i", str(tmp_path), "--no-progress"]) == 1
    message = capsys.readouterr().err
    assert f"needs {missing}" in message
    assert "pip install 'weaver_tt[convert]'" in message
