"""The command as a user runs it: fit, scale factors, and what is said of bad input."""

import json
import re

import correctionlib
import numpy as np
import pyhf
import pytest

from tests.applications.calibration.toy import draw_jets, write_jets
from weaver_tt import cli
from weaver_tt.applications.calibration.fit import Model
from weaver_tt.errors import DataError
from weaver_tt.system import optional_imports

EDGES = [str(edge) for edge in range(40, 241, 20)]
FACTORS = {"top": 0.9, "other": 1.2}
NUMBERS = {"top": 4000, "other": 6000}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibration")
    paths = {}
    for name, number in NUMBERS.items():
        paths[name] = write_jets(folder / f"{name}.parquet", draw_jets(name, 10 * number, 1))
    samples = []
    for name, number in NUMBERS.items():
        factor = FACTORS[name]
        samples.append(draw_jets(name, number, 2, scale_factor=factor, scale=1.01, resolution=1.1))
    paths["data"] = write_jets(folder / "data.parquet", *samples)
    return paths


def calibrate(files, folder, *more, **replaced):
    flags = {
        "--data": [files["data"]],
        "--mc": [f"{name}:{files[name]}" for name in NUMBERS],
        "--tag": ["score > 0.5"],
        "--variable": ["jet_sdmass"],
        "--edges": EDGES,
        "-o": [str(folder)],
    }
    flags |= {f"--{name}": value for name, value in replaced.items()}
    arguments = ["calibrate"]
    for name, values in flags.items():
        arguments += [name, *values] if values else []
    return cli.main([*arguments, *map(str, more)])


def read(folder):
    return json.loads((folder / "calibration.json").read_text())


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """Figures that were asked for; drawing them is tested in test_figures.py."""
    names = []

    def draw(*parts):
        names.append(parts)
        return []

    figures = "weaver_tt.applications.calibration.figures"
    monkeypatch.setattr(f"{figures}.draw_calibration", draw)
    return names


@pytest.fixture(scope="module")
def measured(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "weaver_tt.applications.calibration.figures.draw_calibration", lambda *parts: []
        )
        assert calibrate(files, folder, "--bins-in", "jet_pt", 300, 400, 500) == 0
    return folder


def test_the_known_scale_factors_are_measured_in_each_bin(measured):
    content = read(measured)
    assert [one["bin"] for one in content["bins"]] == ["jet_pt 300 to 400", "jet_pt 400 to 500"]
    for one in content["bins"]:
        for factor in one["scale_factors"]:
            found = factor["scale_factor"]
            assert abs(found["value"] - FACTORS[factor["category"]]) < 3.5 * found["error"]
        for name, true in (("scale", 1.01), ("resolution", 1.1)):
            found = one["distortions"][name]
            assert abs(found["value"] - true) < 3.5 * found["error"]
        assert one["goodness_of_fit"]["ndf"] == 2 * 10 - 4
        assert one["goodness_of_fit"]["p_value"] > 0.001


def test_errors_are_as_large_as_counting_pure_jets_says(measured):
    # of 2000 top jets in a bin 63 % pass: with no other category, sqrt(p (1 - p) / n) / 0.7
    for one in read(measured)["bins"]:
        top = one["scale_factors"][0]
        pure = np.sqrt(0.63 * 0.37 / 2000) / 0.7
        assert pure < top["statistical"] < 1.5 * pure


def test_correctionlib_reads_the_scale_factors(measured):
    corrections = correctionlib.CorrectionSet.from_file(str(measured / "scale_factors.json"))
    for number, one in enumerate(read(measured)["bins"]):
        pt = 350.0 + 100 * number
        for factor in one["scale_factors"]:
            name = factor["category"]
            value, error = (factor["scale_factor"][key] for key in ("value", "error"))
            evaluate = corrections["scale_factor"].evaluate
            assert evaluate(name, "nominal", pt) == pytest.approx(value)
            assert evaluate(name, "up", pt) == pytest.approx(value + error)
            assert evaluate(name, "down", pt) == pytest.approx(value - error)
            mc = factor["efficiency_simulation"]["value"]
            assert corrections["efficiency"].evaluate(name, pt) == pytest.approx(mc)
    # the outermost bin holds beyond the edges
    assert evaluate("other", "nominal", 1000.0) == evaluate("other", "nominal", 450.0)


