"""Which trackers the options ask for."""

import math
import sys

import pytest

from weaver_tt.engine.trackers import make
from weaver_tt.engine.trackers.base import MultiTracker, NullTracker, RunDescription
from weaver_tt.engine.trackers.experiment import ExperimentTracker
from weaver_tt.engine.trackers.history import read_history
from weaver_tt.engine.trackers.make import check_trackers, make_tracker
from weaver_tt.errors import ConfigError, OutputError
from weaver_tt.options.train import TrainOptions

ABOUT = RunDescription(name="net")


def test_options_choose_and_other_ranks_are_silent(tmp_path, monkeypatch):
    prefix = str(tmp_path / "net")
    with make_tracker(TrainOptions(tensorboard="off"), prefix, ABOUT) as tracker:
        assert isinstance(tracker, MultiTracker)
    assert list(tmp_path.iterdir()) == []
    with make_tracker(TrainOptions(), prefix, ABOUT):
        assert (tmp_path / "net_tensorboard").is_dir()
    monkeypatch.setattr(make, "is_main", lambda: False)
    assert isinstance(make_tracker(TrainOptions(), prefix, ABOUT), NullTracker)


def test_a_folder_of_tensorboard_that_cannot_be_made_is_an_error_before_the_training(tmp_path):
    (tmp_path / "file").write_text("")
    folder = f"{tmp_path}/file/board"
    with pytest.raises(OutputError, match=f"--tensorboard {folder}: cannot be written"):
        make_tracker(TrainOptions(tensorboard=folder), str(tmp_path / "net"), ABOUT)


def test_tensorboard_that_fails_later_ends_no_training(tmp_path, monkeypatch, caplog):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    folder = f"{tmp_path}/board"
    options = TrainOptions(tensorboard=folder, progress="off")
    with make_tracker(options, str(tmp_path / "net"), ABOUT) as tracker:
        monkeypatch.setattr("torch.utils.tensorboard.writer.FileWriter.add_summary", fail)
        tracker.epoch({"loss": 1.0}, 0)
        tracker.epoch({"loss": 1.0}, 1)
    assert caplog.text.count(f"TensorBoard in {folder} has failed") == 1


class Notebook(ExperimentTracker):
    """A tracker that writes down what it is given, in the order of all runs."""

    name = "notebook"
    pages = ()  # (run, number, names of the values)
    broken = False

    def _open(self, run):
        if self.broken:
            raise ConnectionError("nobody answers")
        return run or f"run-{len({page[0] for page in self.pages})}"

    def _log(self, values, axis, number):
        if self.broken:
            raise ConnectionError("nobody answers")
        Notebook.pages = (*self.pages, (self._tracked.run, axis, number, *sorted(values)))

    def _summarize(self, best, epoch):
        self._log(best, "epoch", epoch)

    def _close(self, is_finished):
        self._log({}, "finished" if is_finished else "interrupted", -1)


@pytest.fixture
def notebook(monkeypatch):
    """The options of a training that reports to the notebook, which is empty."""
    monkeypatch.setitem(make.EXPERIMENTS, "notebook", Notebook)
    monkeypatch.setattr(Notebook, "pages", ())

    def options(**changed):
        return TrainOptions(tensorboard="off", tracker="notebook", **changed)

    return options


def train(options, prefix, epochs, steps=(), is_finished=True):
    """Report some epochs."""
    with make_tracker(options, prefix, ABOUT) as tracker:
        for step in steps:
            tracker.interval({"loss": 1.0}, step)
        for epoch in epochs:
            tracker.epoch({"val/loss": 1.0, "rows_train/read": 9.0, "learning_rate": 0.1}, epoch)
        if is_finished:
            tracker.finish({"loss": 1.0, "rejection@0.5": math.inf}, epochs[-1])


def test_a_tracker_is_given_curves_and_finite_numbers_of_the_best_epoch(tmp_path, notebook):
    train(notebook(), str(tmp_path / "net"), [0], steps=[50])
    assert Notebook.pages == (
        ("run-0", "step", 50, "step/loss"),
        ("run-0", "epoch", 0, "training/learning_rate", "val/loss"),
        ("run-0", "epoch", 0, "best/loss"),
        ("run-0", "finished", -1),
    )


def test_a_training_without_a_measured_epoch_has_no_best_one(tmp_path, notebook):
    with make_tracker(notebook(), str(tmp_path / "net"), ABOUT) as tracker:
        tracker.finish({}, -1)
    assert Notebook.pages == (("run-0", "finished", -1),)


def axes_of(kind, pages):
    return [page[:3] for page in pages if page[1] == kind]


def test_a_resumed_training_goes_on_in_its_run_and_no_epoch_is_there_twice(tmp_path, notebook):
    prefix = str(tmp_path / "net")
    train(notebook(), prefix, [0, 1], steps=[50, 100], is_finished=False)
    assert Notebook.pages[-1] == ("run-0", "interrupted", -1)
    # killed after epoch 1 was reported and before it was saved
    train(notebook(resume=True), prefix, [1, 2], steps=[100, 150])
    epochs = [page for page in Notebook.pages if "val/loss" in page]
    assert [page[:3] for page in epochs] == [("run-0", "epoch", number) for number in range(3)]
    steps = axes_of("step", Notebook.pages)
    assert steps == [("run-0", "step", number) for number in (50, 100, 150)]
    # what went on after an epoch is still the same course ...
    train(notebook(load_epoch=2), prefix, [3])
    assert Notebook.pages[-1][0] == "run-0"
    # ... another one is another run, and so is a training that begins again
    train(notebook(load_epoch=1), prefix, [2])
    assert Notebook.pages[-1][0] == "run-1"
    train(notebook(), prefix, [0])
    assert Notebook.pages[-1][0] == "run-2"


def test_a_tracker_that_cannot_be_reached_is_an_error_before_the_training(
    tmp_path, notebook, monkeypatch
):
    monkeypatch.setattr(Notebook, "broken", True)
    with pytest.raises(OutputError, match=r"--tracker notebook: a run .*nobody answers.*without"):
        make_tracker(notebook(), str(tmp_path / "net"), ABOUT)


def test_a_tracker_that_fails_later_warns_once_and_the_training_goes_on(
    tmp_path, notebook, monkeypatch, caplog
):
    prefix = str(tmp_path / "net")
    with make_tracker(notebook(), prefix, ABOUT) as tracker:
        monkeypatch.setattr(Notebook, "broken", True)
        for epoch in range(3):
            tracker.epoch({"val/loss": 1.0}, epoch)
        tracker.finish({"loss": 1.0}, 0)
    assert caplog.text.count("--tracker notebook has failed and is given no more") == 1
    # the table has all of them
    assert list(read_history(tmp_path / "net_history.csv")) == [0, 1, 2]


def test_a_tracker_that_there_is_not_names_the_nearest():
    with pytest.raises(ConfigError, match=r"--tracker 'mlfow'; did you mean 'mlflow'\?"):
        check_trackers("wandb,mlfow")
    check_trackers("")


def test_a_tracker_whose_package_is_missing_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"pip install 'weaver_tt\[wandb\]'"):
        check_trackers("wandb")
