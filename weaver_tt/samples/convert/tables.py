"""What the converters share: from arrays of padded constituents to a file of jets, piece by piece."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from weaver_tt.errors import DataError, nearest
from weaver_tt.formats.writers import open_writer
from weaver_tt.physics.jet_columns import momentum_columns

Floats = npt.NDArray[np.float64]
Columns = dict[str, Any]

ROWS = 10_000  # jets in memory at once, padded


def drop_padding(values: npt.NDArray[Any], real: npt.NDArray[np.bool_]) -> ak.Array:
    """Padded (N, P) values without those that ``real`` (N, P) says are padding."""
    return ak.unflatten(values[real], real.sum(axis=1))


def labelled_jet_columns(
    momenta: Iterable[Floats], real: npt.NDArray[np.bool_], label: npt.NDArray[Any]
) -> Columns:
    """Columns of N jets: those of ``momentum_columns`` from padded (px, py, pz, E), each (N, P), and ``label`` (N,)."""
    return momentum_columns(
        *(drop_padding(np.asarray(values, np.float64), real) for values in momenta)
    ) | {"label": label.astype(np.int32)}


def write_jets(path: Path, rows: int, pieces: Iterable[Columns], progress: bool) -> None:
    """Write ``rows`` jets, which come in pieces, to ``path``."""
    with (
        open_writer(path) as writer,
        tqdm(total=rows, unit="jet", desc=path.name, disable=not progress) as bar,
    ):
        for columns in pieces:
            writer.write(columns)
            bar.update(len(columns["label"]))


def find_files(folder: str, pattern: str) -> list[Path]:
    """Files of a folder that match, sorted by name; DataError where there are none, with what there is."""
    found = sorted(Path(folder).glob(pattern))
    if not found:
        there = [path.name for path in Path(folder).glob("*")]
        raise DataError(
            f"{folder}: no file {pattern!r} there; {nearest(pattern, there)}"
            if there
            else f"{folder}: no such folder, or nothing in it"
        )
    return found
