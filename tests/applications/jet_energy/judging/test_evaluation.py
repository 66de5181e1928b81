"""Alpha, beta and their errors, worked out anew with numpy from all jets at once."""

import numpy as np
import pytest

from tests.applications.jet_energy.judging.conftest import make_jets, model_of, write_prediction
from weaver_tt.applications.jet_energy.judging import reading
from weaver_tt.applications.jet_energy.judging.evaluation import (
    improvement,
    judge,
    sum_of_absolute_errors,
)
from weaver_tt.applications.jet_energy.judging.responses import SAMPLES, SEED
from weaver_tt.data.rows.bootstrap import poisson_weights
from weaver_tt.errors import DataError
from weaver_tt.metrics.bootstrap_quantiles import bootstrap_error

CODES = {"u": (2,), "d": (1,), "s": (3,), "c": (4,), "b": (5,), "g": (21,), "uds": (1, 2, 3)}


@pytest.fixture
def judged(tmp_path, jets, monkeypatch, correction):
    """Two models beside the standard correction, read in several chunks."""
    monkeypatch.setattr(reading, "CHUNK_ROWS", 600)
    other = dict(jets)
    other["output_y"] = jets["output_y"] + make_jets(seed=5)["output_y"] - make_jets(seed=5)["y"]
    one = write_prediction(tmp_path / "one.root", jets)
    two = write_prediction(tmp_path / "two.root", other)
    first = model_of(one, name="one", more=correction.needed_columns)
    standard = correction.extrapolating()
    judgement = judge([first, model_of(two, name="two")], correction=standard)
    return judgement, jets, other, standard


def responses_of(columns):
    return columns["jet_pt"] * np.exp(columns["output_y"]) / columns["gen_pt"]


def chosen(jets, region, codes=None, pt=(30, np.inf)):
    low, high = {"central": (0, 2.5), "forward": (2.5, 5)}[region]
    eta = np.abs(jets["gen_eta"])
    use = (eta >= low) & (eta < high) & (jets["gen_pt"] >= pt[0]) & (jets["gen_pt"] < pt[1])
    return use if codes is None else use & np.isin(np.abs(jets["jet_flavour"]), codes)


def quartiles(response, use, sample):
    """Weighted with the Poisson numbers of a sample; 0 is all jets as they are."""
    weights = np.ones(len(response))
    if sample:
        weights = poisson_weights(np.arange(len(response)), SEED + sample - 1).astype(float)
    levels = (0.25, 0.5, 0.75)
    return np.quantile(response[use], levels, weights=weights[use], method="inverted_cdf")


def resolution(response, use, sample):
    low, median, high = quartiles(response, use, sample)
    return (high - low) / median


def sae(response, jets, region, names, sample):
    medians = [quartiles(response, chosen(jets, region, CODES[name]), sample)[1] for name in names]
    return np.abs(np.array(medians) - np.mean(medians)).sum()


@pytest.mark.parametrize("region", ["central", "forward"])
def test_beta_and_its_error_are_those_of_the_definition(judged, region):
    judgement, jets, other, standard = judged
    of_standard = standard.corrected(jets) / jets["gen_pt"]
    for model, columns in zip(judgement.models, (jets, other), strict=True):
        for group, codes in (("all", None), ("uds", CODES["uds"]), ("g", CODES["g"])):
            use = chosen(jets, region, codes)
            expected = np.array(
                [
                    1
                    - resolution(responses_of(columns), use, sample)
                    / resolution(of_standard, use, sample)
                    for sample in range(1 + SAMPLES)
                ]
            )
            found = judgement.beta(model, region, group)
            assert found == pytest.approx(expected, abs=3e-3)
            assert bootstrap_error(found) == pytest.approx(np.std(expected[1:], ddof=1), rel=0.02)


@pytest.mark.parametrize("names", ["udscbg", ("uds", "c", "b", "g")])
def test_alpha_and_its_error_are_those_of_the_definition(judged, names):
    judgement, jets, _, standard = judged
    of_standard = standard.corrected(jets) / jets["gen_pt"]
    expected = np.array(
        [
            1
            - sae(responses_of(jets), jets, "central", names, sample)
            / sae(of_standard, jets, "central", names, sample)
            for sample in range(1 + SAMPLES)
        ]
    )
    found = judgement.alpha(judgement.models[0], "central", tuple(names))
    assert found == pytest.approx(expected, abs=0.01)
    assert bootstrap_error(found) == pytest.approx(np.std(expected[1:], ddof=1), rel=0.05)


def test_intervals_of_pt_hold_their_jets(judged):
    judgement, jets, _, _ = judged
    numbers = judgement.models[0].numbers("forward", "c", (100.0, 300.0))
    use = chosen(jets, "forward", CODES["c"], (100, 300))
    assert numbers.jets[0] == use.sum()
    assert numbers.median[0] == pytest.approx(quartiles(responses_of(jets), use, 0)[1], abs=1e-4)


def test_all_includes_jets_of_unknown_flavour(judged):
    judgement, jets, _, _ = judged
    model = judgement.models[0]
    unknown = model.numbers("central", "unknown").jets[0]
    assert unknown == (chosen(jets, "central") & (jets["jet_flavour"] == 0)).sum() > 0
    of_groups = [model.numbers("central", name).jets[0] for name in ("uds", "c", "b", "g")]
    assert model.numbers("central", "all").jets[0] == sum(of_groups) + unknown


