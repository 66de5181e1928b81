"""The top tagging reference data set (Kasieczka, Plehn, Thompson, Russell, doi:10.5281/zenodo.2603256; described in arXiv:1902.09914)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from weaver_tt.errors import BadFileError, DataError, nearest
from weaver_tt.samples.convert.tables import (
    ROWS,
    Columns,
    find_files,
    labelled_jet_columns,
    write_jets,
)
from weaver_tt.system.optional_imports import require_module

PARTS = ("train", "val", "test")
KEY = "table"  # of the pandas table in each file
SIGNAL = "is_signal_new"


def convert_top(folder: str, output: str, suffix: str, progress: bool = True) -> list[Path]:
    """``train.h5 val.h5 test.h5``, those that are in ``folder`` -> ``train_file_0.parquet`` and so on (or .root); returns the new files.

    Rows have up to 200 constituents as columns ``E_0 PX_0 PY_0 PZ_0 … PZ_199``, where E = 0 is padding, and ``is_signal_new``, which becomes
    ``label``. Raises DataError for other layouts and where there is none of the files.
    """
    written = []
    for path in find_files(folder, "*.h5"):
        if path.stem in PARTS:
            written.append(Path(output) / f"{path.stem}_file_0{suffix}")
            convert_top_file(path, written[-1], progress)
    if not written:
        raise DataError(f"{folder}: none of {', '.join(f'{part}.h5' for part in PARTS)}")
    return written


def convert_top_file(path: Path, target: Path, progress: bool) -> None:
    """One file, ``ROWS`` jets at a time."""
    pandas = require_module("pandas", "convert", "convert top")
    require_module("tables", "convert", "convert top")
    with contextlib.ExitStack() as stack:
        try:
            store = stack.enter_context(pandas.HDFStore(path, "r"))
        except (OSError, RuntimeError) as error:
            raise BadFileError(f"{path}: no readable HDF5 file ({error})") from error
        paths = store.keys()
        known = [name.lstrip("/") for name in paths]
        if KEY not in known:
            raise DataError(f"{path}: no table {KEY!r}; {nearest(KEY, known)}")
        if not store.get_storer(KEY).is_table:
            raise DataError(
                f"{path}: {KEY!r} is in pandas' fixed format, which cannot be read in pieces; write it with format='table'"
            )
        rows = store.get_storer(KEY).nrows
        names = constituent_columns(path, list(store.select(KEY, stop=1).columns))
        write_jets(target, rows, _row_chunks(store, rows, names), progress)


def constituent_columns(path: Path, columns: list[str]) -> list[list[str]]:
    """Names of the columns (px, py, pz, E) of all constituents, each a list of P; DataError names what is missing."""
    number = sum(name.startswith("E_") for name in columns)
    names = [
        [f"{axis}_{place}" for place in range(max(number, 1))] for axis in ("PX", "PY", "PZ", "E")
    ]
    missing = sorted({*(name for axis in names for name in axis), SIGNAL} - set(columns))
    if missing:
        raise DataError(
            f"{path}: {len(missing)} columns are missing, the first is {missing[0]!r}; {nearest(missing[0], columns)}"
        )
    return names


def _row_chunks(store: Any, rows: int, names: list[list[str]]) -> Iterator[Columns]:
    for first in range(
        0, max(rows, 1), ROWS
    ):  # one empty piece of an empty table settles the columns
        frame = store.select(KEY, start=first, stop=first + ROWS)
        momenta = [frame[axis].to_numpy(np.float64) for axis in names]
        yield labelled_jet_columns(momenta, momenta[3] > 0, frame[SIGNAL].to_numpy())
