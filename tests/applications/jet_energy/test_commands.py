"""The commands as a user runs them: derive from a sample or from predictions, then apply."""

import json
import re

import correctionlib
import numpy as np
import pytest

from tests.applications.jet_energy.toy import toy_jets, write_jets
from weaver_tt import cli
from weaver_tt.applications.jet_energy import commands
from weaver_tt.applications.jet_energy.correction import load_correction
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.writers import open_writer
from weaver_tt.output.about import ABOUT, AboutPrediction

REPORT = {
    "corrected_pt": "jet_pt * np.exp(output_y)",
    "raw_pt": "jet_pt",
    "true_pt": "gen_pt",
    "eta": "jet_eta",
}


@pytest.fixture
def drawn(monkeypatch):
    """Where figures were asked for; drawing them is tested in test_figures.py."""
    folders = []
    monkeypatch.setattr(
        "weaver_tt.applications.jet_energy.figures.draw_correction",
        lambda derived, closure, folder: folders.append(folder),
    )
    return folders


@pytest.fixture
def sample(tmp_path):
    return write_jets(tmp_path / "sample.root", toy_jets(4000))


def write_predictions(path, report, number=3000):
    """A network that corrects all jets by 1.05."""
    columns = toy_jets(number, pileup=10.0)
    columns["output_y"] = np.full(number, np.log(1.05))
    with open_writer(path) as writer:
        writer.write(columns)
        if report is not None:
            about = AboutPrediction(task="regression", outputs=("output_y",), report=report)
            writer.annotate(ABOUT, about.as_text())
    return str(path)


def run(*arguments):
    return cli.main(["jec", *map(str, arguments)])


def test_derive_then_apply_gives_what_correctionlib_gives(sample, tmp_path, drawn):
    test = write_jets(tmp_path / "test.root", toy_jets(3000, seed=2))
    jec = tmp_path / "jec.json"
    assert run("derive", sample, "--test", test, "-o", jec) == 0
    assert drawn == [tmp_path / "jec_figures"]
    output = tmp_path / "out.root"
    assert run("apply", jec, test, "-o", output, "--extrapolate", "--column", "pt_new") == 0
    with open_reader(str(output)) as reader:
        table = reader.read(["jet_pt", "jet_eta", "pt_new"], 0, 3000)
    columns = {name: np.asarray(values, np.float64) for name, values in table.items()}
    inside = ~load_correction(jec).is_outside({"pt": columns["jet_pt"], "eta": columns["jet_eta"]})
    assert inside.mean() > 0.9
    pt, eta, ours = (columns[name][inside] for name in ("jet_pt", "jet_eta", "pt_new"))
    whole = correctionlib.CorrectionSet.from_file(str(jec)).compound["jet_energy_correction"]
    assert whole.evaluate(pt, eta) * pt == pytest.approx(ours, rel=1e-12)


def test_closure_json_has_points_and_cells(sample, tmp_path, drawn):
    assert run("derive", sample, "-o", tmp_path / "a.json", "--figures", tmp_path / "f") == 0
    content = json.loads((tmp_path / "f" / "closure.json").read_text())
    assert content["test"] == [sample]
    assert content["jets"] == content["closure"]["jets"] == 4000
    assert sum(sum(one["jets"]) for one in content["response"]) == 4000
    cells = content["closure"]["reco_pt"]
    assert len(cells) == 6 * 7
    assert all(cell["closes"] in (True, None) for cell in cells)


def test_a_jet_beyond_the_range_is_one_line_and_exit_code_1(sample, tmp_path, drawn, capsys):
    jec = tmp_path / "jec.json"
    assert run("derive", sample, "-o", jec) == 0
    far = toy_jets(50) | {"jet_pt": np.full(50, 9000.0)}
    path = write_jets(tmp_path / "far.root", far)
    capsys.readouterr()
    assert run("apply", jec, path, "-o", tmp_path / "out.root") == 1
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1
    assert "'jet_pt': 50 of 50 jets are beyond the range" in shown
    # what was derived with the flag needs none later
    assert run("derive", sample, "-o", jec, "--extrapolate") == 0
    assert run("apply", jec, path, "-o", tmp_path / "out.root") == 0
    assert "50 of 50 jets are beyond the range of the correction" in capsys.readouterr().err


