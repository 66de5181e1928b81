"""The trials of a search, and which settings matter for its metrics, by hand."""

import numpy as np
import pytest
from optuna.trial import TrialState

from tests.report.conftest import add_trial, make_study
from weaver_tt.report.search import (
    read_search,
    setting_correlations,
    setting_importances,
    setting_remarks,
    why_unknown,
)


def test_correlations_are_those_with_the_logarithm_and_of_the_means(study):
    (found,) = setting_correlations(read_search(study)).values()
    assert found["--start-lr"] == pytest.approx(1)
    # means 0.65 and 0.85 deviate by 0.1 from 0.75; values by sqrt(0.0125)
    assert found["-o norm"] == pytest.approx(0.1 / np.sqrt(0.0125))
    # widths deviate by 0.5: covariance 0.025
    assert found["-o width"] == pytest.approx(0.025 / (0.5 * np.sqrt(0.0125)))


def test_importances_add_up_to_one_and_begin_with_what_decides(tmp_path):
    study = make_study(tmp_path)
    for place in range(12):
        rate = 10.0 ** (-4 + place / 4)
        add_trial(study, [place / 12], [rate, ["batch", "layer"][place % 2], 2 + place // 2 % 2])
    found = setting_importances(study, read_search(study))["auc"]
    means = [importance.mean for importance in found.values()]
    assert sum(means) == pytest.approx(1)
    assert next(iter(found)) == "--start-lr"
    assert means == sorted(means, reverse=True)


def test_an_importance_is_mean_and_spread_over_forests_of_ten_seeds(study, monkeypatch):
    search = read_search(study)
    seeds = []

    def importances(study, evaluator, params, target):
        # of a forest with seed s the learning rate has (9 - s) / 10
        seed = evaluator
        seeds.append(seed)
        return {"--start-lr": (9 - seed) / 10, "-o norm": seed / 10, "-o width": 0.1}

    monkeypatch.setattr("optuna.importance.get_param_importances", importances)
    evaluator = "optuna.importance.MeanDecreaseImpurityImportanceEvaluator"
    monkeypatch.setattr(evaluator, lambda seed: seed)
    found = setting_importances(study, search)["auc"]
    assert seeds == list(range(10))
    assert found["-o norm"].mean == pytest.approx(0.45)
    # 0.0 to 0.9: sum of squared deviations 0.825
    assert found["-o norm"].spread == pytest.approx(np.sqrt(0.825 / 9))
    assert found["-o width"].spread == pytest.approx(0)
    assert list(found) == ["--start-lr", "-o norm", "-o width"]


def test_what_never_varied_is_said_and_not_divided_by(tmp_path):
    study = make_study(tmp_path)
    for place in range(4):
        add_trial(study, [0.6 + 0.1 * place], [1e-3, "batch", 2 + place % 2])
    search = read_search(study)
    assert list(setting_importances(study, search)["auc"]) == ["-o width"]
    assert list(setting_correlations(search)["auc"]) == ["-o width"]
    assert setting_remarks(search) == {
        "--start-lr": ["0.001 in all 4 completed trials"],
        "-o norm": ["batch in all 4 completed trials"],
    }


def test_values_with_which_all_trials_fail_are_said(study):
    # with a batch norm one trial failed, and others were completed
    add_trial(study, None, [1e-3, "group", 2], TrialState.FAIL)
    # once is chance
    assert setting_remarks(read_search(study)) == {}
    add_trial(study, None, [1e-2, "group", 3], TrialState.FAIL)
    remarks = setting_remarks(read_search(study))
    assert remarks == {"-o norm": ["all 2 trials with group failed"]}


@pytest.mark.parametrize(
    ("values", "settings", "reason"),
    [
        ([0.5, 0.6, 0.7], [2, 3, 2], "at least 4 completed trials are needed"),
        ([0.5] * 5, [2, 3, 2, 3, 2], r"auc is 0.5 in all completed trials"),
        ([0.5, 0.6, 0.7, 0.8], [2] * 4, "all settings are the same in all completed trials"),
    ],
)
def test_where_nothing_can_be_said_the_reason_is(tmp_path, values, settings, reason):
    study = make_study(tmp_path)
    for value, width in zip(values, settings, strict=True):
        add_trial(study, [value], [1e-3, "batch", width])
    search = read_search(study)
    assert why_unknown(search, "auc") == reason
    assert setting_importances(study, search) == {}
    assert setting_correlations(search) == {}
