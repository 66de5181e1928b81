"""Kilobytes that unpack to gigabytes are refused by their declared sizes, before decoding."""

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from weaver_tt.errors import BadFileError
from weaver_tt.formats import reader, ttree_reader
from weaver_tt.formats.open_reader import open_reader

VALUES = 1_000_000


@pytest.fixture(autouse=True)
def small_limit(monkeypatch):
    """A megabyte in place of a gigabyte."""
    for module in (reader, ttree_reader):
        monkeypatch.setattr(module, "MAX_BYTES", 10**6)


EQUAL = np.full(VALUES, 1.5, np.float32)
DIFFERENT = np.random.default_rng(1).normal(size=VALUES).astype(np.float32)
NAMES = ["list.parquet", "ttree.root", "rntuple.root"]


def write(path, values):
    """Rows of which one has a list of all ``values``; of a TTree, one value a row."""
    counts = np.zeros(50, dtype=np.int64)
    counts[20] = VALUES
    lists = ak.unflatten(values, counts)
    if path.suffix == ".parquet":
        ak.to_parquet(ak.Array({"x": lists}), path)
        return
    with uproot.recreate(path, compression=uproot.ZSTD(5)) as file:
        if path.stem == "rntuple":
            file.mkrntuple("tree", {"x": lists})
        else:
            file.mktree("tree", {"x": "float32"}).extend({"x": values})


@pytest.mark.parametrize("name", NAMES)
def test_equal_values_without_end_are_refused_with_their_sizes(tmp_path, name):
    path = tmp_path / name
    write(path, EQUAL)
    assert path.stat().st_size < 100_000
    message = rf"{name}.*: column 'x': .* bytes of the file would unpack to 4,0\d\d,\d\d\d bytes"
    with open_reader(str(path), "tree") as opened, pytest.raises(BadFileError, match=message):
        opened.read(["x"], 0, 10)


@pytest.mark.parametrize("name", NAMES)
def test_large_data_are_no_bomb(tmp_path, name):
    path = tmp_path / name
    write(path, DIFFERENT)
    with open_reader(str(path), "tree") as opened:
        assert len(opened.read(["x"], 0, 30)["x"]) == 30


def test_one_value_a_row_is_read_in_parts_however_many_there_are(tmp_path):
    path = tmp_path / "flat.parquet"
    pq.write_table(pa.table({"x": EQUAL}), path, row_group_size=VALUES)
    assert path.stat().st_size < 4000
    with open_reader(str(path)) as opened:
        assert opened.read(["x"], VALUES - 3, VALUES)["x"].tolist() == [1.5] * 3
