"""Quark and gluon jets, in small files of their layout."""

import awkward as ak
import numpy as np
import pytest

from weaver_tt.errors import BadFileError, DataError
from weaver_tt.samples.convert import qg

# constituents as (pT, y, phi, PDG number); the last place of the first jet is padding
X = np.array(
    [
        [[50.0, 0.5, 6.2, 211], [30.0, 0.7, 0.1, -2212], [5.0, 0.6, 0.0, 22], [0, 0, 0, 0]],
        [
            [40.0, -1.5, 3.0, 11],
            [30.0, -1.7, 3.1, -13],
            [20.0, -1.6, 3.2, -2112],
            [1.0, -1.0, 3.0, -321],
        ],
    ]
)
Y = np.array([1.0, 0.0])


def test_kinds_and_charges_by_hand():
    jets = qg.jet_table(X, Y)
    assert jets["label"].tolist() == jets["jet_isQ"].tolist() == [1, 0]
    assert jets["jet_isG"].tolist() == [0, 1]
    assert jets["part_charge"].tolist() == [[1, -1, 0], [-1, 1, 0, -1]]
    assert jets["part_pid"].tolist() == [[211, -2212, 22], [11, -13, -2112, -321]]
    kinds = {
        name: jets[f"part_is{name}"].tolist()
        for name in ("ChargedHadron", "NeutralHadron", "Photon", "Electron", "Muon")
    }
    assert kinds == {
        "ChargedHadron": [[True, True, False], [False, False, False, True]],
        "NeutralHadron": [[False] * 3, [False, False, True, False]],
        "Photon": [[False, False, True], [False] * 4],
        "Electron": [[False] * 3, [True, False, False, False]],
        "Muon": [[False] * 3, [False, True, False, False]],
    }
    assert jets["jet_nparticles"].tolist() == jets["n_parts"].tolist() == [3, 4]


def test_momenta_are_those_of_massless_particles():
    vector = pytest.importorskip("vector")
    jets = qg.jet_table(X, Y)
    each = vector.array(
        {"pt": X[..., 0], "eta": X[..., 1], "phi": X[..., 2], "mass": np.zeros((2, 4))}
    )
    total = vector.array(
        {name: getattr(each, name).sum(axis=1) for name in ("px", "py", "pz", "E")}
    )
    for name in ("pt", "eta", "phi", "energy", "mass"):
        assert jets[f"jet_{name}"].tolist() == pytest.approx(
            getattr(total, name).tolist(), rel=1e-5
        )
    assert jets["part_px"][1].tolist() == pytest.approx(each.px[1].tolist())
    assert jets["part_energy"][1].tolist() == pytest.approx(each.E[1].tolist())
    assert jets["part_dphi"][0].tolist() == pytest.approx(
        each[0, :3].deltaphi(total[0]).tolist(), abs=1e-5
    )
    assert jets["part_deta"][1].tolist() == pytest.approx(
        (total.eta[1] - X[1, :, 1]).tolist(), abs=1e-5
    )  # the jet lies backward


def test_nine_of_ten_files_are_for_training(tmp_path, monkeypatch):
    monkeypatch.setattr(qg, "ROWS", 1)
    for number in range(10):
        np.savez(tmp_path / f"QG_jets_{number}.npz", X=X, y=np.full(2, number % 2))
    written = qg.convert_quark_gluon(
        str(tmp_path), str(tmp_path / "out"), ".parquet", progress=False
    )
    assert [path.name for path in written] == [
        f"train_file_{number}.parquet" for number in range(9)
    ] + ["test_file_0.parquet"]
    assert ak.from_parquet(written[9]).label.tolist() == [1, 1]
    assert ak.from_parquet(written[0]).part_charge.tolist() == [[1, -1, 0], [-1, 1, 0, -1]]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "y": Y}, "no array 'X'; did you mean 'x'"),
        ({"X": X}, "no array 'y'"),
        ({"X": X[..., :3], "y": Y}, r"X must be .* got \(2, 4, 3\)"),
        ({"X": X, "y": Y[:1]}, r"got \(2, 4, 4\) and \(1,\)"),
    ],
)
def test_another_layout_is_told(tmp_path, arrays, message):
    np.savez(tmp_path / "QG_jets.npz", **arrays)
    with pytest.raises(DataError, match=message):
        qg.convert_quark_gluon(str(tmp_path), str(tmp_path / "out"), ".root")


def test_no_files_and_damaged_files_are_errors(tmp_path):
    with pytest.raises(DataError, match="nothing in it"):
        qg.convert_quark_gluon(str(tmp_path), str(tmp_path / "out"), ".root")
    (tmp_path / "QG_jets.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(BadFileError, match=r"QG_jets\.npz: no readable \.npz file"):
        qg.convert_quark_gluon(str(tmp_path), str(tmp_path / "out"), ".root")
