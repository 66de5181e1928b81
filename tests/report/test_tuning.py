"""The report of a search, of trials that are written by hand."""

import csv
import json

import optuna
import pytest

from tests.pages.reading import table_of
from tests.report.conftest import add_trial, make_study
from weaver_tt import cli
from weaver_tt.system.study_file import open_journal


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
    forests = content["random_forest"]["auc"]
    assert 0 <= forests["--start-lr"]["spread"] < forests["--start-lr"]["mean"] <= 1
    assert content["remarks"] == {}
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


def test_what_cannot_be_known_is_said_on_the_page(tmp_path, monkeypatch):
    study = make_study(tmp_path, ("auc", "ant"), ("maximize", "maximize"))
    for place in range(4):
        values = [0.5, 0.01 * (1 + place)]
        add_trial(study, values, [1e-3, "batch", 2 + place % 2], parameters=1234 + place)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["tune-report", "s.journal", "-o", "r"]) == 0
    page = (tmp_path / "r" / "report.html").read_text()
    assert "auc: nothing is known of what matters: auc is 0.5 in all completed trials" in page
    (of_norm,) = [row for row in table_of(page, "What matters") if row[0] == "-o norm"]
    assert of_norm[1:3] == ["–", "–"]
    assert of_norm[3].startswith("batch in all 4")
    assert "<td>1,237</td>" in page
    with (tmp_path / "r" / "trials.csv").open() as file:
        assert next(row["parameters"] for row in csv.DictReader(file)) == "1234"


def test_the_choice_none_is_written_out(tmp_path, monkeypatch):
    study = make_study(tmp_path, ("auc",), ("maximize",))
    add_trial(study, [0.7], [1e-3, None, 2])
    monkeypatch.chdir(tmp_path)
    assert cli.main(["tune-report", "s.journal", "-o", "r"]) == 0
    with (tmp_path / "r" / "trials.csv").open() as file:
        assert [row["-o norm"] for row in csv.DictReader(file)] == ["none"]
    assert "<td>none</td>" in (tmp_path / "r" / "report.html").read_text()


def test_files_that_are_no_search_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.yaml").write_text("inputs: {}\n")
    assert cli.main(["tune-report", "d.yaml"]) == 1
    assert "not a file of weaver-tt tune" in capsys.readouterr().err
    assert cli.main(["tune-report", "e.yaml"]) == 1
    assert "e.yaml: no such file; did you mean 'd.yaml'?" in capsys.readouterr().err
    assert not (tmp_path / "e.yaml").exists()
    other = open_journal(str(tmp_path / "other.journal"), "tune")
    optuna.create_study(study_name="mine", storage=other)
    assert cli.main(["tune-report", "other.journal"]) == 1
    assert "no search of weaver-tt tune in it; it holds 'mine'" in capsys.readouterr().err
    make_study(tmp_path)
    assert cli.main(["tune-report", "s.journal"]) == 1
    assert "no trial of 0 has been completed" in capsys.readouterr().err
