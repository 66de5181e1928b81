"""Quark and gluon jets (Komiske, Metodiev, Thaler, doi:10.5281/zenodo.3164691), which energyflow distributes as ``QG_jets*.npz``."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from weaver_tt.errors import BadFileError, DataError, nearest
from weaver_tt.physics.four_momentum import px_py_pz
from weaver_tt.physics.particles import (
    CHARGED_HADRONS,
    ELECTRON,
    MUON,
    NEUTRAL_HADRONS,
    PHOTON,
)
from weaver_tt.samples.convert.tables import (
    ROWS,
    Columns,
    drop_padding,
    find_files,
    labelled_jet_columns,
    write_jets,
)

TRAIN_SHARE = 0.9  # of the files, in the order of their names; the others are for tests


def convert_quark_gluon(folder: str, output: str, suffix: str, progress: bool = True) -> list[Path]:
    """``QG_jets*.npz`` -> ``train_file_0.parquet``, ``train_file_1…`` and ``test_file_0…`` (or .root), one for each; returns the new files.

    X (N, P, 4) has pT, rapidity, azimuth and PDG number of constituents, pT = 0 where there is none; y (N,) is 1 for quarks and becomes
    ``label``. Constituents count as massless, so that rapidity is pseudorapidity. Raises DataError for other layouts and where there are no files.
    """
    paths = find_files(folder, "QG_jets*.npz")
    training = max(1, round(TRAIN_SHARE * len(paths)))
    written = []
    for number, path in enumerate(paths):
        name = f"train_file_{number}" if number < training else f"test_file_{number - training}"
        written.append(Path(output) / f"{name}{suffix}")
        x, y = read_npz(path)
        write_jets(written[-1], len(x), _row_chunks(x, y), progress)
    return written


def read_npz(path: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """X (N, P, 4) and y (N,) of a file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in ("X", "y") if name not in arrays.files]
            if missing:
                raise DataError(
                    f"{path}: no array {missing[0]!r}; {nearest(missing[0], arrays.files)}"
                )
            x, y = arrays["X"], arrays["y"]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadFileError(f"{path}: no readable .npz file ({error})") from error
    if x.ndim != 3 or x.shape[2] != 4 or y.shape != x.shape[:1]:
        raise DataError(
            f"{path}: X must be (jets, constituents, 4) and y (jets,), got {x.shape} and {y.shape}"
        )
    return x, y


def _row_chunks(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Iterator[Columns]:
    for first in range(0, max(len(x), 1), ROWS):  # one empty piece of no jets settles the columns
        yield jet_table(x[first : first + ROWS], y[first : first + ROWS])


def jet_table(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Columns:
    """Columns of N jets."""
    pt, rapidity, phi = (x[..., axis].astype(np.float64) for axis in range(3))
    pid, real = np.rint(x[..., 3]).astype(np.int32), pt > 0
    momenta = (*px_py_pz(pt, rapidity, phi), pt * np.cosh(rapidity))
    kind, sign = np.abs(pid), np.sign(pid)
    charged = np.isin(kind, CHARGED_HADRONS)
    particle = {
        "part_pid": pid,
        "part_isChargedHadron": charged,
        "part_isNeutralHadron": np.isin(kind, NEUTRAL_HADRONS),
        "part_isPhoton": kind == PHOTON,
        "part_isElectron": kind == ELECTRON,
        "part_isMuon": kind == MUON,
        # a lepton's PDG number is positive where its charge is negative
        "part_charge": (sign * charged - sign * np.isin(kind, (ELECTRON, MUON))).astype(np.float32),
    }
    return labelled_jet_columns(momenta, real, y) | {
        name: drop_padding(values, real) for name, values in particle.items()
    }