def test_anyone_can_refit_the_workspace(measured):
    workspace = pyhf.Workspace(json.loads((measured / "workspace_jet_pt_300_400.json").read_text()))
    model = workspace.model()
    pyhf.set_backend("numpy", "minuit")
    values = pyhf.infer.mle.fit(workspace.data(model), model)
    parameters = read(measured)["bins"][0]["parameters"]
    for name, value in zip(model.config.par_names, values, strict=True):
        found = parameters[name]
        assert value == pytest.approx(found["value"], abs=0.02 * found["error"] + 1e-6)


def test_asimov_data_have_scale_factors_of_1_and_the_errors_to_be_expected(files, tmp_path):
    assert calibrate(files, tmp_path, "--asimov") == 0
    (one,) = read(tmp_path)["bins"]
    for factor in one["scale_factors"]:
        assert factor["scale_factor"]["value"] == pytest.approx(1, abs=1e-3)
        assert factor["statistical"] > 0
    assert one["goodness_of_fit"]["statistic"] == pytest.approx(0, abs=1e-2)
    assert one["distortions"]["scale"]["value"] == pytest.approx(1, abs=1e-4)


def test_the_page_shows_factors_goodness_and_correlations(measured):
    page = (measured / "calibration.html").read_text()
    for one in read(measured)["bins"]:
        value = one["scale_factors"][0]["scale_factor"]["value"]
        assert f"{value:.3f}" in page
        assert f"{one['goodness_of_fit']['statistic']:.1f} / 16" in page
        assert f"{one['correlations']['top_pass']['scale']:.2f}" in page
    assert "Calibration of score &gt; 0.5" in page


def test_toys_are_fitted_and_reported(files, tmp_path, capsys, drawn):
    assert calibrate(files, tmp_path, "--asimov", "--toys", 2, "--resolution-error", 0) == 0
    (one,) = read(tmp_path)["bins"]
    toys = one["toys"]
    assert toys["number"] == 2
    assert list(toys["pulls"]) == ["SF top", "SF other", "scale"]
    shown = capsys.readouterr().err
    assert re.search(r"all jets, pulls of SF top: mean .* ± .*, width .* ± .*, of 2 toys\n", shown)
    assert re.search(r"all jets, efficiency of top: 0\.\d+ ± .* in data, .* simulated\n", shown)
    assert "mean of pulls" in (tmp_path / "calibration.html").read_text()
    ((_, _, variable, of_toys, folder),) = drawn
    assert (variable, len(of_toys), folder) == ("jet_sdmass", 1, tmp_path)


def test_the_axis_is_called_what_the_flag_says(files, tmp_path, drawn):
    label = "$m_{SD}$ [GeV]"
    flags = ("--asimov", "--resolution-error", 0, "--variable-label", label)
    assert calibrate(files, tmp_path, *flags) == 0
    ((_, _, shown, _, _),) = drawn
    assert shown == label
    # the name of the column is what is fitted
    assert read(tmp_path)["variable"] == "jet_sdmass"


def test_a_mistag_rate_is_counted_in_a_control_region(files, tmp_path):
    # 6000 jets of which 1.2 * 5 % pass, below 300 top jets of which 63 % do
    data = write_jets(
        tmp_path / "data.parquet",
        draw_jets("other", 6000, 5, scale_factor=1.2),
        draw_jets("top", 300, 5, scale_factor=0.9),
    )
    yaml = tmp_path / "rates.yaml"
    yaml.write_text("rates: {top_rate: {top: 1.2}}")
    weight = "0.0075*(kind == 0) + 0.1*(kind == 2)"
    flags = ["--mistag", "other", "--systematics", yaml, "--weight-column", weight]
    flags += ["--bins-in", "jet_pt", 300, 400, 500]
    assert calibrate(files, tmp_path, *flags, data=[data], variable=[], edges=[]) == 0
    for one in read(tmp_path)["bins"]:
        (factor,) = one["scale_factors"]
        found = factor["scale_factor"]
        assert abs(found["value"] - 1.2) < 3.5 * found["error"]
        assert factor["systematic"] > 0
    corrections = correctionlib.CorrectionSet.from_file(str(tmp_path / "scale_factors.json"))
    value = corrections["scale_factor"].evaluate("other", "nominal", 450.0)
    assert value == pytest.approx(found["value"])
    assert (tmp_path / "mistag_rate.png").exists()
    assert "Mistag rate of score" in (tmp_path / "calibration.html").read_text()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--mistag", "tpo"], "no --mc tpo:FILES; did you mean 'top'"),
        (["--mistag", "top", "--toys", 3], "--toys and --mistag: nothing is fitted there"),
        (["--mistag", "other"], "wider|are left without the other categories"),
    ],
)
def test_what_cannot_be_counted_is_said(files, tmp_path, capsys, more, message):
    assert calibrate(files, tmp_path, *more, variable=[], edges=[]) == 1
    said = capsys.readouterr().err
    assert any(part in said for part in message.split("|"))


