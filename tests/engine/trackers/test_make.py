"""Which trackers the options ask for."""

from weaver_tt.engine.trackers import make
from weaver_tt.engine.trackers.base import MultiTracker, NullTracker
from weaver_tt.engine.trackers.make import make_tracker
from weaver_tt.options.train import TrainOptions


def test_options_choose_and_other_ranks_are_silent(tmp_path, monkeypatch):
    prefix = str(tmp_path / "net")
    with make_tracker(TrainOptions(tensorboard="off"), prefix) as tracker:
        assert isinstance(tracker, MultiTracker)
    assert list(tmp_path.iterdir()) == []
    with make_tracker(TrainOptions(), prefix):
        assert (tmp_path / "net_tensorboard").is_dir()
    monkeypatch.setattr(make, "is_main", lambda: False)
    assert isinstance(make_tracker(TrainOptions(), prefix), NullTracker)
