"""``weaver-tt report`` of jet energies, from prediction files to numbers, figures and a page."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.applications.jet_energy.judging.conftest import make_jets, write_prediction
from weaver_tt import cli
from weaver_tt.applications.jet_energy.correction import save_correction
from weaver_tt.applications.jet_energy.judging import report as report_module
from weaver_tt.applications.jet_energy.judging.figures import JudgementPictures
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.writers import open_writer

NANOAOD = Path(__file__).parents[4].parent / "shared" / "data" / "cms_nanov12_ttbar_200ev.root"


def report(folder, *arguments):
    """The exit code; what is written lies in ``folder``."""
    return cli.main(["report", *map(str, arguments), "-o", str(folder)])


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture
def without_figures(monkeypatch):
    """Figures take most of the time of a report."""
    monkeypatch.setattr(report_module, "draw_judgement", lambda *anything: JudgementPictures())


@pytest.fixture
def standard(tmp_path, correction):
    """The file of a standard correction."""
    path = tmp_path / "jec.json"
    save_correction(correction, path, "by hand")
    return path


@pytest.mark.usefixtures("without_figures")
def test_predictions_need_no_flags_and_give_all_numbers(tmp_path, jets, standard):
    one = write_prediction(tmp_path / "one.root", jets)
    # of another network on the same jets
    sharper = jets | {"output_y": (jets["output_y"] + jets["y"]) / 2}
    two = write_prediction(tmp_path / "two.root", sharper)
    out = tmp_path / "out"
    models = (f"wide:{one}", f"sharp:{two}")
    assert report(out, *models, "--standard", standard, "--extrapolate") == 0
    content = metrics_of(out)
    assert content["about"]["standard"] == "standard"
    assert content.keys() == {"about", "raw", "standard", "wide", "sharp"}
    sharp = content["sharp"]
    # half of the smearing is half of the width
    assert sharp["central"]["all"]["beta"] > content["wide"]["central"]["all"]["beta"] > 0
    assert sharp["central"]["all"]["beta_error"] > 0
    assert sharp["test_loss"] == pytest.approx(content["wide"]["test_loss"] / 2)
    assert 0 < sharp["forward"]["alpha"] < 1
    assert sharp["forward"]["alpha_four_groups"] != sharp["forward"]["alpha"]
    assert sharp["central"]["pt"]["30-50"]["uds"]["jets"] > 0
    assert sharp["central"]["pt"]["1000-"]["g"]["beta"] is not None
    assert sharp["central"]["differences"]["uds-g"]["value"] == pytest.approx(0.015, abs=0.01)
    assert sharp["parameters"] == 41_305
    assert sharp["training_step_ms"] == pytest.approx(31.5)
    assert sharp["row_ms"] == pytest.approx(0.036)
    # 4 numbers of each of 4 segments
    assert content["standard"]["parameters"] == 16
    assert content["standard"]["central"]["all"]["beta"] == 0


@pytest.mark.usefixtures("without_figures")
def test_a_difference_of_two_models_has_a_smaller_error_than_each(tmp_path, jets, standard):
    one = write_prediction(tmp_path / "one.root", jets)
    moved = jets | {"output_y": jets["output_y"] + 0.001 * np.sin(jets["gen_pt"])}
    two = write_prediction(tmp_path / "two.root", moved)
    out = tmp_path / "out"
    assert report(out, one, two, "--standard", standard, "--extrapolate") == 0
    content = metrics_of(out)
    difference = content["two"]["minus_one"]["central"]["all"]
    beta = content["two"]["central"]["all"]["beta"] - content["one"]["central"]["all"]["beta"]
    assert difference["beta"] == pytest.approx(beta)
    assert difference["beta_error"] < content["two"]["central"]["all"]["beta_error"] / 3
    loss = content["two"]["minus_one"]
    expected = content["two"]["test_loss"] - content["one"]["test_loss"]
    assert loss["test_loss"] == pytest.approx(expected)
    assert loss["test_loss_error"] < content["two"]["test_loss_error"] / 3
    page = (out / "report.html").read_text()
    assert "less that of one" in page
    assert "Differences to one [%]" in page


@pytest.mark.usefixtures("without_figures")
def test_closure_counts_cells_with_many_jets(tmp_path):
    jets = make_jets(36_000)
    # one network closes, the other is 3 % low everywhere
    path = write_prediction(tmp_path / "good.root", jets | {"output_y": jets["y"]})
    low = write_prediction(tmp_path / "low.root", jets | {"output_y": jets["y"] - 0.03})
    assert report(tmp_path / "out", path, low) == 0
    content = metrics_of(tmp_path / "out")
    cells = content["good"]["closure"]["pt_eta"]
    large = [one for row in cells.values() for one in row.values() if one["jets"] > 500]
    assert content["good"]["closure"]["large_cells"] == len(large) > 0
    assert content["good"]["closure"]["large_cells_closed"] == len(large)
    assert content["low"]["closure"]["large_cells_closed"] == 0
    assert content["good"]["closure"]["rho"]["central"].keys() >= {"0-3", "18-21"}
    assert content["low"]["closure"]["eta"]["0-0.8"]["median"] == pytest.approx(0.9704, abs=1e-3)


@pytest.mark.usefixtures("without_figures")
def test_without_a_standard_alpha_and_beta_are_left_out_and_the_page_says_so(tmp_path, jets):
    path = write_prediction(tmp_path / "net.root", jets)
    assert report(tmp_path / "out", path) == 0
    central = metrics_of(tmp_path / "out")["net"]["central"]
    assert "alpha" not in central
    assert "beta" not in central["all"]
    assert central["all"]["resolution"] > 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "neither α nor β" in page
    assert "β<sub>uds</sub>" not in page


def test_the_page_has_the_tables_of_the_thesis_and_needs_nothing_else(tmp_path, jets, standard):
    path = write_prediction(tmp_path / "net.root", jets)
    out = tmp_path / "out"
    arguments = (f"<b>net:{path}", "--standard", standard, "--extrapolate")
    assert report(out, *arguments, "--regions", "central") == 0
    page = (out / "report.html").read_text()
    assert "&lt;b&gt;net" in page
    assert "41,305" in page
    for title in ("test loss", "β<sub>all</sub>", "α, four groups", "Central jets", "0 ≤ |η"):
        assert title in page
    assert "Forward jets" not in page
    in_bins = page.partition("<h3>Improvement in bins of pT [%]</h3>")[2].partition("</section>")[0]
    assert in_bins.count("<caption>") == 5
    pt = "p<sub>T</sub><sup>gen</sup>"
    assert f"<caption>30 &lt; {pt} &lt; 50 GeV</caption>" in in_bins
    assert f"<caption>{pt} &gt; 1000 GeV</caption>" in in_bins
    names = {file.name for file in out.iterdir()}
    for figure in ("resolution", "median", "differences", "responses"):
        assert f"{figure}_central.pdf" in names
    assert {"medians.png", "closure.png"} <= names
    assert page.count("<img") == 6


@pytest.mark.usefixtures("without_figures")
def test_quantiles_are_judged_by_their_coverage(tmp_path, jets):
    random = np.random.default_rng(3)
    # true values lie around the prediction with a width of 0.1: 16 and 84 % are one width away
    middle = jets["y"] - random.normal(0, 0.1, len(jets["y"]))
    outputs = ("output_y_q16", "output_y_q50", "output_y_q84")
    for name, shift in zip(outputs, (-0.0994, 0, 0.0994), strict=True):
        jets[name] = middle + shift
    columns = {"corrected_pt": "jet_pt * np.exp(output_y_q50)", "true_pt": "gen_pt"}
    columns |= {"true_eta": "gen_eta", "flavour": "jet_flavour"}
    path = write_prediction(tmp_path / "net.root", jets, outputs=outputs, report=columns)
    assert report(tmp_path / "out", path) == 0
    coverage = metrics_of(tmp_path / "out")["net"]["coverage"]["y"]["central"]
    assert coverage["inside_68%"]["expected"] == pytest.approx(0.68)
    for name in ("below_16%", "below_50%", "below_84%", "inside_68%"):
        share = coverage[name]
        assert abs(share["value"] - share["expected"]) < 4 * share["value_error"]
        assert 0 < share["value_error"] < 0.03
    assert coverage["pt"]["100-300"]["inside_68%"]["value"] > 0.5
    assert "Coverage of the quantiles of y by net" in (tmp_path / "out/report.html").read_text()
    # nothing says what was measured: no loss, no closure
    assert "test_loss" not in metrics_of(tmp_path / "out")["net"]


@pytest.mark.usefixtures("without_figures")
def test_files_of_others_are_read_by_flags(tmp_path, jets):
    """A file that says nothing of itself, with two corrected pT, of which one is the standard."""
    columns = {name: jets[name] for name in ("jet_pt", "gen_pt", "gen_eta", "jet_flavour")}
    columns["factor"] = np.exp(jets["output_y"])
    with open_writer(tmp_path / "cms.root") as writer:
        writer.write(columns)
    path = tmp_path / "cms.root"
    flags = ["--true-pt", "gen_pt", "--true-eta", "gen_eta", "--flavour", "jet_flavour"]
    flags += ["--raw-pt", "jet_pt", "--standard-pt", "1.05 * jet_pt"]
    corrected = ["--corrected-pt", "pnet=jet_pt * factor", "worse=jet_pt * factor**0.5"]
    assert report(tmp_path / "out", f"pnet:{path}", f"worse:{path}", *flags, *corrected) == 0
    content = metrics_of(tmp_path / "out")
    better = content["pnet"]["central"]["all"]["beta"]
    assert better > content["worse"]["central"]["all"]["beta"] > 0
    assert content["pnet"]["parameters"] is None


@pytest.mark.usefixtures("without_figures")
def test_pt_of_cms_is_judged_on_nanoaod(tmp_path):
    """Jets of events, matched to generated ones by their index; those of low pT have no factor."""
    if not NANOAOD.is_file():
        pytest.skip("no shared data here")
    matched = "np.where(Jet_genJetIdx >= 0, _batch_gather({}, np.maximum(Jet_genJetIdx, 0)), 0)"
    flags = ["--treename", "Events", "--regions", "central"]
    flags += ["--raw-pt", "Jet_pt * (1 - Jet_rawFactor)", "--standard-pt", "Jet_pt"]
    flags += ["--corrected-pt", "Jet_pt * (1 - Jet_rawFactor) * Jet_PNetRegPtRawCorr"]
    flags += ["--true-pt", matched.format("GenJet_pt")]
    flags += ["--true-eta", matched.format("GenJet_eta"), "--eta", "Jet_eta"]
    flags += ["--flavour", "np.where(Jet_hadronFlavour > 0, Jet_hadronFlavour, Jet_partonFlavour)"]
    flags += ["--rho", "Rho_fixedGridRhoFastjetAll"]
    assert report(tmp_path / "out", f"PNet:{NANOAOD}", *flags) == 0
    content = metrics_of(tmp_path / "out")
    with open_reader(str(NANOAOD), "Events") as reader:
        table = reader.read(["Jet_genJetIdx"], 0, reader.rows())
    index = np.concatenate([np.asarray(row) for row in table["Jet_genJetIdx"].tolist()])
    assert content["about"]["jets"] == len(index)
    assert content["about"]["left_out"]["without a true pT"] == (index < 0).sum()
    assert content["PNet"]["central"]["all"]["median"] == pytest.approx(1, abs=0.03)
    assert content["standard"]["central"]["all"]["median"] == pytest.approx(1, abs=0.05)
    # better than the standard corrections of CMS
    assert content["PNet"]["central"]["all"]["beta"] > 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--regions", "barrel"], "--regions barrel: known: central, forward"),
        (["--corrected-pt", "other=jet_pt"], "there is no model 'other'"),
        (["--corrected-pt", "jet_pt", "net=rho"], "two expressions for the model 'net'"),
        (["--standard", "jec.json", "--standard-pt", "jet_pt"], "are two standards; give one"),
        (["--standard", "jec.json"], "jec.json: no such file"),
        (["--signal", "b"], "--signal: .* is a prediction of jet energies, of which this flag"),
        (["--true-pt", "gen_et"], "no column 'gen_et', of which true_pt is made"),
        (["--true-pt", "gen_pt +"], "report: true_pt: not an expression"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, jets, capsys, flags, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_prediction(tmp_path / "net.root", jets)
    assert report(tmp_path / "out", path, *flags) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_names_that_the_metrics_have_for_something_else_are_refused(tmp_path, jets, capsys):
    path = write_prediction(tmp_path / "net.root", jets)
    assert report(tmp_path / "out", f"standard:{path}") == 1
    assert "a model cannot be called 'standard'" in capsys.readouterr().err
