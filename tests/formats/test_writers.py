"""Writers keep every row, every type and the lists' lengths, or leave no file at all."""

import resource
from collections.abc import Iterable
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from weaver_tt.errors import BadFileError, DataError, OutputError
from weaver_tt.formats import writers
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.writers import open_writer

FORMATS = [".root", ".parquet"]
DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float32",
    "float64",
]


def read(path: Path, tree: str = "tree") -> dict[str, ak.Array]:
    """Columns of a written file, without ROOT's counters."""
    if path.suffix == ".parquet":
        table = ak.from_parquet(path)
        return {name: table[name] for name in table.fields}
    with uproot.open(path) as file:
        return {
            name: branch.array()
            for name, branch in file[tree].items()
            if branch.typename != "int32_t" or not name.startswith("n")
        }


def write_all(path: Path, batches: Iterable[dict]) -> None:
    with open_writer(path) as writer:
        for batch in batches:
            writer.write(batch)


def jagged(lists: list, dtype: str = "float32") -> ak.Array:
    return ak.values_astype(ak.Array(lists), dtype)


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"out{request.param}"


@pytest.mark.parametrize("dtype", DTYPES)
def test_scalars_and_lists_keep_type_and_values(path, dtype):
    scalars = np.array([1, 0, 1], dtype)
    lists = jagged([[1, 0], [], [1]], dtype)
    with open_writer(path) as writer:
        writer.write({"a": scalars, "b": lists})
    found = read(path)
    assert str(found["a"].type) == f"3 * {dtype}"
    assert str(found["b"].type) == f"3 * var * {dtype}"
    assert found["a"].tolist() == scalars.tolist()
    assert found["b"].tolist() == lists.tolist()


def test_fixed_size_columns_stay_fixed(path):
    block = np.arange(6, dtype="int16").reshape(2, 3)
    with open_writer(path) as writer:
        writer.write({"block": block})
        writer.write({"block": block + 10})
    found = read(path)["block"]
    assert str(found.type) == "4 * 3 * int16"
    assert found.tolist() == [[0, 1, 2], [3, 4, 5], [10, 11, 12], [13, 14, 15]]


def test_strings_are_written(path):
    with open_writer(path) as writer:
        writer.write({"era": ak.Array(["2022", "2022EE"])})
    assert read(path)["era"].tolist() == ["2022", "2022EE"]


def test_lists_of_strings_go_to_parquet_only(tmp_path):
    column = {"names": ak.Array([["a", "b"], []])}
    with open_writer(tmp_path / "out.parquet") as writer:
        writer.write(column)
    assert read(tmp_path / "out.parquet")["names"].tolist() == [["a", "b"], []]
    with (
        pytest.raises(OutputError, match=r"'names' is var \* string"),
        open_writer(tmp_path / "out.root") as writer,
    ):
        writer.write(column)


def test_lists_of_lists_are_refused_by_root_and_named(tmp_path):
    with (
        pytest.raises(OutputError, match=r"'deep' is var \* var \* int64.*parquet"),
        open_writer(tmp_path / "out.root") as writer,
    ):
        writer.write({"deep": ak.Array([[[1], []]])})
    assert list(tmp_path.iterdir()) == []


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    batches=st.lists(
        st.lists(st.lists(st.integers(-9, 9), max_size=3), max_size=4), min_size=1, max_size=5
    ),
    together=st.integers(1, 6),
)
def test_every_row_of_every_batch_arrives_in_order(tmp_path, monkeypatch, batches, together):
    """Whatever the batches' sizes and the rows of a basket, one row and none at all included."""
    monkeypatch.setattr(writers, "ROWS_PER_BASKET", together)
    rows = [row for batch in batches for row in batch]
    for suffix in FORMATS:
        path = tmp_path / f"out{suffix}"
        with open_writer(path) as writer:
            for batch in batches:
                lists = jagged([*batch, [0]], "int32")[:-1]
                writer.write({"x": lists, "first": np.asarray(ak.num(lists))})
        assert writer.rows == len(rows)
        assert read(path)["x"].tolist() == rows
        assert read(path)["first"].tolist() == [len(row) for row in rows]
        assert str(read(path)["x"].type) == f"{len(rows)} * var * int32"


def test_a_file_of_one_row_has_one_row(path):
    with open_writer(path) as writer:
        writer.write({"x": np.array([7.0])})
    assert read(path)["x"].tolist() == [7.0]


