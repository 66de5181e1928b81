"""Scale factors and the closure of a ratio, as a user runs them on prediction files."""

import json
import re

import awkward as ak
import numpy as np
import pytest
import uproot

from weaver_tt.applications.density_ratio import commands, two_sample
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.formats.writers import open_writer
from weaver_tt.output.about import ABOUT, AboutPrediction, read_about

SAMPLES = {"numerator": "data", "denominator": "mc", "normalise": "unit"}
ABOUT_JETS = AboutPrediction(task="density_ratio", outputs=("jet_ratio",), ratio=SAMPLES)


def write(path, columns, about=ABOUT_JETS):
    with open_writer(path) as writer:
        writer.write(columns)
        if about is not None:
            writer.annotate(ABOUT, about.as_text())
    return str(path)


@pytest.fixture
def jets(tmp_path):
    """Two jets in each of 1500 events of either sample; the ratio of pT is 0.4 + 1.2 pT / 100."""
    random = np.random.default_rng(5)
    events = 3000
    is_data = np.repeat(np.arange(events) % 2 == 0, 2)
    uniform, drawn = random.random((2, 2 * events))
    # of density 0.4 + 1.2 x
    rising = (np.sqrt(0.16 + 2.4 * drawn) - 0.4) / 1.2
    pt = 100 * np.where(is_data, rising, uniform)
    columns = {
        "jet_pt": pt,
        "jet_eta": random.normal(size=2 * events),
        "jet_ratio": 0.4 + 0.012 * pt,
        "jet_istag": (random.random(2 * events) < 0.3).astype(np.int32),
        "data": is_data.astype(np.int32),
        "mc": (~is_data).astype(np.int32),
    }
    counts = np.full(events, 2)
    return {name: ak.unflatten(values, counts) for name, values in columns.items()}


@pytest.fixture
def quick(monkeypatch):
    """A short training of the two-sample test, and no figures, which have tests of their own."""
    monkeypatch.setattr(two_sample, "STEPS", 30)
    monkeypatch.setattr(
        "weaver_tt.applications.density_ratio.figures.draw_closure", lambda *anything: []
    )


def close(path, folder, **more):
    options = {"variables": ["jet_pt", "jet_eta"], "map_bins": [5, 2]} | more
    commands.run_ratio_closure(
        commands.RatioClosureOptions(predictions=[path], output=str(folder), **options)
    )
    return json.loads((folder / "closure.json").read_text())


def test_the_closure_of_a_ratio(jets, tmp_path, quick):
    path = write(tmp_path / "pred.root", jets)
    summary = close(path, tmp_path / "closure")
    assert (summary["numerator"], summary["denominator"]) == ("data", "mc")
    assert summary["ratio"] == "jet_ratio"
    assert summary["entries"] == {"numerator": 3000, "denominator": 3000}
    assert summary["variables"]["jet_pt"]["before"]["chi2_per_ndf"] > 10
    assert summary["variables"]["jet_pt"]["network"]["chi2_per_ndf"] < 2.5
    assert summary["map"]["source"] == "the other half of the predictions"
    table = (tmp_path / "closure" / "closure.md").read_text()
    assert "| jet_pt, jet_eta |" in table
    # of ratios that are uniform from 0.4 to 1.6, whose mean is 1
    assert re.search(r"largest weight: 1\.[56]\d? times the mean", table)
    assert re.search(r"largest 1 %: 1\.[56]\d? % of the sum of weights", table)
    # without the label of the denominator all other jets are of it
    again = close(path, tmp_path / "again", numerator="1 - mc")
    assert again["variables"] == summary["variables"]


def test_a_map_of_other_files_and_variables_by_expression(jets, tmp_path, quick):
    path = write(tmp_path / "pred.root", jets)
    others = {name: values for name, values in jets.items() if name != "jet_ratio"}
    made_from = write(tmp_path / "train.root", others, None)
    variables = ["np.log(jet_pt + 1)", "jet_eta"]
    summary = close(
        path,
        tmp_path / "closure",
        map_from=[made_from],
        variables=variables,
        map_variables=["jet_eta"],
    )
    assert summary["map"] == {"variables": ["jet_eta"], "source": [made_from]}
    assert set(summary["variables"]) == set(variables)


