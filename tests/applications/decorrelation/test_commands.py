"""The command as a user runs it: a map, its judgement, its columns, and their report."""

import json
import re

import correctionlib
import numpy as np
import pytest

from tests.applications.decorrelation.toy import toy_columns, write_toy
from weaver_tt import cli
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.writers import open_writer, read_notes
from weaver_tt.output.about import ABOUT, AboutPrediction
from weaver_tt.report import figures


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ddt")
    return write_toy(folder / "map.root", 8000), write_toy(folder / "test.root", 8000, seed=2)


@pytest.fixture
def drawn(monkeypatch):
    """Figures that were asked for; drawing them is tested in test_figures.py."""
    names = []
    monkeypatch.setattr(
        "weaver_tt.applications.decorrelation.figures.draw_ddt",
        lambda column, *rest: names.append(column),
    )
    return names


def ddt(*arguments):
    return cli.main(["ddt", *map(str, arguments)])


def read(path):
    with open_reader(str(path)) as reader:
        table = reader.read(reader.columns(), 0, reader.rows())
    return {name: np.asarray(column) for name, column in table.items()}


def test_a_column_is_the_score_less_the_threshold_of_correctionlib(
    files, tmp_path, drawn, monkeypatch
):
    monkeypatch.setattr("weaver_tt.applications.decorrelation.apply.ROWS", 3000)
    made, output = tmp_path / "ddt.json", tmp_path / "out.root"
    flags = ["--background", "qcd", "--efficiency", 0.05, "--efficiency", 0.2, "-o", made]
    assert ddt(files[0], *flags, "--test", files[1], "--apply", files[1], "-o", output) == 0
    assert drawn == ["top_ddt_5p0", "top_ddt_20p0"]
    table = read(output)
    before = read(files[1])
    assert set(table) == {*before, "top_ddt_5p0", "top_ddt_20p0"}
    rho = np.log(before["jet_sdmass"].astype(float) ** 2 / before["jet_pt"].astype(float) ** 2)
    thresholds = correctionlib.CorrectionSet.from_file(str(made))
    background = before["qcd"] == 1
    for column, efficiency in (("top_ddt_5p0", 0.05), ("top_ddt_20p0", 0.2)):
        expected = thresholds[column].evaluate(rho, before["jet_pt"].astype(float))
        expected = before["score_top"].astype(float) - expected
        assert table[column] == pytest.approx(expected, abs=1e-12)
        # 5600 jets pass with errors of 0.3 and 0.5 %, as many made the map
        passing = (table[column][background] > 0).mean()
        assert passing == pytest.approx(efficiency, abs=0.022)
    closure = json.loads((tmp_path / "ddt_figures" / "closure.json").read_text())
    of_map = closure["maps"]["top_ddt_5p0"]
    assert of_map["judged_on"] == f"other jets, {files[1]}"
    passing = (table["top_ddt_5p0"][background] > 0).mean()
    assert of_map["after"]["overall"]["value"] == pytest.approx(passing)
    # the map alone gives the same file
    again = tmp_path / "again.root"
    assert ddt("--map", made, "--apply", files[1], "-o", again) == 0
    assert np.array_equal(read(again)["top_ddt_5p0"], table["top_ddt_5p0"])


def test_without_other_jets_cross_fitting_judges_and_is_said(files, tmp_path, drawn, capsys):
    flags = ["--background", "qcd", "--efficiency", 0.1, "-o", tmp_path / "ddt.json"]
    assert ddt(files[0], *flags, "--apply", files[0], "-o", tmp_path / "out.root") == 0
    said = capsys.readouterr().err
    assert "judged on jets of the map, each 5th by thresholds of the others" in said
    assert "the thresholds are made of it" in said


def test_jets_that_are_not_selected_have_nan_and_a_report_leaves_them_out(
    files, tmp_path, drawn, monkeypatch
):
    flags = ["--background", "qcd", "--efficiency", 0.05, "-o", tmp_path / "ddt.json"]
    output = tmp_path / "out.root"
    selection = ["--selection", "jet_sdmass > 30"]
    assert ddt(files[0], *flags, "--apply", files[1], "-o", output, *selection) == 0
    table = read(output)
    chosen = table["jet_sdmass"] > 30
    values = table["top_ddt_5p0"]
    assert np.isnan(values[~chosen]).all()
    assert np.isfinite(values[chosen]).all()
    monkeypatch.setattr(figures, "draw_report", lambda *anything: figures.ReportPictures())
    report = tmp_path / "report"
    assert cli.main(["report", f"toy:{output}", "-o", str(report)]) == 0
    content = json.loads((report / "metrics.json").read_text())
    point = content["ddt"]["top"]["toy"]["top_ddt_5p0"]
    background = chosen & (table["qcd"] == 1)
    assert point["background_efficiency"]["value"] == pytest.approx((values[background] > 0).mean())
    assert "toy: top_ddt_5p0" in (report / "report.html").read_text()


def test_notes_of_a_prediction_are_kept(files, tmp_path, drawn):
    path = tmp_path / "with_note.root"
    with open_writer(path) as writer:
        writer.write(toy_columns(50, seed=3))
        about = AboutPrediction(task="classification", classes=("top", "qcd")).as_text()
        writer.annotate(ABOUT, about)
    flags = ["--background", "qcd", "--efficiency", 0.1, "-o", tmp_path / "ddt.json"]
    output = tmp_path / "out.parquet"
    assert ddt(files[0], *flags, "--apply", path, "-o", output) == 0
    assert read_notes(output, (ABOUT,)) == {ABOUT: about}


