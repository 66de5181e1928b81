"""The top tagging reference data set, in small files of its layout."""

import awkward as ak
import numpy as np
import pytest
import uproot

from weaver_tt.cli import main
from weaver_tt.errors import BadFileError, DataError
from weaver_tt.samples.convert import top

pandas = pytest.importorskip("pandas")
pytest.importorskip("tables")

PLACES = 6


def frame(rows, seed):
    """Jets of 1 to 6 constituents, one in three a top."""
    rng = np.random.default_rng(seed)
    columns = {}
    counts = rng.integers(1, PLACES + 1, rows)
    for place in range(PLACES):
        px, py, pz = rng.normal(20, 5, (3, rows)) * (place < counts)
        columns |= {
            f"E_{place}": np.sqrt(px**2 + py**2 + pz**2),
            f"PX_{place}": px,
            f"PY_{place}": py,
            f"PZ_{place}": pz,
        }
    columns |= {
        "truthE": np.zeros(rows),
        "ttv": np.zeros(rows, int),
        "is_signal_new": np.arange(rows) % 3 == 0,
    }
    return pandas.DataFrame(
        {
            name: values.astype(np.int64 if name in ("ttv", "is_signal_new") else np.float32)
            for name, values in columns.items()
        }
    )


def store(frame, path, **more):
    frame.to_hdf(path, key=more.pop("key", "table"), **({"format": "table"} | more))


@pytest.fixture
def folder(tmp_path):
    """The three files."""
    for seed, name in enumerate(("train", "val", "test")):
        store(frame(25 + seed, seed), tmp_path / f"{name}.h5")
    return tmp_path


def test_every_row_is_converted_in_order_piece_by_piece(folder, monkeypatch):
    monkeypatch.setattr(top, "ROWS", 10)
    assert (
        main(["convert", "top", "-i", str(folder), "-o", str(folder / "out"), "--no-progress"]) == 0
    )
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "test_file_0.parquet",
        "train_file_0.parquet",
        "val_file_0.parquet",
    ]
    for seed, name in enumerate(("train", "val", "test")):
        jets, rows = (
            ak.from_parquet(folder / "out" / f"{name}_file_0.parquet"),
            frame(25 + seed, seed),
        )
        assert jets.label.tolist() == jets.label_Tbqq.tolist() == rows.is_signal_new.tolist()
        assert jets.label_QCD.tolist() == (1 - rows.is_signal_new).tolist()
        for place, jet in enumerate(jets):  # by the formulae, constituent by constituent
            real = [
                (
                    rows[f"PX_{i}"][place],
                    rows[f"PY_{i}"][place],
                    rows[f"PZ_{i}"][place],
                    rows[f"E_{i}"][place],
                )
                for i in range(PLACES)
            ]
            real = np.array([constituent for constituent in real if constituent[3] > 0], np.float64)
            px, py, pz, energy = real.sum(axis=0)
            eta = np.arctanh(pz / np.sqrt(px**2 + py**2 + pz**2))
            assert jet.jet_nparticles == jet.n_parts == len(real)
            assert jet.part_px.tolist() == pytest.approx(real[:, 0].tolist())
            assert [jet.jet_pt, jet.jet_eta, jet.jet_energy] == pytest.approx(
                [np.hypot(px, py), eta, energy], rel=1e-5
            )
            assert jet.jet_phi == pytest.approx(np.arctan2(py, px), rel=1e-5)
            assert jet.jet_mass**2 == pytest.approx(
                energy**2 - px**2 - py**2 - pz**2, rel=1e-4, abs=0.05
            )
            each = np.arctanh(real[:, 2] / np.sqrt((real[:, :3] ** 2).sum(axis=1)))
            assert jet.part_deta.tolist() == pytest.approx(
                ((each - eta) * np.sign(eta)).tolist(), abs=1e-5
            )
            assert jet.part_dphi.tolist() == pytest.approx(
                (np.arctan2(real[:, 1], real[:, 0]) - np.arctan2(py, px)).tolist(), abs=1e-5
            )


def test_root_files_where_asked_for_and_only_of_files_that_are_there(folder):
    (folder / "val.h5").unlink()
    assert (
        main(
            [
                "convert",
                "top",
                "-i",
                str(folder),
                "-o",
                str(folder / "out"),
                "--format",
                "root",
                "--no-progress",
            ]
        )
        == 0
    )
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "test_file_0.root",
        "train_file_0.root",
    ]
    assert uproot.open(folder / "out" / "test_file_0.root")["tree"].num_entries == 27


@pytest.mark.parametrize(
    ("change", "more", "message"),
    [
        (
            lambda rows: rows.drop(columns="PY_3"),
            {},
            "1 columns are missing, the first is 'PY_3'; did you mean 'P",
        ),
        (
            lambda rows: rows.rename(columns={"is_signal_new": "is_signal"}),
            {},
            "the first is 'is_signal_new'.*did you mean 'is_signal'",
        ),
        (lambda rows: rows[["ttv"]], {}, "5 columns are missing, the first is 'E_0'"),
        (lambda rows: rows, {"key": "tables"}, "no table 'table'; did you mean 'tables'"),
        (lambda rows: rows, {"format": "fixed"}, "fixed format"),
    ],
)
def test_another_layout_is_told_and_leaves_no_file(tmp_path, change, more, message):
    store(change(frame(5, 1)), tmp_path / "train.h5", **more)
    with pytest.raises(DataError, match=message):
        top.convert_top(str(tmp_path), str(tmp_path / "out"), ".parquet", progress=False)
    assert list(tmp_path.glob("out/*")) == []


def test_no_files_and_damaged_files_are_errors(tmp_path):
    (tmp_path / "other.h5").write_bytes(b"")
    with pytest.raises(DataError, match=r"none of train\.h5, val\.h5, test\.h5"):
        top.convert_top(str(tmp_path), str(tmp_path / "out"), ".parquet")
    (tmp_path / "train.h5").write_bytes(b"no HDF5")
    with pytest.raises(BadFileError, match=r"train\.h5: no readable HDF5 file"):
        top.convert_top(str(tmp_path), str(tmp_path / "out"), ".parquet")
