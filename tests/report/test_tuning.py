"""The report of a search, of trials that are written by hand."""

import csv
import json

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from weaver_tt import cli
from weaver_tt.report.search import read_search, setting_correlations, setting_importances
from weaver_tt.report.tuning_figures import front
from weaver_tt.system.study_file import STUDY_NAME, open_journal

RANGES = {
    "--start-lr": FloatDistribution(1e-4, 1e-1, log=True),
    "-o norm": CategoricalDistribution(["batch", "layer"]),
    "-o width": CategoricalDistribution([2, 3]),
}


def add_trial(study, values, settings, state=TrialState.COMPLETE, **attributes):
    settings = dict(zip(RANGES, settings, strict=True))
    study.add_trial(
        create_trial(
            state=state,
            values=values,
            params=settings,
            distributions=RANGES,
            user_attrs={"prefix": "m/net", **attributes},
        )
    )


def make_study(folder, metrics=("auc",), directions=("maximize",)):
    study = optuna.create_study(
        study_name=STUDY_NAME,
        storage=open_journal(str(folder / "s.journal"), "tune"),
        directions=directions,
    )
    study.set_user_attr("search", {"metric": list(metrics), "space": {}, "rungs": []})
    return study


@pytest.fixture
def study(tmp_path):
    """Four trials, the metric of which is the decade of the learning rate; a failed one."""
    study = make_study(tmp_path)
    for place, norm in enumerate(["batch", "batch", "layer", "layer"]):
        add_trial(study, [0.6 + 0.1 * place], [10.0 ** (place - 4), norm, 2 + place % 2])
    add_trial(study, None, [1e-2, "batch", 2], TrialState.FAIL, message="NaN <loss>")
    add_trial(study, None, [1e-3, "batch", 3], TrialState.FAIL)
    add_trial(study, None, [1e-3, "batch", 3], TrialState.FAIL, continues=5)
    return study


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
    assert sum(found.values()) == pytest.approx(1)
    assert next(iter(found)) == "--start-lr"
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_a_front_holds_what_no_other_beats_in_both():
    points = np.array([[1, 1], [2, 2], [0, 2], [2, 2], [3, 0.0]])
    assert front(points, [True, True]).tolist() == [False, True, False, True, True]
    assert front(points, [False, False]).tolist() == [True, False, True, False, True]


def test_a_report_has_table_figures_and_page(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["tune-report", "s.journal", "-o", "r"]) == 0
    names = ["history_auc", "importance_auc", "parallel_auc"]
    for name in names:
        assert (tmp_path / "r" / f"{name}.png").stat().st_size > 10_000
    with (tmp_path / "r" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == [
        *["complete"] * 4,
        *["fail", "continued by 6", "fail"],
    ]
    assert float(rows[3]["auc"]) == pytest.approx(0.9)
    assert float(rows[3]["--start-lr"]) == 0.1
    content = json.loads((tmp_path / "r" / "tuning.json").read_text())
    assert content["best"] == [3]
    assert content["linear_correlation"]["auc"]["--start-lr"] == pytest.approx(1)
    page = (tmp_path / "r" / "report.html").read_text()
    assert page.count("<img") == len(names)
    assert "6 trials: 4 complete, 2 fail" in page
    assert "NaN &lt;loss&gt;" in page
    # a correlation ratio has no sign
    assert "<td>+1.00</td>" in page
    assert "<td>0.89</td>" in page


def test_two_metrics_have_a_figure_of_their_front(tmp_path, monkeypatch):
    study = make_study(tmp_path, ("auc", "loss"), ("maximize", "minimize"))
    for values in ([0.7, 0.5], [0.8, 0.6], [0.6, 0.7]):
        add_trial(study, values, [1e-3, "batch", 2])
    monkeypatch.chdir(tmp_path)
    assert cli.main(["tune-report", "s.journal", "-o", "r"]) == 0
    assert (tmp_path / "r" / "pareto_auc_loss.png").is_file()
    content = json.loads((tmp_path / "r" / "tuning.json").read_text())
    assert content["best"] == [0, 1]
    # three trials: importances would be chance
    assert content["random_forest"] == {}


def test_files_that_are_no_search_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.yaml").write_text("inputs: {}\n")
    assert cli.main(["tune-report", "d.yaml"]) == 1
    assert "not a file of weaver-tt tune" in capsys.readouterr().err
    assert cli.main(["tune-report", "e.yaml"]) == 1
    assert "e.yaml: no such file; did you mean 'd.yaml'?" in capsys.readouterr().err
    assert not (tmp_path / "e.yaml").exists()
    make_study(tmp_path)
    assert cli.main(["tune-report", "s.journal"]) == 1
    assert "no trial of 0 has been completed" in capsys.readouterr().err
