"""The same rows from every format, and one clear error for whatever is wrong with a file."""

from __future__ import annotations

import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from tests.old_versions import may_close_late
from weaver_tt.errors import BadFileError, DataError
from weaver_tt.formats.open_reader import READERS, open_reader

ROWS = 300
CLUSTER = 100
FORMATS = ["ttree.root", "rntuple.root", "rows.parquet", "rows.h5"]
INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


def make_table():
    """300 rows of all the types there are.

    Two list columns with the same counts (empty rows among them), every integer width up to its
    largest value, floats, booleans.
    """
    random = np.random.default_rng(0)
    counts = random.poisson(3, ROWS)
    pt = random.normal(size=counts.sum()).round(2).astype("float32")
    table = {
        "jet_pt": ak.unflatten(pt, counts),
        "jet_id": ak.unflatten(random.integers(0, 256, counts.sum()).astype("uint8"), counts),
    }
    table |= {
        f"scalar_{kind}": random.integers(
            np.iinfo(kind).min, np.iinfo(kind).max, ROWS, kind, endpoint=True
        )
        for kind in INTEGERS
    }
    return table | {"met": random.normal(size=ROWS), "passed": random.random(ROWS) > 0.5}


def write_root(path, table, make):
    """Three clusters of 100 rows each."""
    parts = [
        {name: values[first : first + CLUSTER] for name, values in table.items()}
        for first in range(0, ROWS, CLUSTER)
    ]
    with uproot.recreate(path, compression=uproot.LZ4(4)) as file:
        if make == "mktree":
            tree = file.mktree(
                "tree",
                {
                    name: v.type.content if isinstance(v, ak.Array) else v.dtype
                    for name, v in table.items()
                },
            )
            tree.extend(parts[0])
        else:
            tree = file.mkrntuple("tree", parts[0])
        for part in parts[1:]:
            tree.extend(part)


def write_hdf5(path, table):
    """Lists become the compound table ``jet`` with ``valid``, padded to 20."""
    with h5py.File(path, "w") as file:
        valid = np.arange(20) < ak.to_numpy(ak.num(table["jet_pt"]))[:, None]
        jets = np.zeros(valid.shape, [("pt", "f4"), ("id", "u1"), ("valid", "?")])
        jets["valid"] = valid
        for name in ("pt", "id"):
            jets[name][valid] = ak.to_numpy(ak.flatten(table[f"jet_{name}"]))
        file.create_dataset("jet", data=jets, chunks=(CLUSTER, 20), compression="gzip")
        for name, values in table.items():
            if not isinstance(values, ak.Array):
                file.create_dataset(name, data=values, chunks=(CLUSTER,), compression="gzip")


@pytest.fixture(scope="module")
def table():
    return make_table()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, table):
    """One file of each format with the rows of ``table``."""
    folder = tmp_path_factory.mktemp("formats")
    write_root(folder / "ttree.root", table, "mktree")
    write_root(folder / "rntuple.root", table, "mkrntuple")
    arrow = {
        name: ak.to_arrow(values, extensionarray=False) if isinstance(values, ak.Array) else values
        for name, values in table.items()
    }
    pq.write_table(pa.table(arrow), folder / "rows.parquet", row_group_size=CLUSTER)
    write_hdf5(folder / "rows.h5", table)
    return folder


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 300), (100, 200), (0, 150), (150, 300), (99, 101), (40, 60), (7, 7), (300, 300)],
)
def test_every_format_gives_the_same_rows_with_their_types(folder, table, name, first, last):
    with open_reader(str(folder / name)) as reader:
        assert reader.rows() == ROWS
        assert reader.clusters(list(table)) == [0, 100, 200, 300]
        assert set(table) <= set(reader.columns())
        got = reader.read(list(table), first, last)
    assert list(got) == list(table)
    for column, values in table.items():
        assert got[column].to_list() == values[first:last].tolist()
        assert str(got[column].type).split(" * ")[-1] == str(ak.Array(values).type).split(" * ")[-1]
    assert got["jet_pt"].layout.offsets is got["jet_id"].layout.offsets


