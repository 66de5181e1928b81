"""The one entrance to data files: ``open_reader`` picks the reader by the file's suffix."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from weaver_tt.errors import BadFileError, DataError, nearest
from weaver_tt.formats.file_groups import AWKWARD0_SUFFIX, explain_no_match, is_remote
from weaver_tt.formats.object_rows import ObjectRows
from weaver_tt.formats.parquet_reader import ParquetReader
from weaver_tt.formats.reader import Reader
from weaver_tt.formats.root_reader import open_root
from weaver_tt.formats.row_objects import RowObjects


def _open_hdf5(path: str, treename: str | None) -> Reader:
    # h5py is imported with the first file that needs it
    from weaver_tt.formats.hdf5_reader import Hdf5Reader

    return Hdf5Reader(path, treename)


# suffix, one of READABLE -> what opens (path, treename); a new format is one more entry
READERS: dict[str, Callable[[str, str | None], Reader]] = {
    ".parquet": ParquetReader,
    ".root": open_root,
    ".h5": _open_hdf5,
    ".hdf5": _open_hdf5,
}


def open_reader(
    path: str, treename: str | None = None, objects: RowObjects | None = None
) -> Reader:
    """Open a data file on this machine or behind a URL; its suffix is a key of ``READERS``.

    ``treename`` is the ROOT tree (TTree or RNTuple) or the HDF5 group. It may be left out where the
    file holds only one, and parquet files ignore it. With ``objects``, each of these is a row.

    Raises:
        DataError: the file does not exist, its suffix is unknown, or it has no such tree.
        BadFileError: the file is damaged or empty.
    """
    name = path
    if is_remote(path):
        # a query may follow the name: https://host/file.root?token=...
        name = urlsplit(path).path
    # ATLAS numbers the attempts of a grid job behind the suffix: DAOD_PHYSLITE.pool.root.1
    name = re.sub(r"\.\d+$", "", name)
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == AWKWARD0_SUFFIX:
        raise DataError(
            f"{path}: files of awkward 0 cannot be read any more; "
            "`weaver-tt convert` makes current ones from the public data sets"
        )
    if suffix not in READERS:
        raise DataError(
            f"{path}: no reader for files that end in {suffix!r}; {nearest(suffix, READERS)}"
        )
    # whether a remote file exists is only known when it is opened
    if not is_remote(path):
        if not os.path.isfile(path):
            raise DataError(f"{path}: {explain_no_match(path)}")
        if os.path.getsize(path) == 0:
            raise BadFileError(f"{path}: the file is empty (0 bytes)")
    reader = READERS[suffix](path, treename)
    if objects is None:
        return reader
    try:
        return ObjectRows(reader, objects)
    except BaseException:
        reader.close()
        raise