def test_after_a_network_its_pt_is_corrected_without_an_offset(tmp_path, drawn, capsys):
    path = write_predictions(tmp_path / "pred.root", REPORT)
    jec = tmp_path / "after.json"
    assert run("derive", "--prediction", path, "-o", jec) == 0
    after = load_correction(jec)
    assert after.sources == {"pt": "jet_pt * np.exp(output_y)", "eta": "jet_eta"}
    assert run("apply", jec, path, "-o", tmp_path / "out.root", "--extrapolate") == 0
    with open_reader(str(tmp_path / "out.root")) as reader:
        table = reader.read(["jec_pt", "gen_pt"], 0, 3000)
    ratio = np.asarray(table["jec_pt"]) / np.asarray(table["gen_pt"])
    assert np.median(ratio) == pytest.approx(1, abs=0.005)


def test_the_command_that_is_next_takes_all_jets_that_were_looked_at(
    sample, tmp_path, drawn, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ends = []
    monkeypatch.setattr(commands, "report_results", lambda *end: ends.append(end))
    test = write_jets(tmp_path / "test.root", toy_jets(3000, seed=2))
    assert run("derive", sample, "--test", test, "-o", "jec.json") == 0
    assert run("derive", sample, "--test", test, "-o", "all.json", "--extrapolate") == 0
    (_, results, [first, _]), (_, _, [second, _]) = ends
    assert "beyond its range" in dict(results)
    assert first[-1] == "--extrapolate"
    assert second[-1] == "corrected.root"
    for command in (first, second):
        assert cli.main(command[1:]) == 0
    # 3000 jets in cells that want more than 500 each
    assert ("", "no cell of measured pT and abs(eta) has more than 500 jets") in results


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (None, "does not say what its 'corrected_pt' is"),
        ({"corrected_pt": "jet_pt", "eta": "jet_eta"}, "'true_pt' is .* give --gen-pt-column"),
    ],
)
def test_a_prediction_that_does_not_say_what_it_is_needs_flags(
    tmp_path, drawn, capsys, report, message
):
    path = write_predictions(tmp_path / "pred.root", report)
    assert run("derive", "--prediction", path, "-o", tmp_path / "jec.json") == 1
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1
    assert re.search(message, shown)
    flags = ["--pt-column", "jet_pt*np.exp(output_y)", "--eta-column", "jet_eta"]
    flags += ["--gen-pt-column", "gen_pt"]
    jec = tmp_path / "jec.json"
    assert run("derive", "--prediction", path, "-o", jec, *flags) == 0


@pytest.mark.parametrize("arguments", [[], ["a.root", "--prediction", "b.root"]])
def test_a_sample_or_a_prediction_is_expected(arguments, capsys):
    assert run("derive", *arguments) == 1
    assert "expected files of jets, or --prediction" in capsys.readouterr().err


def test_pile_up_without_rho_is_one_line(tmp_path, drawn, capsys):
    columns = toy_jets(1500, pileup=20.0)
    del columns["rho"]
    path = write_jets(tmp_path / "jets.root", columns)
    assert run("derive", path, "-o", tmp_path / "jec.json") == 1
    assert "'pileup' says that there are up to 20 further collisions" in capsys.readouterr().err
    assert run("derive", path, "-o", tmp_path / "jec.json", "--offset", "area") == 1
    assert "no column 'rho'" in capsys.readouterr().err
    assert run("derive", path, "-o", tmp_path / "jec.json", "--offset", "none") == 0