def test_without_bins_and_distortions_a_factor_is_a_number(files, tmp_path):
    flags = ["--scale-error", 0, "--resolution-error", 0, "--asimov"]
    assert calibrate(files, tmp_path, *flags) == 0
    (one,) = read(tmp_path)["bins"]
    assert one["distortions"] == {}
    corrections = correctionlib.CorrectionSet.from_file(str(tmp_path / "scale_factors.json"))
    assert corrections["scale_factor"].evaluate("top", "nominal") == pytest.approx(1, abs=1e-3)


def test_a_selection_at_an_edge_is_said(files, tmp_path, capsys):
    cut = ["--selection", f"jet_sdmass > {EDGES[0]}", "--asimov", "--allow-bad-fit"]
    assert calibrate(files, tmp_path, *cut) == 0
    said = capsys.readouterr().err
    assert f"other: no jet lies beyond the edge {EDGES[0]}" in said
    fixed = ["--scale-error", 0, "--resolution-error", 0]
    assert calibrate(files, tmp_path, *cut, *fixed) == 0
    assert "beyond the edge" not in capsys.readouterr().err


def test_categories_of_one_file_are_told_apart_by_expressions(files, tmp_path):
    path = write_jets(
        tmp_path / "mixture.parquet", *(draw_jets(name, 20_000, 1) for name in NUMBERS)
    )
    flags = ["--category", "top", "kind == 0", "--category", "other", "kind == 2"]
    mixture = [f"top:{path}", f"other:{path}"]
    assert calibrate(files, tmp_path, *flags, "--asimov", mc=mixture) == 0
    top, other = read(tmp_path)["bins"][0]["scale_factors"]
    assert top["efficiency_simulation"]["value"] == pytest.approx(0.7, abs=0.015)
    assert other["efficiency_simulation"]["value"] == pytest.approx(0.05, abs=0.01)


def test_a_fit_that_does_not_describe_the_data_is_no_calibration(files, tmp_path, capsys):
    strange = write_jets(
        tmp_path / "data.parquet",
        *(draw_jets(name, number, 3) for name, number in NUMBERS.items()),
        draw_jets("w", 4000, 3),
    )
    before = tmp_path / "scale_factors.json"
    before.write_text("of an earlier calibration")
    fixed = ["--scale-error", 0, "--resolution-error", 0]
    assert calibrate(files, tmp_path, *fixed, data=[strange]) == 1
    assert "the fit does not describe the data" in capsys.readouterr().err
    assert not before.exists()
    assert (tmp_path / "workspace_all_jets.json").exists()
    assert calibrate(files, tmp_path, *fixed, "--allow-bad-fit", data=[strange]) == 0
    assert before.exists()


def test_a_normalisation_at_0_is_said(files, tmp_path, capsys):
    # W jets take the place of top jets, which the data do not have
    w = write_jets(tmp_path / "w.parquet", draw_jets("w", 40_000, 1))
    data = write_jets(
        tmp_path / "data.parquet", draw_jets("w", 3000, 2), draw_jets("other", 4000, 2)
    )
    mc = [f"{name}:{files[name]}" for name in NUMBERS] + [f"w:{w}"]
    assert calibrate(files, tmp_path, "--scale-error", 0, data=[data], mc=mc) == 1
    assert "is at its bound" in capsys.readouterr().err


