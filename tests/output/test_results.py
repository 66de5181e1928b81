"""What was measured, as files."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import torch

from weaver_tt.config.schema import DataConfig, Labels
from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.metrics.base import Scored
from weaver_tt.output.results import write_results
from weaver_tt.tasks.classification import Classification

CONFIG = DataConfig(
    source="c.yaml",
    text="",
    inputs={},
    labels=Labels(classes={name: parse_expression(name, "test") for name in ("a", "b")}),
)
TASK = Classification(CONFIG)


def measured(entries=4):
    """Two classes separated without fault."""
    meters = TASK.meters()
    output = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7]])[:entries]
    target = torch.tensor([0, 0, 1, 1])[:entries]
    for meter in meters:
        meter.update(Scored(output, target, torch.ones(entries), torch.ones(entries)), None)
    return EpochMetrics(meters, [meter.totals() for meter in meters])


def test_metrics_are_strict_json_with_their_details(tmp_path):
    write_results(measured(), TASK, tmp_path / "net", figures=False)
    text = (tmp_path / "net_metrics.json").read_text()
    written = json.loads(text, parse_constant=lambda name: 1 / 0)
    assert written["metrics"]["auc"] == 1.0
    assert written["metrics"]["rejection@0.5"] is None  # infinite
    # all of four entries are right
    assert written["errors"]["accuracy"] == 0
    assert written["classes"] == ["a", "b"]
    assert [path.name for path in tmp_path.iterdir()] == ["net_metrics.json"]


def test_a_run_that_draws_nothing_does_not_import_matplotlib(tmp_path):
    code = f"""
import sys
import weaver_tt.run.run
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_results import TASK, measured
from weaver_tt.output.results import write_results
write_results(measured(), TASK, {str(tmp_path / "net")!r}, figures=False)
assert "matplotlib" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "net_metrics.json").exists()


def test_figures_lie_in_a_folder_beside(tmp_path):
    write_results(measured(), TASK, tmp_path / "net")
    names = {path.name for path in (tmp_path / "net_figures").iterdir()}
    assert names == {
        f"{name}.{suffix}"
        for name in ("roc", "scores", "calibration", "confusion")
        for suffix in ("png", "pdf")
    }


def test_nothing_measured_is_nothing_written(tmp_path):
    write_results(measured(0), TASK, tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_fails_is_left_out_and_the_others_are_written(tmp_path, monkeypatch, caplog):
    whole = write_results(measured(), TASK, tmp_path / "whole")
    (first, *_) = [path.stem for path in whole if path.suffix == ".png"]
    from weaver_tt.figures import base  # not for the test that runs without matplotlib

    save = base.save_figure

    def fail(figure, path):
        if Path(path).name == first:
            raise OSError(28, "No space left on device")
        return save(figure, path)

    monkeypatch.setattr(base, "save_figure", fail)
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        written = write_results(measured(), TASK, tmp_path / "net")
    assert len(written) == len(whole) - 2
    assert f"{first}: cannot be made, and left out: " in caplog.text


def test_a_task_whose_figures_cannot_be_drawn_has_its_metrics(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(Classification, "figures", lambda *arguments: 1 / 0)
    with caplog.at_level(logging.WARNING, "weaver_tt"):
        written = write_results(measured(), TASK, tmp_path / "net")
    assert [path.name for path in written] == ["net_metrics.json"]
    assert "figures of the results: cannot be made, and left out" in caplog.text