def test_no_rows_give_a_file_with_typed_columns(path):
    with open_writer(path) as writer:
        writer.write({"x": np.zeros(0, "float32"), "y": jagged([[1]])[:0]})
    found = read(path)
    assert str(found["x"].type) == "0 * float32"
    assert str(found["y"].type) == "0 * var * float32"


def test_not_even_column_names_is_an_error(path):
    with pytest.raises(OutputError, match="nothing was written"), open_writer(path):
        pass
    assert list(path.parent.iterdir()) == []


def test_baskets_hold_many_batches(tmp_path):
    path = tmp_path / "out.root"
    with open_writer(path) as writer:
        for _ in range(1000):
            writer.write({"x": np.zeros(100, "float32")})  # 100k rows
    with uproot.open(path) as file:
        assert file["tree/x"].num_entries == 100_000
        assert file["tree/x"].num_baskets == 2


def test_waiting_rows_are_bounded_in_bytes(path, monkeypatch):
    monkeypatch.setattr(writers, "BYTES_PER_BASKET", 1000)
    with open_writer(path) as writer:
        for _ in range(10):
            writer.write({"x": np.zeros(100)})  # 800 bytes: every second batch empties the buffer
            assert writer._waiting_bytes < 1000
    assert len(read(path)["x"]) == 1000


def test_empty_lists_keep_the_type_that_comes_later_or_came_before(path):
    with open_writer(path) as writer:
        writer.write({"x": ak.Array([[], []])})
        writer.write({"x": jagged([[1], [2, 3]], "uint8")})
        writer.write({"x": ak.Array([[]])})
    found = read(path)["x"]
    assert str(found.type) == "5 * var * uint8"
    assert found.tolist() == [[], [], [1], [2, 3], []]


def test_lists_that_are_always_empty_become_floats(path):
    with open_writer(path) as writer:
        writer.write({"x": ak.Array([[], []])})
    assert str(read(path)["x"].type) == "2 * var * float32"


def test_the_callers_buffers_may_be_overwritten(path):
    buffer = np.zeros(3, "float32")
    lists = ak.unflatten(buffer, [1, 2])
    with open_writer(path) as writer:
        for value in (1, 2):
            buffer[:] = value
            writer.write({"x": buffer[:2], "y": lists})
    assert read(path)["x"].tolist() == [1, 1, 2, 2]
    assert read(path)["y"].tolist() == [[1], [1, 1], [2], [2, 2]]


def test_option_types_without_missing_values_are_plain(path):
    with open_writer(path) as writer:
        writer.write(
            {
                "x": ak.mask(jagged([[1.0], [2.0]]), [True, True]),
                "y": ak.mask(np.array([1, 2]), [True, True]),
            }
        )
    assert str(read(path)["x"].type) == "2 * var * float32"
    assert str(read(path)["y"].type) == "2 * int64"


def test_missing_values_are_an_error_with_the_columns_name(path):
    with (
        pytest.raises(DataError, match=r"'x' \(\?int64\) has missing values"),
        open_writer(path) as writer,
    ):
        writer.write({"x": ak.Array([1, None])})


def test_notes_on_columns_do_not_matter(path):
    noted = ak.with_parameter(jagged([[1.0]]), "__doc__", "transverse momentum")
    with open_writer(path) as writer:
        writer.write({"x": noted})
        writer.write({"x": jagged([[2.0]])})
    assert str(read(path)["x"].type) == "2 * var * float32"


def test_a_column_named_like_a_counter_keeps_its_values(tmp_path):
    path = tmp_path / "out.root"
    with open_writer(path) as writer:
        writer.write({"jet": jagged([[1], [2, 3]]), "njet": np.array([8, 9], "int32")})
    with uproot.open(path) as file:
        assert file["tree/njet"].array().tolist() == [8, 9]
        assert file["tree/jet"].array().tolist() == [[1], [2, 3]]


def test_the_tree_is_named(tmp_path):
    with open_writer(tmp_path / "out.root", tree="Events") as writer:
        writer.write({"x": np.arange(3)})
    assert read(tmp_path / "out.root", "Events")["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"x": np.zeros(2, "float64"), "y": np.zeros(2)}, "'x' was float32 and is now float64"),
        ({"x": jagged([[1], [2]]), "y": np.zeros(2)}, r"'x' was float32 and is now var \* float32"),
        ({"x": np.zeros(2, "float32")}, "columns y are not in all batches"),
        (
            {"x": np.zeros(2, "float32"), "y": np.zeros(2), "z": np.zeros(2)},
            "columns z are not in all batches",
        ),
        (
            {"x": np.zeros(2, "float32"), "y": np.zeros(3)},
            "differ in their number of rows: {'x': 2, 'y': 3}",
        ),
    ],
)
def test_columns_that_change_are_an_error_and_leave_no_file(path, second, message):
    with pytest.raises(DataError, match=message):
        write_all(path, [{"x": np.zeros(2, "float32"), "y": np.zeros(2)}, second])
    assert list(path.parent.iterdir()) == []


