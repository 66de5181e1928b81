"""What a correction says at a jet, and that correctionlib says the same."""

import json
from dataclasses import replace

import correctionlib
import correctionlib.schemav2
import numpy as np
import pytest

from tests.applications.jet_energy.conftest import SOURCES_WITH_OFFSET
from weaver_tt.applications.jet_energy.correction import load_correction, save_correction
from weaver_tt.errors import ConfigError, DataError, OutputError


def jets(**columns):
    return {name: np.array(values, float) for name, values in columns.items()}


@pytest.fixture
def with_offset(correction):
    return replace(correction, sources=SOURCES_WITH_OFFSET)


def test_the_factor_is_that_of_the_bin_in_eta_and_of_the_pt(correction):
    columns = jets(jet_pt=[100, 60, 144, 300], jet_eta=[-0.5, 1, -2, 2.5])
    expected = [1.25, 0.5, 0.5 / 1.2, 0.5 / np.sqrt(2)]
    assert correction.factor(columns) == pytest.approx(expected)
    assert correction.corrected(columns) == pytest.approx(expected * columns["jet_pt"])


def test_the_offset_goes_first_and_the_response_is_that_of_what_is_left(with_offset):
    """169 GeV with 25 GeV of pile-up: 144 GeV, which become 60 GeV."""
    columns = jets(jet_pt=[169], jet_eta=[2], jet_area=[0.5], rho=[50])
    assert with_offset.needed_columns == ("jet_pt", "jet_eta", "jet_area", "rho")
    assert with_offset.corrected(columns) == pytest.approx([60])


def test_a_jet_of_pile_up_alone_keeps_a_hundredth_of_its_pt(with_offset):
    columns = jets(jet_pt=[40], jet_eta=[0], jet_area=[0.5], rho=[100])
    assert with_offset.extrapolating().factor(columns) == pytest.approx([0.0125])


def test_errors_are_linear_in_log_pt(correction):
    pt = np.array([100.0, 60, 141.42135623730951, 300])
    eta = np.array([0.5, -1, 2, 2])
    expected = [0.02, 0.01, 0.01 + 0.01 * np.log(2), 0.01 + 0.02 * np.log(2)]
    assert correction.curves.error(pt, eta) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("pt", "eta", "message"),
    [
        (19.9, 0, r"'jet_pt': 1 of 2 jets are beyond .*\(first: 19.9; known: 20 to 200 GeV at abs"),
        (200, -0.5, r"first: 200; known: 20 to 200 GeV at abs\(eta\) from 0 to 1"),
        (401, 2, r"known: 50 to 400 GeV at abs\(eta\) from 1 to 3\); with --extrapolate"),
        (100, -3, r"'jet_eta': 1 of 2 .*first: -3; known: abs\(eta\) from 0 to 3"),
    ],
)
def test_a_jet_beyond_the_data_is_an_error(correction, pt, eta, message):
    with pytest.raises(DataError, match=message):
        correction.factor(jets(jet_pt=[100, pt], jet_eta=[0, eta]))


def test_where_it_extrapolates_the_factor_of_the_border_holds(correction):
    columns = jets(jet_pt=[1, 1000, 10, 900, 100], jet_eta=[0, 0, 2, 2, 5])
    expected = [1.25, 1.25, 0.5, 0.5 / np.sqrt(2), 0.5]
    assert correction.extrapolating().factor(columns) == pytest.approx(expected)


def test_what_is_beyond_the_range_is_the_pt_without_its_offset(with_offset):
    """21 GeV less 2 GeV of pile-up is below 20 GeV, 201 GeV less 2 GeV is below 200 GeV."""
    columns = jets(jet_pt=[21, 201], jet_eta=[0, 0], jet_area=[0.5, 0.5], rho=[4, 4])
    assert with_offset.is_outside(with_offset.values(columns)).tolist() == [True, False]
    with pytest.raises(DataError, match=r"'jet_pt' less its offset: 1 of 2 jets .*\(first: 19;"):
        with_offset.factor(columns)


@pytest.mark.parametrize("bad", [0, -1, np.nan, np.inf])
def test_a_pt_that_is_not_above_0_is_an_error(correction, bad):
    with pytest.raises(DataError, match=r"'jet_pt' \(pt\): 1 of 2 values are not above 0 \(first"):
        correction.extrapolating().factor(jets(jet_pt=[50, bad], jet_eta=[0, 0]))


@pytest.mark.parametrize("role", ["jet_eta", "rho", "jet_area"])
def test_any_other_value_that_is_not_finite_is_an_error(with_offset, role):
    columns = jets(jet_pt=[50], jet_eta=[0], jet_area=[0.5], rho=[1]) | jets(**{role: [np.nan]})
    with pytest.raises(DataError, match=f"'{role}' .*: 1 of 1 values are not finite"):
        with_offset.factor(columns)


def test_a_missing_column_is_named_with_the_nearest(with_offset):
    with pytest.raises(DataError, match=r"no column 'rho'.*did you mean 'rho_all'"):
        with_offset.factor(jets(jet_pt=[50], jet_eta=[0], jet_area=[0.5], rho_all=[1]))


