"""What was measured, as files."""

import json
import math

import torch

from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.metrics.base import Scored
from weaver_tt.metrics.classification import ClassificationMeter
from weaver_tt.output.results import finite_or_none, write_results


def outcome(entries=4):
    """Two classes told apart without fault."""
    meter = ClassificationMeter(["a", "b"])
    output = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7]])[:entries]
    meter.update(
        Scored(
            output, torch.tensor([0, 0, 1, 1])[:entries], torch.ones(entries), torch.ones(entries)
        ),
        None,
    )
    return EpochMetrics([meter], [meter.totals()])


def test_metrics_are_strict_json_with_their_details(tmp_path):
    write_results(outcome(), tmp_path / "net", figures=False)
    told = json.loads(
        (tmp_path / "net_metrics.json").read_text(), parse_constant=lambda name: 1 / 0
    )
    assert told["metrics"]["auc"] == 1.0
    assert told["metrics"]["rejection@0.5"] is None  # infinite
    assert told["classes"] == ["a", "b"]
    assert [path.name for path in tmp_path.iterdir()] == ["net_metrics.json"]


def test_figures_lie_in_a_folder_beside(tmp_path):
    write_results(outcome(), tmp_path / "net")
    names = {path.name for path in (tmp_path / "net_figures").iterdir()}
    assert names == {
        f"{name}.{suffix}"
        for name in ("roc", "scores", "calibration", "confusion")
        for suffix in ("png", "pdf")
    }


def test_nothing_measured_is_nothing_written(tmp_path):
    write_results(outcome(0), tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def test_finite():
    assert finite_or_none({"a": 1.0, "b": math.nan, "c": math.inf}) == {
        "a": 1.0,
        "b": None,
        "c": None,
    }