def test_ties_and_empty_bins_are_reported(tmp_path, drawn, capsys):
    columns = toy_columns(3000)
    columns["score_top"] = (columns["score_top"] > 0.5).astype(np.float32)
    path = write_toy(tmp_path / "tied.root", 3000, score_top=columns["score_top"])
    flags = ["--background", "qcd", "--efficiency", 0.2, "-o", tmp_path / "ddt.json"]
    edges = ["--pt-edges", 500, 2000, "--rho-edges", "-12", "-11", "1"]
    assert ddt(path, *flags, *edges) == 0
    said = capsys.readouterr().err
    assert "top_ddt_20p0: 2 bins in rho: the background is too little" in said
    assert "scores are tied in 1 bin of 2, which pass together" in said
    assert "1 bin without background: the threshold is that of the nearest" in said


ONE_BAD = np.linspace(30, 300, 500).astype(np.float32)
ONE_BAD[0] = -1


@pytest.mark.parametrize(
    ("more", "flags", "message"),
    [
        ({}, ["--efficiency", "1.5"], "--efficiency 1.5: expected a number above 0 and below 1"),
        ({}, ["--efficiency", "0"], "--efficiency 0: expected a number above 0 and below 1"),
        ({}, ["--efficiency", "0.1"], "--efficiency 0.1 is there twice"),
        ({}, ["--background", "qdc"], "has no such class; did you mean 'qcd'"),
        ({}, ["--background", "qcd", "top"], "all classes are background"),
        ({}, ["--mass", "jet_sdmas"], "bad.root.*: no column 'jet_sdmas'; did you"),
        (
            {},
            ["--rho-edges", "-9", "-5.4", "-5.35", "1"],
            r"background jets?, at least 20 are needed",
        ),
        ({}, ["--mass-edges", "3", "2"], "--mass-edges 3 2: expected two or more"),
        ({}, ["--mass-edges", "9000", "9500"], "bad.root: no background jet has a mass from 9000"),
        ({}, ["--apply", "bad.root", "-o", "x.txt"], "x.txt: no writer"),
        ({}, ["--apply", "bad.root", "--name", "old"], "already has the column 'old_ddt_10p0'"),
        ({}, ["--name", "score_a"], "--name score_a: expected letters, digits and _, and not"),
        ({}, ["-o", "x.json"], "expected once, or twice with --apply"),
        ({}, ["--test", "bad.root"], "--test bad.root: the thresholds are made of it"),
        ({}, ["--selection", "jet_pt < 0"], "bad.root: not one row is background"),
        (
            {"jet_sdmass": ONE_BAD},
            [],
            r"bad.root.*rows from 0: 'jet_sdmass' \(mass\): 1 of 3\d\d jets are not above 0 "
            r"\(first: -1\); --selection",
        ),
        ({"jet_pt": 0 * ONE_BAD}, [], r"'jet_pt' \(pt\): 3\d\d of 3\d\d jets are not above 0"),
        ({"score_top": np.nan * ONE_BAD}, [], r"\(discriminant\): 3\d\d of .* not finite"),
    ],
)
def test_bad_input_is_one_message(more, flags, message, tmp_path, monkeypatch, capsys, drawn):
    monkeypatch.chdir(tmp_path)
    columns = toy_columns(500, seed=4, old_ddt_10p0=np.zeros(500)) | more
    columns["qcd"][:1] = 1
    columns["top"][:1] = 0
    with open_writer("bad.root") as writer:
        writer.write(columns)
    given = ["--background", "qcd", "--efficiency", "0.1", "-o", "ddt.json"]
    assert ddt("bad.root", *given, *flags) == 1
    said = capsys.readouterr().err
    assert said.count(" ERROR ") == 1
    assert re.search(message, said), said
    assert not (tmp_path / "ddt.json").exists()


def test_what_an_application_cannot_do_is_explained(files, tmp_path, drawn, capsys):
    made = tmp_path / "ddt.json"
    flags = ["--background", "qcd", "--efficiency", 0.1, "-o", made]
    assert ddt(files[0], *flags) == 0
    bad = write_toy(tmp_path / "bad.root", 20, jet_sdmass=np.zeros(20, np.float32))
    output = tmp_path / "out.root"
    assert ddt("--map", made, "--apply", bad, "-o", output) == 1
    assert (
        "20 of 20 jets are not finite, for which the mass must be above 0"
        in capsys.readouterr().err
    )
    assert not output.exists()
    assert ddt("--map", made, "--apply", files[1], "-o", output) == 0
    capsys.readouterr()
    assert ddt("--map", made, "--apply", output, "-o", tmp_path / "twice.root") == 1
    assert "already has the column 'top_ddt_10p0'" in capsys.readouterr().err
    assert ddt("--map", made) == 1
    assert "--map FILE goes with --apply FILE" in capsys.readouterr().err
    assert ddt(files[0], "--map", made, "--apply", files[1]) == 1
    assert "prediction files and --map" in capsys.readouterr().err
