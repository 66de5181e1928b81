"""Which trackers the options ask for."""

import pytest

from weaver_tt.engine.trackers import make
from weaver_tt.engine.trackers.base import MultiTracker, NullTracker
from weaver_tt.engine.trackers.make import make_tracker
from weaver_tt.errors import OutputError
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


def test_a_folder_of_tensorboard_that_cannot_be_made_is_an_error_before_the_training(tmp_path):
    (tmp_path / "file").write_text("")
    folder = f"{tmp_path}/file/board"
    with pytest.raises(OutputError, match=f"--tensorboard {folder}: cannot be written"):
        make_tracker(TrainOptions(tensorboard=folder), str(tmp_path / "net"))


def test_tensorboard_that_fails_later_ends_no_training(tmp_path, monkeypatch, caplog):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    folder = f"{tmp_path}/board"
    options = TrainOptions(tensorboard=folder, progress="off")
    with make_tracker(options, str(tmp_path / "net")) as tracker:
        monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", fail)
        tracker.epoch({"loss": 1.0}, 0)
        tracker.epoch({"loss": 1.0}, 1)
    assert caplog.text.count(f"TensorBoard in {folder} has failed") == 1