def test_a_variable_may_be_called_as_what_is_read_beside_it(jets, tmp_path, quick):
    named = jets | {"weight": jets["jet_eta"], "generated": jets["jet_pt"] * 0 + 2}
    path = write(tmp_path / "pred.root", named)
    plain = close(path, tmp_path / "plain")
    weighted = close(
        path, tmp_path / "weighted", variables=["jet_pt", "weight"], weight_column="generated"
    )
    # all weights are 2, and the variable is eta
    for name, found in (("jet_pt", "jet_pt"), ("jet_eta", "weight")):
        chi2 = plain["variables"][name]["network"]["chi2"]
        assert weighted["variables"][found]["network"]["chi2"] == pytest.approx(chi2)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"variables": []}, "expected --variables"),
        ({"variables": ["jet_pt", "jet_pt"]}, "'jet_pt' is listed 2 times"),
        ({"map_variables": ["jet_et"]}, "--map-variables: 'jet_et' .* did you mean 'jet_eta'"),
        ({"map_bins": [5]}, "--map-bins 5: expected a number for each of jet_pt, jet_eta"),
        ({"numerator": "dat"}, "no column 'dat'.* did you mean 'data'"),
        (
            {"numerator": "mc", "denominator": "data > 1"},
            "entries of the denominator .* add up to 0",
        ),
        ({"ratio_column": "jet_rato"}, "did you mean .*jet_ratio"),
        ({"weight_column": "genweight"}, "genweight"),
    ],
)
def test_flags_that_do_not_fit(jets, tmp_path, flags, message):
    path = write(tmp_path / "pred.root", jets)
    with pytest.raises((ConfigError, DataError), match=message):
        close(path, tmp_path / "closure", **flags)
    assert not (tmp_path / "closure").exists()


def test_a_file_that_does_not_say_what_its_numerator_is(jets, tmp_path):
    path = write(tmp_path / "pred.root", jets, None)
    with pytest.raises(ConfigError, match=r"pred\.root does not say .* expected --numerator"):
        close(path, tmp_path / "closure", ratio_column="jet_ratio")


def test_the_global_factor_is_not_counted_twice(jets, tmp_path):
    about = AboutPrediction(
        task="density_ratio", outputs=("jet_ratio",), ratio=SAMPLES | {"normalise": "yield"}
    )
    path = write(tmp_path / "pred.root", jets, about)
    options = {"tagged": path, "all": path, "data": [path], "simulation": [path]}
    with pytest.raises(ConfigError, match=r"normalise: yield, so that .* expected .*unit"):
        commands.run_scale_factors(commands.ScaleFactorOptions(**options))


def test_scale_factors_of_two_predictions(jets, tmp_path):
    tagged = write(tmp_path / "tagged.root", jets)
    of_all = write(tmp_path / "all.root", jets | {"jet_ratio": 2 * jets["jet_ratio"]})
    data = write(tmp_path / "data.root", {"jet_istag": [[1, 0], [1, 0]]}, None)
    simulation = write(tmp_path / "mc.root", {"jet_istag": [[1, 0], [0, 0]]}, None)
    output = tmp_path / "sf.parquet"
    commands.run_scale_factors(
        commands.ScaleFactorOptions(
            tagged=tagged, all=of_all, data=[data], simulation=[simulation], output=str(output)
        )
    )
    factors = ak.from_parquet(output).jet_sf
    assert ak.num(factors).tolist() == [2] * 3000
    # half of the ratio of the shares, 1/2 over 1/4
    assert ak.to_numpy(ak.flatten(factors)) == pytest.approx(np.ones(6000))
    assert read_about(str(output)) == ABOUT_JETS
    summary = json.loads((tmp_path / "sf.json").read_text())
    assert summary["global_factor"]["value"] == pytest.approx(2)
    # sums over events are 0 in data; 1/2 and -1/2 of 4 jets in the simulation
    assert summary["global_factor"]["error"] == pytest.approx(2 * np.sqrt(0.5) / 4 / 0.25)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"data": []}, "expected --data FILES"),
        ({"all": "plain.root"}, r"plain\.root: expected a prediction of the task density_ratio"),
        ({"tag": "jet_tag"}, "did you mean 'jet_istag'"),
        ({"output": "sf.csv"}, "no writer for '.csv'"),
        ({"name": "jet_pt"}, "already has the column 'jet_pt'; --name another"),
    ],
)
def test_scale_factors_that_cannot_be_made(jets, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    path = write("pred.root", jets)
    write("plain.root", jets, None)
    given = {"tagged": path, "all": path, "data": [path], "simulation": [path]} | flags
    with pytest.raises(Exception, match=message):
        commands.run_scale_factors(commands.ScaleFactorOptions(**given))
    assert not (tmp_path / "scale_factors.root").exists()


def test_predictions_say_what_their_ratio_is_called(tmp_path, jets):
    about = AboutPrediction(task="density_ratio", outputs=("ratio",))
    rows = {"ratio": np.array([1.0, 2.0, 3.0])}
    path = write(tmp_path / "rows.root", rows, about)
    tags = write(tmp_path / "tags.root", {"is_tagged": [1, 0, 1]}, None)
    output = str(tmp_path / "sf.root")
    commands.run_scale_factors(
        commands.ScaleFactorOptions(
            tagged=path, all=path, data=[tags], simulation=[tags], tag="is_tagged", output=output
        )
    )
    assert uproot.open(output)["tree"]["sf"].array().tolist() == pytest.approx([1, 1, 1])
