"""Files with Lund trees: what they keep, and what is refused before anything is written."""

import awkward as ak
import numpy as np
import pytest
import uproot

from tests.samples.lund.lund_jets import jagged, random_jets
from weaver_tt.errors import DataError
from weaver_tt.formats.file_groups import parse_groups
from weaver_tt.formats.writers import open_writer, without_counters
from weaver_tt.samples.lund import files
from weaver_tt.samples.lund.files import write_lund_trees
from weaver_tt.samples.lund.trees import LUND_COLUMNS, MOMENTA, LundCuts, flat_momenta, lund_trees

pytest.importorskip("fastjet")


def write(path, columns):
    with open_writer(path) as writer:
        writer.write(columns)
    return str(path)


def sample(seed, number):
    columns = jagged(*random_jets(seed, number, most=8))
    columns["jet_number"] = np.arange(number)
    columns["label_QCD"] = np.arange(number) % 2
    columns["label_Tbqq"] = 1 - columns["label_QCD"]
    return columns


def add_trees(paths, output, momenta=MOMENTA, cuts=None, **more):
    return write_lund_trees(
        parse_groups(paths),
        str(output),
        momenta=momenta,
        cuts=cuts or LundCuts(),
        progress=False,
        **more,
    )


def read(path):
    if str(path).endswith(".parquet"):
        table = ak.from_parquet(path)
        return {name: table[name] for name in table.fields}
    tree = uproot.open(path)["tree"]
    return {name: tree[name].array() for name in without_counters(tree.keys())}


@pytest.mark.parametrize(("first", "second"), [("root", "parquet"), ("parquet", "root")])
@pytest.mark.parametrize("workers", [1, 2])
def test_all_columns_and_the_order_of_rows_stay(tmp_path, monkeypatch, first, second, workers):
    # several pieces a file
    monkeypatch.setattr(files, "ROWS", 4)
    samples = [sample(1, 10), sample(2, 5)]
    paths = [write(tmp_path / f"{seed}.{first}", columns) for seed, columns in enumerate(samples)]
    output = tmp_path / f"out.{second}"
    counts, _ = add_trees(paths, output, workers=workers)
    assert counts.jets == 15
    table = read(output)
    expected = {name: ak.concatenate([one[name] for one in samples]) for name in samples[0]}
    assert table.keys() == expected.keys() | set(LUND_COLUMNS)
    expected |= lund_trees(
        *flat_momenta([expected[name] for name in MOMENTA]), LundCuts(), "lund"
    ).columns()
    for name, values in expected.items():
        assert table[name].tolist() == values.tolist(), name


def test_a_file_without_rows_has_all_columns(tmp_path):
    path = write(tmp_path / "a.root", {name: values[:0] for name, values in sample(1, 3).items()})
    counts, planes = add_trees([path], tmp_path / "b.root")
    assert counts.jets == 0
    assert planes.densities() == {}
    assert set(LUND_COLUMNS) <= read(tmp_path / "b.root").keys()


def test_parents_are_whole_numbers_and_values_single_precision(tmp_path):
    path = write(tmp_path / "a.root", sample(1, 5))
    add_trees([path], tmp_path / "b.root")
    table = read(tmp_path / "b.root")
    assert str(table["lund_parent"].type).endswith("int32")
    assert str(table["lund_lnkt"].type).endswith("float32")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lund_psi": 1.0 * np.arange(3)}, "already has the column lund_psi"),
        ({"part_py": 1.0 * np.arange(3)}, "column 'part_py' is float64; expected a list"),
        (
            {"part_py": ak.Array([[1.0], [1.0, 2.0], []])},
            "row 1: column 'part_px' has 1 entries and 'part_py' 2",
        ),
        ({"part_pz": None}, "no column 'part_pz'"),
    ],
)
def test_columns_that_will_not_do_are_named_and_nothing_is_left(tmp_path, change, message):
    columns = {name: ak.Array([[1.0], [1.0], []]) for name in MOMENTA} | change
    path = write(
        tmp_path / "a.root", {name: one for name, one in columns.items() if one is not None}
    )
    output = tmp_path / "out" / "b.root"
    with pytest.raises(DataError, match=message) as error:
        add_trees([path], output)
    assert "a.root" in str(error.value)
    assert not output.exists()


def test_classes_are_those_of_the_labels_or_the_names_of_the_files(tmp_path):
    columns = sample(1, 10)
    with_labels = write(tmp_path / "a.root", columns)
    _, planes = add_trees([f"top:{with_labels}"], tmp_path / "out.root")
    assert planes.jets == {"QCD": 5, "Tbqq": 5}
    without = {name: one for name, one in columns.items() if not name.startswith("label_")}
    path = write(tmp_path / "b.root", without)
    _, planes = add_trees([f"top:{path}", f"qcd:{path}"], tmp_path / "out.root")
    assert planes.jets == {"top": 10, "qcd": 10}
    _, planes = add_trees([path], tmp_path / "out.root")
    assert planes.jets == {"all jets": 10}