@pytest.mark.parametrize("name", FORMATS)
def test_types_are_those_of_the_rows_without_reading_any(folder, table, name):
    with open_reader(str(folder / name)) as reader:
        types = reader.types(list(table))
        rows = reader.read(list(table), 0, ROWS)
    assert {column: str(kind) for column, kind in types.items()} == {
        column: str(array.type.content) for column, array in rows.items()
    }


@pytest.mark.parametrize("name", ["ttree.root", "rntuple.root"])
def test_types_are_known_where_all_data_are_gone(folder, table, tmp_path, name, monkeypatch):
    with open_reader(str(folder / name)) as reader:
        expected = reader.types(list(table))
    with open_reader(str(folder / name)) as reader:
        monkeypatch.setattr(reader, "_read", None)
        if name == "ttree.root":
            for branch in reader._branches.values():
                monkeypatch.setattr(branch, "basket", None)
        else:
            monkeypatch.setattr(reader._ntuple, "read_cluster_range", None)
        assert reader.types(list(table)) == expected


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_name_the_type_that_it_stores(folder, name):
    with open_reader(str(folder / name)) as reader:
        assert re.search("u?int8|uint8_t|TLeafB", reader.stored_type("scalar_int8"))


@pytest.mark.parametrize("name", FORMATS)
def test_pieces_of_clusters_add_up_to_the_whole(folder, name):
    with open_reader(str(folder / name)) as reader:
        whole = reader.read(["jet_pt"], 0, ROWS)["jet_pt"]
        pieces = [
            reader.read(["jet_pt"], first, first + 20)["jet_pt"] for first in range(0, ROWS, 20)
        ]
    assert ak.concatenate(pieces).to_list() == whole.to_list()


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_column_names_the_file_and_the_nearest(folder, name):
    with (
        open_reader(str(folder / name)) as reader,
        pytest.raises(DataError, match=rf"{name}.*: no column 'jet_ptt'; did you mean 'jet_pt'"),
    ):
        reader.read(["jet_ptt"], 0, 1)


@may_close_late
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_short_is_a_bad_file_wherever_it_is_cut(folder, tmp_path, name):
    data = (folder / name).read_bytes()
    for part in (0.01, 0.3, 0.6, 0.9, 0.99):
        path = tmp_path / name
        path.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(BadFileError, match=name), open_reader(str(path), None) as reader:
            reader.read(reader.columns(), 0, reader.rows())


@pytest.mark.parametrize("name", FORMATS)
def test_damage_that_shows_only_when_rows_are_decoded_is_a_bad_file(folder, tmp_path, name):
    data = bytearray((folder / name).read_bytes())
    with uproot.open(folder / "ttree.root") as file:
        basket = int(file["tree"]["jet_pt"].member("fBasketSeek")[1])
    with h5py.File(folder / "rows.h5") as file:
        chunk = file["met"].id.get_chunk_info(1).byte_offset
    with uproot.open(folder / "rntuple.root") as file:
        page = file["tree"].page_link_list[1][0].pages[0].locator.offset
    starts = {
        "ttree.root": basket + 100,
        "rntuple.root": page,
        "rows.parquet": 10,
        "rows.h5": chunk + 20,
    }
    data[starts[name] : starts[name] + 200] = b"\xff" * 200
    path = tmp_path / name
    path.write_bytes(data)
    with (
        open_reader(str(path)) as reader,
        pytest.raises(BadFileError, match=f"{name}.*rows 0 to 300 cannot be read"),
    ):
        reader.read(reader.columns(), 0, reader.rows())


@may_close_late
@pytest.mark.parametrize("suffix", list(READERS))
def test_an_empty_file_and_a_text_file_are_bad_files(tmp_path, suffix):
    (tmp_path / f"empty{suffix}").touch()
    (tmp_path / f"text{suffix}").write_text("not what the name says " * 50)
    with pytest.raises(BadFileError, match=rf"empty{suffix}: the file is empty \(0 bytes\)"):
        open_reader(str(tmp_path / f"empty{suffix}"))
    with pytest.raises(BadFileError, match=f"text{suffix}: the file cannot be read"):
        open_reader(str(tmp_path / f"text{suffix}"))