def test_the_pt_may_be_an_expression(correction):
    """After a network: 50 GeV times exp(log 2)."""
    after = replace(correction, sources=correction.sources | {"pt": "jet_pt * np.exp(output_y)"})
    assert after.needed_columns == ("jet_pt", "output_y", "jet_eta")
    columns = jets(jet_pt=[50], jet_eta=[0], output_y=[np.log(2)])
    assert after.corrected(columns) == pytest.approx([125])


@pytest.mark.parametrize("offset", [False, True])
def test_correctionlib_gives_the_same_numbers(correction, with_offset, offset, tmp_path):
    ours = (with_offset if offset else correction).extrapolating()
    path = str(tmp_path / "jec.json")
    save_correction(ours, path, "a test")
    rng = np.random.default_rng(1)
    columns = {
        "jet_pt": rng.uniform(1, 600, 500),
        "jet_eta": rng.uniform(-4, 4, 500),
        "jet_area": rng.uniform(0, 1, 500),
        "rho": rng.uniform(0, 60, 500),
    }
    columns["jet_pt"][:6] = [20, 50, 100, 200, 400, 100]  # on the edges
    columns["jet_eta"][:6] = [0, -1, 2, 2, 2, 3]
    theirs = correctionlib.CorrectionSet.from_file(path)
    whole = theirs.compound["jet_energy_correction"]
    values = [columns[name] for name in ours.needed_columns]
    assert whole.evaluate(*values) == pytest.approx(ours.factor(columns), rel=1e-12)
    pt, eta = columns["jet_pt"], columns["jet_eta"]
    error = theirs["response_error"].evaluate(pt, eta)
    assert error == pytest.approx(ours.curves.error(pt, eta), rel=1e-12)


def test_correctionlib_refuses_jets_beyond_the_data_as_we_do(correction, tmp_path):
    path = str(tmp_path / "jec.json")
    save_correction(correction, path, "a test")
    whole = correctionlib.CorrectionSet.from_file(path).compound["jet_energy_correction"]
    assert whole.evaluate(100.0, -0.5) == pytest.approx(1.25)
    for pt, eta in ((19.9, 0), (200, 0), (100, 3)):
        with pytest.raises(RuntimeError, match="bounds"):
            whole.evaluate(float(pt), float(eta))


def test_the_file_keeps_to_the_schema(with_offset, tmp_path):
    path = tmp_path / "jec.json"
    save_correction(with_offset, path, "a test")
    document = json.loads(path.read_text())
    read = correctionlib.schemav2.CorrectionSet.model_validate(document)
    assert read.description == "a test"
    assert [one.name for one in read.corrections] == ["offset", "response", "response_error"]


@pytest.mark.parametrize("extrapolates", [False, True])
def test_a_saved_correction_comes_back(with_offset, extrapolates, tmp_path):
    path = tmp_path / "folder" / "jec.json"
    ours = replace(with_offset, extrapolates=extrapolates)
    save_correction(ours, path, "a test")
    read = load_correction(path)
    assert read.sources == ours.sources
    assert read.extrapolates is extrapolates
    assert read.parameters == ours.parameters == 16
    assert np.array_equal(read.curves.eta_edges, ours.curves.eta_edges)
    for one, other in zip(read.curves.curves, ours.curves.curves, strict=True):
        for field in ("edges", "coefficients", "errors"):
            assert np.array_equal(getattr(one, field), getattr(other, field))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "other.json").write_text('{"corrections": [{"name": "sf", "data": 1}]}')
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for name, message in (
        ("other.json", "not a correction"),
        ("broken.json", "not a correction"),
        ("deep.json", "not a correction"),
        ("none.json", "no such file"),
    ):
        with pytest.raises(ConfigError, match=f"{name}: {message}"):
            load_correction(tmp_path / name)


@pytest.mark.parametrize("edges", ["[3, 2]", "[1, 1]", "[1]", "[NaN, 2]", "5", "[1e400, 2]"])
def test_a_correction_whose_bins_make_no_sense_is_refused(correction, tmp_path, edges):
    path = tmp_path / "jec.json"
    save_correction(correction, path, "a test")
    document = json.loads(path.read_text())
    document["corrections"][0]["data"]["content"]["edges"] = json.loads(edges)
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="not a correction"):
        load_correction(path)


@pytest.mark.parametrize("number", [0, 1])
def test_a_segment_that_does_not_begin_at_its_edge_is_refused(correction, tmp_path, number):
    """correctionlib would give other numbers than we do."""
    path = tmp_path / "jec.json"
    save_correction(correction, path, "a test")
    document = json.loads(path.read_text())
    of_bin = document["corrections"][number]["data"]["content"]["content"][0]
    of_bin["content"][0]["parameters"][0] += 0.1
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="segments that do not begin at their edges"):
        load_correction(path)


def test_a_correction_with_another_formula_is_refused(correction, tmp_path):
    """Its numbers would mean something else."""
    path = tmp_path / "jec.json"
    save_correction(correction, path, "a test")
    path.write_text(path.read_text().replace("exp(", "log("))
    with pytest.raises(ConfigError, match=r"not a correction.*the formula"):
        load_correction(path)


def test_a_place_that_cannot_be_written_is_an_output_error(correction, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_correction(correction, tmp_path / "file" / "jec.json", "")
