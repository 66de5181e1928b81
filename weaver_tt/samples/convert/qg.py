"""Quark and gluon jets, which energyflow distributes as ``QG_jets*.npz``.

Komiske, Metodiev, Thaler, doi:10.5281/zenodo.3164691.
"""

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
    labelled_jet_columns,
    matching_files,
    write_jets,
)

TRAIN_SHARE = 0.9  # of the files, in the order of their names; the others are for tests


def convert_quark_gluon(folder: str, output: str, suffix: str, progress: bool = True) -> list[Path]:
    """Convert ``QG_jets*.npz``, one new file for each; return the new files.

    They are ``train_file_0.parquet``, ``train_file_1…`` and ``test_file_0…`` (or .root).
    X (N, P, 4) has pT, rapidity, azimuth and PDG number of constituents, pT = 0 where there is
    none; y (N,) is 1 for quarks and becomes ``label``. Constituents count as massless, so that
    rapidity is pseudorapidity.

    Raises:
        DataError: there are no such files, or their layout is another.
    """
    paths = matching_files(folder, "QG_jets*.npz")
    training = max(1, round(TRAIN_SHARE * len(paths)))
    written = []
    for number, path in enumerate(paths):
        # the last files in order are for tests, and are numbered anew
        name = f"train_file_{number}" if number < training else f"test_file_{number - training}"
        target = Path(output) / f"{name}{suffix}"
        x, y = read_npz(path)
        write_jets(target, len(x), _row_chunks(x, y), progress)
        written.append(target)
    return written


def read_npz(path: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """X (N, P, 4) and y (N,) of a file.

    Raises:
        BadFileError: the file cannot be read.
        DataError: an array is missing or has another shape.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in ("X", "y") if name not in arrays.files]
            if missing:
                raise DataError(
                    f"{path}: no array {missing[0]!r}; {nearest(missing[0], arrays.files)}"
                )
            x = arrays["X"]
            y = arrays["y"]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadFileError(f"{path}: no readable .npz file ({error})") from error
    if x.ndim != 3 or x.shape[2] != 4 or y.shape != x.shape[:1]:
        raise DataError(
            f"{path}: X must be (jets, constituents, 4) and y (jets,), got {x.shape} and {y.shape}"
        )
    return x, y


def _row_chunks(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Iterator[Columns]:
    # one empty chunk of no jets settles the columns of the file
    for first in range(0, max(len(x), 1), ROWS):
        rows = slice(first, first + ROWS)
        yield jet_table(x[rows], y[rows])


def jet_table(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Columns:
    """Columns of N jets."""
    pt = x[..., 0].astype(np.float64)  # (N, P)
    rapidity = x[..., 1].astype(np.float64)
    phi = x[..., 2].astype(np.float64)
    real = pt > 0
    energy = pt * np.cosh(rapidity)
    momenta = (*px_py_pz(pt, rapidity, phi), energy)
    # the file has PDG numbers as floating-point numbers
    pid = np.rint(x[..., 3]).astype(np.int32)
    kind = np.abs(pid)
    sign = np.sign(pid)
    is_charged_hadron = np.isin(kind, CHARGED_HADRONS)
    is_lepton = np.isin(kind, (ELECTRON, MUON))
    # a lepton's PDG number is positive where its charge is negative
    charge = sign * is_charged_hadron - sign * is_lepton
    particle = {
        "part_pid": pid,
        "part_isChargedHadron": is_charged_hadron,
        "part_isNeutralHadron": np.isin(kind, NEUTRAL_HADRONS),
        "part_isPhoton": kind == PHOTON,
        "part_isElectron": kind == ELECTRON,
        "part_isMuon": kind == MUON,
        "part_charge": charge.astype(np.float32),
    }
    columns = labelled_jet_columns(momenta, real, y)
    # as simulated jets have them
    columns["jet_isQ"] = columns["label"]
    columns["jet_isG"] = 1 - columns["label"]
    for name, values in particle.items():
        columns[name] = drop_padding(values, real)
    return columns