def test_a_missing_file_is_not_a_bad_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.root: no such file") as caught:
        open_reader(str(tmp_path / "none.root"))
    assert not isinstance(caught.value, BadFileError)


@pytest.mark.parametrize("path", ["rows.csv", "https://example.org/rows.csv?f=a.root"])
def test_an_unknown_suffix_lists_the_known_ones(path):
    with pytest.raises(
        DataError, match=re.escape("files that end in '.csv'; known: .h5, .hdf5, .parquet, .root")
    ):
        open_reader(path)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_without_rows_has_one_border_and_empty_columns(tmp_path, table, name):
    path = tmp_path / name
    if name.endswith(".parquet"):
        pq.write_table(
            pa.table(
                {"jet_pt": pa.array([], pa.list_(pa.float32())), "met": pa.array([], pa.float64())}
            ),
            path,
        )
    elif name.endswith(".h5"):
        with h5py.File(path, "w") as file:
            file["met"] = np.zeros(0)
            file["jet"] = np.zeros((0, 5), [("pt", "f4"), ("valid", "?")])
    else:
        with uproot.recreate(path) as file:
            empty = {
                "jet_pt": ak.values_astype(ak.Array([[1.0]]), "float32")[:0],
                "met": np.zeros(0),
            }
            file.mkrntuple("tree", empty) if "rntuple" in name else file.mktree(
                "tree", {"jet_pt": "var * float32", "met": "float64"}
            )
    with open_reader(str(path)) as reader:
        assert (reader.rows(), reader.clusters(["jet_pt"])) == (0, [0])
        got = reader.read(["jet_pt", "met"], 0, 0)
    assert str(got["jet_pt"].type) == "0 * var * float32"
    assert str(got["met"].type) == "0 * float64"


class Ranges(SimpleHTTPRequestHandler):
    """A file server that understands byte ranges, as data servers do."""

    def log_message(self, *arguments):
        """Keep quiet."""

    def do_HEAD(self):
        self.reply(send=False)

    def do_GET(self):
        self.reply(send=True)

    def reply(self, send):
        file = Path(self.directory + self.path.partition("?")[0])
        if not file.is_file():
            self.send_error(404)
            return
        data = file.read_bytes()
        size = file.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        self.send_response(206 if asked else 200)
        if asked:
            first = int(asked[1])
            last = min(int(asked[2] or size), size - 1)
            data = data[first : last + 1]
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if send:
            self.wfile.write(data)


@pytest.fixture(scope="module")
def server(folder):
    """Address of a server of ``folder``."""
    pytest.importorskip("aiohttp")
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: Ranges(*arguments, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", FORMATS)
def test_files_behind_a_url_are_read_by_ranges(server, table, name):
    with open_reader(f"{server}/{name}?token=a.b") as reader:
        got = reader.read(["jet_pt", "met"], 150, 250)
    assert got["jet_pt"].to_list() == table["jet_pt"][150:250].to_list()
    assert got["met"].to_list() == table["met"][150:250].tolist()


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_remote_file_is_a_data_error(server, name):
    with pytest.raises(DataError, match=f"none-{name}"):
        open_reader(f"{server}/none-{name}")


def test_a_number_behind_the_suffix_is_that_of_a_grid_jobs_attempt(tmp_path):
    path = tmp_path / "DAOD_PHYSLITE.1234._000012.pool.root.1"
    with uproot.recreate(path) as file:
        file.mktree("CollectionTree", {"x": np.arange(3)})
    with open_reader(str(path)) as reader:
        assert reader.rows() == 3
    (tmp_path / "data.txt.1").write_text("x")
    with pytest.raises(DataError, match=r"no reader for files that end in '\.txt'"):
        open_reader(str(tmp_path / "data.txt.1"))
