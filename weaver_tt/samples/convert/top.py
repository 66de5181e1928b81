"""The top tagging reference data set.

Kasieczka, Plehn, Thompson, Russell, doi:10.5281/zenodo.2603256; described in arXiv:1902.09914.
"""

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
    labelled_jet_columns,
    matching_files,
    write_jets,
)
from weaver_tt.system.optional_imports import require_module

PARTS = ("train", "val", "test")
KEY = "table"  # of the pandas table in each file
SIGNAL = "is_signal_new"


def convert_top(folder: str, output: str, suffix: str, progress: bool = True) -> list[Path]:
    """Convert those of ``train.h5 val.h5 test.h5`` that are in ``folder``; return the new files.

    They are ``train_file_0.parquet`` and so on (or .root). Rows have up to 200 constituents as
    columns ``E_0 PX_0 PY_0 PZ_0 … PZ_199``, where E = 0 is padding, and ``is_signal_new``, which
    becomes ``label``, and the classes ``label_Tbqq`` and ``label_QCD`` of JetClass.

    Raises:
        DataError: none of the files is there, or their layout is another.
    """
    written = []
    for path in matching_files(folder, "*.h5"):
        if path.stem not in PARTS:
            continue
        target = Path(output) / f"{path.stem}_file_0{suffix}"
        convert_top_file(path, target, progress)
        written.append(target)
    if not written:
        raise DataError(f"{folder}: none of {', '.join(f'{part}.h5' for part in PARTS)}")
    return written


def convert_top_file(path: Path, target: Path, progress: bool) -> None:
    """Convert one file, ``ROWS`` jets at a time."""
    pandas = require_module("pandas", "convert", "convert top")
    require_module("tables", "convert", "convert top")
    with contextlib.ExitStack() as stack:
        try:
            store = stack.enter_context(pandas.HDFStore(path, "r"))
        except (OSError, RuntimeError) as error:
            raise BadFileError(f"{path}: no readable HDF5 file ({error})") from error
        known = [name.lstrip("/") for name in store]
        if KEY not in known:
            raise DataError(f"{path}: no table {KEY!r}; {nearest(KEY, known)}")
        if not store.get_storer(KEY).is_table:
            raise DataError(
                f"{path}: {KEY!r} is in pandas' fixed format, which cannot be read in pieces; "
                f"write it with format='table'"
            )
        rows = store.get_storer(KEY).nrows
        columns = list(store.select(KEY, stop=1).columns)
        names = constituent_columns(path, columns)
        write_jets(target, rows, _row_chunks(store, rows, names), progress)


def constituent_columns(path: Path, columns: list[str]) -> list[list[str]]:
    """Names of the columns (px, py, pz, E) of all constituents, each a list of P.

    Raises:
        DataError: a column is missing.
    """
    number = sum(name.startswith("E_") for name in columns)
    names = []
    for axis in ("PX", "PY", "PZ", "E"):
        # at least the first, so that the message names it where there is none
        names.append([f"{axis}_{place}" for place in range(max(number, 1))])
    expected = {SIGNAL}.union(*names)
    missing = sorted(expected - set(columns))
    if missing:
        raise DataError(
            f"{path}: {len(missing)} columns are missing, the first is {missing[0]!r}; "
            f"{nearest(missing[0], columns)}"
        )
    return names


def _row_chunks(store: Any, rows: int, names: list[list[str]]) -> Iterator[Columns]:
    # one empty chunk of an empty table settles the columns of the file
    for first in range(0, max(rows, 1), ROWS):
        frame = store.select(KEY, start=first, stop=first + ROWS)
        momenta = [frame[axis].to_numpy(np.float64) for axis in names]  # px, py, pz, E: (N, P) each
        real = momenta[3] > 0
        columns = labelled_jet_columns(momenta, real, frame[SIGNAL].to_numpy())
        # by the names of simulated jets and of JetClass, so that one data YAML does for all
        columns["label_Tbqq"] = columns["label"]
        columns["label_QCD"] = 1 - columns["label"]
        yield columns
