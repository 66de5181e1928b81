"""``weaver-tt lund`` as a user runs it."""

import sys

import awkward as ak
import pytest

from tests.samples.lund.lund_jets import jagged, random_jets
from weaver_tt.cli import main
from weaver_tt.formats.writers import open_writer
from weaver_tt.samples.lund.commands import LundOptions
from weaver_tt.samples.lund.trees import MOMENTA


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "jets.parquet"
    with open_writer(file) as writer:
        writer.write(jagged(*random_jets(1, 6, most=8)))
    return str(file)


def run(*flags):
    return main(["lund", "--no-progress", *map(str, flags)])


def test_the_columns_are_those_of_simulated_jets():
    assert LundOptions.__dataclass_fields__["columns"].default == ",".join(MOMENTA)


def test_trees_and_figure_from_the_command_line(tmp_path, path, capfd):
    pytest.importorskip("fastjet")
    output = tmp_path / "trees.root"
    assert run(path, "-o", output, "--ln-kt-min", -1) == 0
    for name in ("trees.root", "trees_plane.png", "trees_plane.pdf"):
        assert (tmp_path / name).stat().st_size > 1000
    out, err = capfd.readouterr()
    assert "FastJet" not in out  # no banner
    assert "6 jets with" in err


def test_empty_trees_are_counted_and_said(tmp_path, capsys):
    pytest.importorskip("fastjet")
    file = tmp_path / "a.parquet"
    columns = {name: ak.Array([[], [float("nan")], [1.0, 2.0]]) for name in MOMENTA}
    with open_writer(file) as writer:
        writer.write(columns)
    output = tmp_path / "b.parquet"
    assert run(file, "-o", output, "--ln-kt-min", 20, "--no-figure") == 0
    message = capsys.readouterr().err
    assert "1 jet of 3 with an empty tree: no constituents" in message
    assert "1 jet of 3 with an empty tree: NaN" in message
    assert "1 jet of 3 with an empty tree: no splitting above the cuts" in message
    assert ak.num(ak.from_parquet(output)["lund_psi"]).tolist() == [0, 0, 0]
    assert not (tmp_path / "b_plane.png").exists()


def test_a_missing_fastjet_names_the_extra(tmp_path, path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "fastjet", None)
    assert run(path, "-o", tmp_path / "no.root") == 1
    message = capsys.readouterr().err
    assert "weaver-tt lund needs fastjet" in message
    assert "pip install 'weaver_tt[simulate]'" in message
    assert not list(tmp_path.glob("no*"))


@pytest.mark.parametrize("columns", ["a,b,c", "a,b,c,c", "a,b,,d"])
def test_four_different_columns_are_wanted(tmp_path, path, capsys, columns):
    assert run(path, "-o", tmp_path / "no.root", "--columns", columns) == 1
    assert f"four different columns px,py,pz,energy, got {columns!r}" in capsys.readouterr().err
