"""What is in a sample of jets."""

import json

import awkward as ak
import numpy as np
import pytest

from weaver_tt import cli
from weaver_tt.errors import DataError
from weaver_tt.formats.writers import open_writer
from weaver_tt.report import jet_sample
from weaver_tt.report.jet_sample import ETA_EDGES, PT_EDGES, SHAPES, SampleSums, read_sample

JETS = {
    "jet_pt": np.array([100.0, 90.0, 200.0, 30.0]),
    "gen_pt": np.array([110.0, 100.0, 200.0, 100.0]),
    "gen_eta": np.array([0.05, -3.0, 0.05, 5.5]),
    "jet_flavour": np.array([1, 21, 5, 0], np.int32),
    "jet_multiplicity": np.array([10, 20, 15, 300], np.int32),
    "jet_ptd": np.array([0.5, 0.3, 0.4, 1.0]),
    "jet_sigma2": np.array([0.01, 0.03, 0.02, 0.5]),
}
for axis, value in (("eta", 0.1), ("phi", 3.0), ("pt", 7.0)):
    JETS[f"ch_{axis}"] = ak.Array([[value], [value] * 3, [], []])
    JETS[f"ne_{axis}"] = ak.Array([[value], [value], [value], []])
    JETS[f"sv_{axis}"] = ak.Array([[], [value], [], []])


def written(path, **changed):
    """A file of four jets."""
    with open_writer(path) as writer:
        writer.write(JETS | changed)
    return str(path)


def test_jets_are_counted_by_flavour_pt_and_eta(tmp_path):
    sums = read_sample(written(tmp_path / "jets.parquet"), None)
    assert sums.jets == 4
    assert sums.flavours == {"uds": 1, "c": 0, "b": 1, "g": 1, "unknown": 1}
    # log(100 / 30) is 1.2
    assert sums.outside == 1
    # the last one is behind the edge of the calorimeter
    assert sums.plane.sum() == 3
    column = np.searchsorted(ETA_EDGES, 0.05) - 1
    row = np.searchsorted(PT_EDGES, 200.0) - 1
    assert sums.plane[row, column] == 1


def test_shapes_and_target_are_filled_by_flavour(tmp_path):
    sums = read_sample(written(tmp_path / "jets.root"), None)
    edges = SHAPES["jet_multiplicity"][1]
    filled = {
        name: np.flatnonzero(counts) for name, counts in sums.shapes["jet_multiplicity"].items()
    }
    assert {name: edges[place].tolist() for name, place in filled.items()} == {
        "uds": [8.5],
        "g": [17.5],
    }
    assert sum(counts.sum() for counts in sums.target.values()) == 3


def test_the_jet_with_the_most_constituents_is_kept_whatever_the_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(jet_sample, "CHUNK_ROWS", 1)
    largest = read_sample(written(tmp_path / "jets.parquet"), None).largest
    assert largest.pt == 90
    sizes = {name: part.shape for name, part in largest.parts.items()}
    assert sizes == {"charged": (3, 3), "neutral": (3, 1), "secondary vertices": (3, 1)}
    assert largest.parts["charged"][:, 0].tolist() == [0.1, 3.0, 7.0]


def test_the_command_writes_figures_numbers_and_a_page(tmp_path):
    path = written(tmp_path / "jets.root")
    assert cli.main(["report", "--sample", path, "-o", str(tmp_path / "out")]) == 0
    names = {file.name for file in (tmp_path / "out").iterdir()}
    for figure in ("spectrum", "cloud", "shapes", "target"):
        assert {f"sample_{figure}.png", f"sample_{figure}.pdf"} <= names
    content = json.loads((tmp_path / "out" / "sample.json").read_text())
    assert content["jets"] == 4
    assert content["outside_window"] == 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<img") == 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"jet_pt": np.array([1.0, 0.0, -1.0, 2.0])}, r"'jet_pt': 2 of 4 values .*first: 0"),
        ({"gen_pt": np.array([1.0, 2.0, np.nan, 3.0])}, r"'gen_pt': 1 of 4 values .*first: nan"),
        (
            {"jet_flavour": np.array([1.0, 5, 21, 0])},
            r"'jet_flavour' holds float64; expected whole",
        ),
    ],
)
def test_what_cannot_be_drawn_is_explained(tmp_path, changed, message):
    with pytest.raises(DataError, match=message):
        read_sample(written(tmp_path / "jets.root", **changed), None)


def test_a_missing_column_and_a_file_without_jets_are_errors(tmp_path, capsys):
    columns = {name: values for name, values in JETS.items() if name != "gen_pt"}
    with open_writer(tmp_path / "data.root") as writer:
        writer.write(columns)
    with pytest.raises(DataError, match="no column 'gen_pt'"):
        read_sample(str(tmp_path / "data.root"), None)
    with open_writer(tmp_path / "empty.root") as writer:
        writer.write({name: values[:0] for name, values in JETS.items()})
    with pytest.raises(DataError, match="the file has no jets"):
        read_sample(str(tmp_path / "empty.root"), None)
    assert cli.main(["report"]) == 1
    assert "expected prediction files, or --sample FILE" in capsys.readouterr().err
    assert cli.main(["report", "a.root", "--sample", "b.root"]) == 1
    assert "draws a sample alone" in capsys.readouterr().err


def test_nothing_is_kept_of_no_jets():
    sums = SampleSums()
    sums.add("here", {name: values[:0] for name, values in JETS.items()})
    assert sums.jets == 0
    assert sums.largest is None
