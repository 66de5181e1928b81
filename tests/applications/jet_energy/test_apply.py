"""A file comes back with all of its columns and the corrected pT."""

import numpy as np
import pytest

from tests.applications.jet_energy.toy import toy_jets, write_jets
from weaver_tt.applications.jet_energy.apply import write_corrected
from weaver_tt.errors import DataError
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.writers import open_writer, read_notes
from weaver_tt.output.about import ABOUT


def all_rows(path):
    with open_reader(str(path)) as reader:
        return reader.read(reader.columns(), 0, reader.rows())


@pytest.mark.parametrize("suffix", ["root", "parquet"])
def test_the_corrected_pt_is_added_to_all_columns(correction, tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("weaver_tt.applications.jet_energy.apply.ROWS", 30)
    columns = toy_jets(100)
    path = write_jets(tmp_path / f"jets.{suffix}", columns)
    output = str(tmp_path / f"out.{suffix}")
    everywhere = correction.extrapolating()
    jets, outside = write_corrected(everywhere, path, output, column="jec_pt")
    table = all_rows(output)
    before = all_rows(path)
    assert set(table) == {*before, "jec_pt"}
    for name, values in before.items():
        assert values.to_list() == table[name].to_list()
    assert np.array_equal(table["jec_pt"], everywhere.corrected(before))
    assert jets == 100
    assert outside == everywhere.is_outside(everywhere.values(before)).sum() > 0


def test_a_jet_beyond_the_range_is_an_error_and_leaves_no_file(correction, tmp_path):
    path = write_jets(tmp_path / "jets.parquet", toy_jets(100))
    with pytest.raises(DataError, match=r"jets.parquet, rows from 0: 'jet_pt': \d+ of 100 jets"):
        write_corrected(correction, path, str(tmp_path / "out.root"), column="jec_pt")
    assert [file.name for file in tmp_path.iterdir()] == ["jets.parquet"]


@pytest.mark.parametrize(
    ("column", "drop", "message"),
    [
        ("rho", None, "already has the column 'rho'; --column names another"),
        ("jec_pt", "jet_eta", "no column 'jet_eta'; did you mean 'jet_pt' or"),
    ],
)
def test_columns_that_clash_or_are_missing_are_refused(correction, tmp_path, column, drop, message):
    columns = {name: values for name, values in toy_jets(10).items() if name != drop}
    path = write_jets(tmp_path / "jets.parquet", columns)
    with pytest.raises(DataError, match=message):
        write_corrected(correction, path, str(tmp_path / "out.root"), column=column)


def test_what_a_prediction_says_of_itself_is_kept(correction, tmp_path):
    path = str(tmp_path / "pred.root")
    with open_writer(path) as writer:
        writer.write({"jet_pt": np.array([100.0]), "jet_eta": np.array([0.0])})
        writer.annotate(ABOUT, '{"task": "regression"}')
    output = str(tmp_path / "out.parquet")
    write_corrected(correction, path, output, column="jec_pt")
    assert read_notes(output, (ABOUT,)) == {ABOUT: '{"task": "regression"}'}
    assert all_rows(output)["jec_pt"].to_list() == pytest.approx([125])


def test_a_file_without_rows_has_the_column_too(correction, tmp_path):
    none = {name: values[:0] for name, values in toy_jets(10).items()}
    path = write_jets(tmp_path / "jets.parquet", none)
    output = tmp_path / "out.parquet"
    assert write_corrected(correction, path, str(output), column="jec_pt") == (0, 0)
    assert len(all_rows(output)["jec_pt"]) == 0
