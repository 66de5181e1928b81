"""The one door to data files: ``open_reader`` picks the reader by the file's suffix."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from weaver_tt.errors import BadFileError, DataError, nearest
from weaver_tt.formats.file_groups import AWKWARD0_SUFFIX, is_remote
from weaver_tt.formats.hdf5_reader import Hdf5Reader
from weaver_tt.formats.parquet_reader import ParquetReader
from weaver_tt.formats.reader import Reader
from weaver_tt.formats.root_reader import open_root

READERS = {".root": open_root, ".parquet": ParquetReader, ".h5": Hdf5Reader, ".hdf5": Hdf5Reader}


def open_reader(path: str, treename: str | None = None) -> Reader:
    """Open a data file: ``.root`` (TTree, RNTuple), ``.parquet``, ``.h5`` or ``.hdf5``, on this machine or behind a URL.

    ``treename``: ROOT tree, or HDF5 group; may be left out where there is only one choice, and does not matter to parquet.
    Raises DataError for a missing file, unknown suffix or missing tree, BadFileError for a file that is damaged or empty.
    """
    name = urlsplit(path).path if is_remote(path) else path
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == AWKWARD0_SUFFIX:
        raise DataError(
            f"{path}: a file of awkward 0, which nothing reads any more; `weaver-tt convert` makes such as are read of public data"
        )
    if suffix not in READERS:
        raise DataError(
            f"{path}: no reader for files that end in {suffix!r}; {nearest(suffix, READERS)}"
        )
    if not is_remote(path):
        if not os.path.isfile(path):
            raise DataError(f"{path}: no such file")
        if os.path.getsize(path) == 0:
            raise BadFileError(f"{path}: the file is empty (0 bytes)")
    return READERS[suffix](path, treename)