def test_a_note_stands_beside_the_rows(path):
    with open_writer(path) as writer:
        writer.annotate("lost", '[{"path": "f\u00fcr.root"}]')
        writer.write({"x": np.arange(3)})
    assert read(path)["x"].tolist() == [0, 1, 2]
    if path.suffix == ".parquet":
        text = pq.read_metadata(path).metadata
        assert text[b"lost"].decode() == '[{"path": "f\u00fcr.root"}]'
    else:
        with uproot.open(path) as file:
            # readers that take the first object still find the tree
            assert list(file.classnames().values()) == ["TTree", "TObjString"]
            assert str(file["lost"]) == '[{"path": "f\u00fcr.root"}]'


def test_the_file_appears_when_complete(path):
    with open_writer(path) as writer:
        writer.write({"x": np.arange(3)})
        assert not path.exists()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_failed_run_keeps_the_previous_file(path):
    path.write_text("before")

    def batches():
        yield {"x": np.arange(3)}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_all(path, batches())
    assert path.read_text() == "before"
    assert len(list(path.parent.iterdir())) == 1


@pytest.fixture
def full_disk():
    """Files of this process cannot grow beyond 100 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("rows", [60_000, 40_000])  # fails in write, and at the end
def test_a_full_disk_is_an_error_and_leaves_no_file(path, full_disk, rows):
    noise = np.random.default_rng(1).random(rows)
    with (
        pytest.raises(OutputError, match=f"{path.name}: cannot be written: File too large"),
        open_writer(path) as writer,
    ):
        writer.write({"x": noise})
    assert list(path.parent.iterdir()) == []


def test_a_name_that_cannot_be_taken_is_an_error(path):
    path.mkdir()
    (path / "inside").touch()
    with pytest.raises(OutputError, match="cannot be written"), open_writer(path) as writer:
        writer.write({"x": np.arange(3)})
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_written_to_is_an_error_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/out.root: cannot be written"):
        open_writer(tmp_path / "file" / "out.root")


def test_missing_folders_are_made(tmp_path):
    with open_writer(tmp_path / "new" / "newer" / "out.root") as writer:
        writer.write({"x": np.arange(3)})
    assert (tmp_path / "new" / "newer" / "out.root").is_file()


def test_another_suffix_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(OutputError, match=r"no writer for '\.roots' files; did you mean '\.root'"):
        open_writer(tmp_path / "out.roots")


def test_real_observers_survive_the_round_trip(tmp_path):
    source = Path(__file__).parents[2].parent / "shared" / "data" / "cms_nanov12_ttbar_200ev.root"
    if not source.exists():
        pytest.skip("no shared data here")
    with uproot.open(source) as file:
        columns = {
            name: file["Events"][name].array()
            for name in ("Jet_pt", "Jet_hadronFlavour", "event", "nJet", "MET_pt")
        }
    for suffix in FORMATS:
        path = tmp_path / f"out{suffix}"
        with open_writer(path, tree="Events") as writer:
            for first in range(0, 200, 33):
                writer.write({name: column[first : first + 33] for name, column in columns.items()})
        found = {name: column for name, column in read(path, "Events").items() if name != "nJet"}
        for name in found:
            assert str(found[name].type) == str(ak.without_parameters(columns[name]).type)
            assert_array_equal(
                ak.flatten(found[name], axis=None), ak.flatten(columns[name], axis=None)
            )


def test_a_bit_that_flips_in_what_we_wrote_is_noticed(path):
    # values that compress, and so are under the checksum of ROOT's compression
    write_all(path, [{"x": np.round(np.random.default_rng(0).normal(size=5000), 2)}])
    content = path.read_bytes()
    values = read(path)["x"].to_numpy()
    noticed = 0
    for part in range(1, 20):
        changed = bytearray(content)
        changed[part * len(content) // 20] ^= 4
        path.write_bytes(changed)
        try:
            with open_reader(str(path)) as reader:
                found = reader.read(["x"], 0, 5000)["x"].to_numpy()
            # the file holds more than these values
            assert_array_equal(found, values)
        except BadFileError:
            noticed += 1
    assert noticed > 4