def test_a_category_with_a_rate_is_not_free(files, tmp_path):
    yaml = tmp_path / "systematics.yaml"
    yaml.write_text("rates:\n  other_rate: {other: 1.3}\n")
    flags = ["--systematics", yaml, "--weight-column", "0.1", "--allow-bad-fit"]
    assert calibrate(files, tmp_path, *flags) == 0
    (one,) = read(tmp_path)["bins"]
    assert [factor["category"] for factor in one["scale_factors"]] == ["top"]
    assert "other_rate" in one["pulls"]
    assert "other_pass" not in one["parameters"]


# jets of three bins of the mass, in pass and in fail
CONTENTS = {
    "top": [[400, 1000, 200], [200, 500, 100]],
    "other": [[900, 600, 300], [1800, 1200, 900]],
}


def write_contents(path, *contents):
    """Jets in the middle of three bins from 40 to 100 GeV, so many of each in pass and fail."""
    mass, score = [], []
    for region, value in enumerate((0.9, 0.1)):
        for place, center in enumerate((50.0, 70.0, 90.0)):
            number = sum(one[region][place] for one in contents)
            mass += [center] * number
            score += [value] * number
    return write_jets(path, {"jet_sdmass": np.array(mass), "score": np.array(score)})


def systematic_by_hand(shift):
    """The systematic error of the scale factor of top jets, from the Fisher matrix of pass alone.

    A bin of pass expects mu_top (top + theta shift) + mu_other other, with theta known to 1. The
    scale factor moves by (1 - efficiency) times what mu_top moves by, and fail is not varied.
    """
    top, other = (np.array(CONTENTS[name][0]) for name in ("top", "other"))
    slopes = np.stack([top, other, shift])  # (3 parameters, 3 bins)
    fisher = slopes / (top + other) @ slopes.T
    known = np.linalg.inv(fisher[:2, :2])[0, 0]
    fisher[2, 2] += 1
    varied = np.linalg.inv(fisher)[0, 0]
    efficiency = 1600 / 2400
    return (1 - efficiency) * np.sqrt(varied - known)


@pytest.mark.parametrize("step", [40, 80])
def test_shifted_template_files_make_the_systematic_error_that_is_to_be_expected(tmp_path, step):
    paths = {
        name: write_contents(tmp_path / f"{name}.parquet", of) for name, of in CONTENTS.items()
    }
    paths["data"] = write_contents(tmp_path / "data.parquet", *CONTENTS.values())
    shift = np.array([step, 0, -step])
    passing, failing = (np.array(of) for of in CONTENTS["top"])
    for side, sign in (("up", 1), ("down", -1)):
        # three times as many jets: the yields of a free category are measured, not varied
        varied = [3 * (passing + sign * shift), 3 * failing]
        write_contents(tmp_path / f"{side}.parquet", np.array(varied))
    yaml = tmp_path / "systematics.yaml"
    sides = f"{{up: {tmp_path}/up.parquet, down: {tmp_path}/down.parquet}}"
    yaml.write_text(f"templates: {{parton_shower: {{top: {sides}}}}}")
    flags = ["--scale-error", 0, "--resolution-error", 0, "--systematics", yaml]
    assert calibrate(paths, tmp_path, *flags, edges=["40", "60", "80", "100"]) == 0
    (one,) = read(tmp_path)["bins"]
    top, _ = one["scale_factors"]
    assert top["scale_factor"]["value"] == pytest.approx(1, abs=1e-4)
    assert top["systematic"] == pytest.approx(systematic_by_hand(shift), rel=0.02)
    assert one["pulls"]["parton_shower"]["pull"] == pytest.approx(0, abs=1e-3)


def test_a_singular_fit_says_which_bin_it_is_of(files, tmp_path, capsys, monkeypatch):
    real = Model.fit
    fits = []

    def fit(self, start=None):
        fits.append(self)
        if len(fits) == 2:
            raise DataError("the fit is singular: its parameters have no covariance")
        return real(self, start)

    monkeypatch.setattr(Model, "fit", fit)
    # without scale and resolution there is one fit of each bin
    fixed = ["--scale-error", 0, "--resolution-error", 0, "--allow-bad-fit"]
    assert calibrate(files, tmp_path, *fixed, "--bins-in", "jet_pt", 300, 400, 500) == 1
    assert "jet_pt 400 to 500: the fit is singular" in capsys.readouterr().err


