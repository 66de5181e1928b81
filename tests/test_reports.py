"""Which report is made follows from what the prediction files say of themselves."""

import json

import numpy as np
import pytest

from tests.applications.jet_energy.judging.conftest import REPORT, make_jets, write_prediction
from weaver_tt.applications.jet_energy.judging import report
from weaver_tt.applications.jet_energy.judging.figures import JudgementPictures
from weaver_tt.errors import ConfigError
from weaver_tt.formats.writers import open_writer
from weaver_tt.output.about import AboutPrediction
from weaver_tt.report import figures
from weaver_tt.report.commands import ReportOptions
from weaver_tt.reports import CLASSES_FOLDER, run_report

CLASSES = {
    "score_b": np.array([0.9, 0.2, 0.8, 0.4]),
    "score_l": np.array([0.1, 0.8, 0.2, 0.6]),
    "b": np.array([1, 0, 1, 0], np.int32),
    "l": np.array([0, 1, 0, 1], np.int32),
}


def classifier(path, says=True):
    about = AboutPrediction(
        task="classification", outputs=("score_b", "score_l"), classes=("b", "l")
    )
    if says:
        return write_prediction(path, CLASSES, about)
    with open_writer(path) as writer:
        writer.write(CLASSES)
    return str(path)


@pytest.mark.parametrize("says", [True, False])
def test_scores_are_those_of_a_classifier(tmp_path, says):
    path = classifier(tmp_path / "pred.root", says)
    run_report(ReportOptions(predictions=[path], output=str(tmp_path / "out")))
    assert json.loads((tmp_path / "out/metrics.json").read_text())["classes"] == ["b", "l"]


def test_models_of_two_kinds_are_not_compared(tmp_path):
    jets = write_prediction(tmp_path / "jets.root", make_jets(50))
    other = classifier(tmp_path / "classes.root")
    message = r"jets\.root is a prediction of jet energies, .*classes\.root is not"
    with pytest.raises(ConfigError, match=message):
        run_report(ReportOptions(predictions=[jets, other]))


def test_a_flag_of_jets_says_nothing_of_a_classifier(tmp_path):
    path = classifier(tmp_path / "classes.root")
    with pytest.raises(ConfigError, match=r"--flavour: .*is the prediction of a classifier"):
        run_report(ReportOptions(predictions=[path], flavour="jet_flavour"))


def test_classes_and_energies_of_one_network_are_both_reported(tmp_path, monkeypatch):
    # figures take most of the time of a report
    monkeypatch.setattr(report, "draw_judgement", lambda *anything: JudgementPictures())
    monkeypatch.setattr(figures, "draw_report", lambda *anything: figures.ReportPictures())
    jets = make_jets(400)
    is_b = (jets["jet_flavour"] == 5).astype(np.int32)
    score = np.clip(0.3 + 0.4 * is_b + 0.1 * np.sin(jets["gen_pt"]), 0, 1)
    jets |= {"b": is_b, "l": 1 - is_b, "score_b": score, "score_l": 1 - score}
    path = write_prediction(
        tmp_path / "hybrid.root",
        jets,
        task="hybrid",
        outputs=("score_b", "score_l", "output_y"),
        classes=("b", "l"),
        report=REPORT,
    )
    run_report(ReportOptions(predictions=[path], output=str(tmp_path / "out")))
    energies = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert energies["hybrid"]["central"]["all"]["jets"] > 0
    classes = json.loads((tmp_path / "out" / CLASSES_FOLDER / "metrics.json").read_text())
    assert classes["classes"] == ["b", "l"]


def test_a_regression_that_says_no_more_asks_for_what_it_needs(tmp_path):
    path = write_prediction(tmp_path / "mass.root", make_jets(20), report={})
    with pytest.raises(ConfigError, match=r"mass\.root: nothing says which column is corrected_pt"):
        run_report(ReportOptions(predictions=[path]))
    old = tmp_path / "old.root"
    with open_writer(old) as writer:
        writer.write({"output_y": np.zeros(3)})
    with pytest.raises(ConfigError, match=r"old\.root: nothing .* --corrected-pt EXPRESSION"):
        run_report(ReportOptions(predictions=[str(old)]))


def test_trainings_of_jet_energies_have_no_accuracy(tmp_path):
    paths = [write_prediction(tmp_path / f"{name}.root", make_jets(50)) for name in "ab"]
    with pytest.raises(ConfigError, match=r"net: several trainings .* by their accuracy"):
        run_report(ReportOptions(predictions=[f"net:{','.join(paths)}"]))


def test_nothing_to_report_is_said():
    with pytest.raises(ConfigError, match="expected prediction files, or --sample FILE"):
        run_report(ReportOptions())