def test_the_loss_is_eq_6_8_over_all_jets_for_all_alike(judged):
    judgement, jets, _, standard = judged
    y = jets["y"]
    losses = {
        judgement.models[0].name: jets["output_y"],
        "raw": np.zeros(len(y)),
        "standard": np.log(standard.factor(jets)),
    }
    for model in (judgement.models[0], judgement.raw, judgement.standard):
        expected = np.where(np.abs(y) < 1, np.abs(y - losses[model.name]), 0).mean()
        assert model.loss.value[0] == pytest.approx(expected)


def test_two_models_on_the_same_jets_have_the_same_samples(judged, tmp_path, jets):
    judgement, _, _, _ = judged
    alone = judge([model_of(write_prediction(tmp_path / "again.parquet", jets))])
    again = alone.models[0].numbers("central", "all").median
    assert np.array_equal(judgement.models[0].numbers("central", "all").median, again)


def test_sae_by_hand():
    # medians 0.9, 1.0 and 1.1, whose mean is 1: 0.1 + 0 + 0.1
    found = sum_of_absolute_errors([np.array([0.9]), np.array([1.0]), np.array([1.1])])
    assert found == pytest.approx([0.2])
    assert improvement(np.array([0.05]), found) == pytest.approx([0.75])


def test_the_standard_may_be_a_column(tmp_path, jets):
    jets["cms_pt"] = 1.04 * jets["jet_pt"]
    path = write_prediction(tmp_path / "pred.root", jets)
    judgement = judge([model_of(path, columns={"standard_pt": "cms_pt"})])
    median = judgement.standard.numbers("central", "all").median[0]
    use = chosen(jets, "central")
    expected = quartiles(jets["cms_pt"] / jets["gen_pt"], use, 0)[1]
    assert median == pytest.approx(expected, abs=1e-4)


def test_without_a_standard_there_is_neither_alpha_nor_beta(tmp_path, jets):
    judgement = judge([model_of(write_prediction(tmp_path / "pred.root", jets))])
    assert judgement.beta(judgement.models[0], "central", "all") is None
    assert judgement.alpha(judgement.models[0], "central") is None


def test_jets_without_truth_or_prediction_are_left_out_of_all_models(tmp_path, jets, caplog):
    other = {name: values.copy() for name, values in jets.items()}
    for columns in (jets, other):
        columns["gen_pt"][:3] = [0, np.nan, -1]
    jets["output_y"][3] = np.nan
    other["output_y"][4] = np.inf
    paths = [write_prediction(tmp_path / f"{k}.root", one) for k, one in enumerate((jets, other))]
    models = [model_of(path, name=str(number)) for number, path in enumerate(paths)]
    judgement = judge(models)
    assert judgement.left_out == {"without a true pT": 3, "without a corrected pT": 2}
    assert "3 jets without a true pT: of none of the models" in caplog.text
    use = np.arange(len(jets["gen_pt"])) >= 5
    for model in judgement.models:
        expected = (chosen(jets, "central") & use).sum()
        assert model.numbers("central", "all").jets[0] == expected


def test_jets_without_a_measured_or_a_standard_pt_are_left_out_too(tmp_path, jets):
    """No loss of them is known, and nothing that a model could be compared with."""
    jets["jet_pt"] = jets["jet_pt"].copy()
    jets["jet_pt"][:2] = [0, np.nan]
    jets["pt"] = 1.0 * jets["gen_pt"]
    jets["cms_pt"] = 1.04 * jets["gen_pt"]
    jets["cms_pt"][2] = 0
    path = write_prediction(tmp_path / "pred.root", jets)
    columns = {"corrected_pt": "pt", "standard_pt": "cms_pt"}
    judgement = judge([model_of(path, columns=columns)])
    assert judgement.left_out == {"without a corrected pT": 3}
    assert np.isfinite(judgement.raw.loss.value).all()


def test_the_number_of_a_jet_counts_those_that_are_left_out(tmp_path, jets):
    """Samples are those of the whole file, whatever a model lacks."""
    jets["output_y"][:200] = np.nan
    judgement = judge([model_of(write_prediction(tmp_path / "pred.root", jets))])
    use = chosen(jets, "central") & (np.arange(2000) >= 200)
    expected = [quartiles(responses_of(jets), use, sample)[1] for sample in range(1 + SAMPLES)]
    found = judgement.models[0].numbers("central", "all").median
    assert found == pytest.approx(np.array(expected), abs=1e-4)


def test_a_region_without_jets_is_named(tmp_path, jets):
    jets["gen_eta"] = jets["gen_eta"] / 2.5
    path = write_prediction(tmp_path / "tracker.root", jets)
    message = r"tracker\.root: no jet of 2,000 is forward, with 2\.5 <= abs\(true_eta\) < 5 and "
    with pytest.raises(DataError, match=message + r"true_pt > 30 GeV; --regions central leaves"):
        judge([model_of(path)])
    assert judge([model_of(path)], regions=["central"]).regions == ("central",)


def test_a_file_without_any_truth_is_named(tmp_path, jets):
    jets["gen_pt"][:] = np.nan
    path = write_prediction(tmp_path / "data.root", jets)
    message = r"data\.root: there is no jet to judge, of 2,000: 2,000 without a true pT"
    with pytest.raises(DataError, match=message):
        judge([model_of(path)])


def test_the_standard_outside_of_its_range_is_an_error(tmp_path, jets, correction):
    path = write_prediction(tmp_path / "pred.root", jets)
    model = model_of(path, more=correction.needed_columns)
    with pytest.raises(DataError, match=r"beyond the range .*--extrapolate"):
        judge([model], correction=correction)
