"""Which run of a tracker a training reports to."""

import pytest

from weaver_tt.engine.trackers.base import RunDescription
from weaver_tt.engine.trackers.experiment import TrackedRun, finite, read_tracked_runs
from weaver_tt.errors import DataError


def test_runs_are_known_by_the_name_of_the_tracker(tmp_path):
    path = tmp_path / "net_trackers.json"
    assert read_tracked_runs(path) == {}
    path.write_text('{"wandb": {"run": "a1", "epoch": 3, "step": 150}}')
    assert read_tracked_runs(path) == {"wandb": TrackedRun("a1", 3, 150)}


def test_a_damaged_file_of_runs_is_named(tmp_path):
    path = tmp_path / "net_trackers.json"
    path.write_text('{"wandb": {"run": "a1"}}')
    with pytest.raises(DataError, match=r"net_trackers\.json: .*epoch"):
        read_tracked_runs(path)


def test_numbers_that_are_not_finite_are_no_points():
    nan, inf = float("nan"), float("inf")
    assert finite({"auc": 0.5, "bias": nan, "rejection@0.5": inf}) == {"auc": 0.5}


def test_a_description_needs_no_more_than_a_name():
    about = RunDescription(name="net")
    assert (about.group, dict(about.settings), list(about.headline)) == (None, {}, [])
