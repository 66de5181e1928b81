"""What the converters share: from arrays of padded constituents to a file of jets, in chunks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.errors import DataError, nearest
from weaver_tt.formats.writers import open_writer
from weaver_tt.physics.jet_columns import momentum_columns
from weaver_tt.system.progress_bar import progress_bar

Floats = npt.NDArray[np.float64]
Columns = dict[str, Any]

ROWS = 10_000  # jets in memory at once, padded


def drop_padding(values: npt.NDArray[Any], real: npt.NDArray[np.bool_]) -> ak.Array:
    """Padded (N, P) values without those that ``real`` (N, P) says are padding: (N, var)."""
    return ak.unflatten(values[real], real.sum(axis=1))


def labelled_jet_columns(
    momenta: Iterable[Floats], real: npt.NDArray[np.bool_], label: npt.NDArray[Any]
) -> Columns:
    """Columns of N jets: those of ``momentum_columns``, and ``label`` (N,).

    ``momenta``: padded (px, py, pz, E), each (N, P).
    """
    jagged = [drop_padding(np.asarray(values, np.float64), real) for values in momenta]
    columns = momentum_columns(*jagged)
    columns["label"] = label.astype(np.int32)
    return columns


def write_jets(path: Path, rows: int, chunks: Iterable[Columns], progress: bool) -> None:
    """Write ``rows`` jets, which come in chunks, to ``path``."""
    with (
        open_writer(path) as writer,
        progress_bar(path.name, rows, "jet", progress) as advance,
    ):
        for columns in chunks:
            writer.write(columns)
            advance(len(columns["label"]))


def matching_files(folder: str, pattern: str) -> list[Path]:
    """Files of a folder that match, sorted by name.

    Raises:
        DataError: there are none; the message says what there is.
    """
    matching = sorted(Path(folder).glob(pattern))
    if matching:
        return matching
    present = [path.name for path in Path(folder).glob("*")]
    if not present:
        raise DataError(f"{folder}: no such folder, or nothing in it")
    raise DataError(f"{folder}: no file {pattern!r} there; {nearest(pattern, present)}")