def test_weighted_data_are_said_and_fitted(files, tmp_path, capsys):
    assert calibrate(files, tmp_path, "--data-weight-column", "0.3") == 0
    assert "the data are no whole numbers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("replaced", "more", "message"),
    [
        ({"data": []}, [], "expected --data FILES"),
        ({"edges": ["40", "100", "90"]}, [], "--edges 40 100 90: expected two or more numbers"),
        ({"edges": ["40", "100", "240"]}, [], "--edges makes 2 bins; 2 categories"),
        ({}, ["--bins-in", "jet_pt", "400"], "--bins-in jet_pt 400: expected two or more"),
        ({}, ["--bins-in", "jet_pt", "4o0", "500"], "--bins-in jet_pt 4o0 500: could not"),
        ({"variable": ["jet_sdmas"]}, [], "no column 'jet_sdmas'|did you mean 'jet_sdmass'"),
        ({"tag": ["score > 2"]}, [], "no jet passes --tag 'score > 2'"),
        ({"tag": ["score > 0"]}, [], "all jets pass --tag 'score > 0'"),
        ({"tag": ["jet_sdmass > 245"]}, [], "pass: the template is empty between 40 and 240"),
        ({}, ["--selection", "jet_pt > 900"], "not one jet is selected"),
        ({}, ["--weight-column", "1 - 2*(jet_sdmass > 200)"], "220 add up to -"),
        ({}, ["--category", "tpo", "kind == 0"], "no --mc tpo:FILES; did you mean 'top'"),
        ({"variable": ["np.log(jet_sdmass - 100)"]}, [], "jets are not finite"),
        ({}, ["--scale-error", "0.7"], "--scale-error 0.7: expected a number of at least 0"),
    ],
)
def test_what_cannot_be_calibrated_is_said_in_one_message(
    files, tmp_path, capsys, replaced, more, message
):
    assert calibrate(files, tmp_path, *more, **replaced) == 1
    said = capsys.readouterr().err
    assert any(part in said for part in message.split("|"))
    assert "Traceback" not in said
    assert not (tmp_path / "scale_factors.json").exists()


def test_jets_count_once(files, tmp_path, capsys):
    top = files["top"]
    assert calibrate(files, tmp_path, data=[top]) == 1
    assert "is of --data and of --mc top" in capsys.readouterr().err
    assert calibrate(files, tmp_path, mc=[f"top:{top}", f"other:{top}"]) == 1
    assert "a jet would count in both" in capsys.readouterr().err
    flags = ["--category", "top", "jet_pt < 400", "--category", "other", "jet_pt > 399"]
    assert calibrate(files, tmp_path, *flags, mc=[f"top:{top}", f"other:{top}"]) == 1
    said = capsys.readouterr().err
    assert "are of top (jet_pt < 400) and of other (jet_pt > 399); a jet has one" in said


def test_alike_categories_are_said(files, tmp_path, capsys):
    again = write_jets(tmp_path / "again.parquet", draw_jets("top", 40_000, 1))
    mc = [f"{name}:{files[name]}" for name in NUMBERS] + [f"again:{again}"]
    assert calibrate(files, tmp_path, mc=mc) == 1
    said = capsys.readouterr().err
    assert "singular" in said or "alike" in said


@pytest.mark.parametrize("module", ["pyhf", "iminuit"])
def test_the_extra_is_named_that_installs_what_is_missing(
    files, tmp_path, capsys, monkeypatch, module
):
    real = optional_imports.importlib.import_module

    def without(name):
        if name == module:
            raise ImportError(f"No module named {name!r}")
        return real(name)

    monkeypatch.setattr(optional_imports.importlib, "import_module", without)
    assert calibrate(files, tmp_path) == 1
    assert "pip install 'weaver_tt[calibrate]'" in capsys.readouterr().err
