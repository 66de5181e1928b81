"""What trackers say of a run beside its curves."""

import json
import shlex
import sys
from types import ModuleType

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from weaver_tt import cli
from weaver_tt.engine.trackers import make
from weaver_tt.engine.trackers.experiment import ExperimentTracker
from weaver_tt.options.train import parse_options
from weaver_tt.run.run_description import describe_run, settings_of

FLAGS = ["-i", "a.root", "-c", "d/data.yaml", "-n", "weaver_tt:pfn", "-m", "models/first"]


def test_settings_are_the_usual_ones_and_what_differs_from_the_default():
    assert dict(settings_of(parse_options(FLAGS))) == {
        "data": "d/data",
        "network": "pfn",
        "batch_size": 128,
        "num_epochs": 20,
        "optimizer": "ranger",
        "start_lr": 5e-3,
        "lr_scheduler": "flat+decay",
    }


def test_settings_have_options_of_the_network_and_no_places_of_files():
    options_of_others = ["-o", "hidden", "(32,64)", "-p", "weight_decay", "1e-4"]
    flags = [*FLAGS, *options_of_others, "--ema", "0.99", "--log", "x.log"]
    settings = dict(settings_of(parse_options(flags)))
    found = {name: settings[name] for name in settings if "." in name or name in ("ema", "log")}
    assert found == {"network.hidden": "(32, 64)", "optimizer.weight_decay": 1e-4, "ema": 0.99}
    assert "data_train" not in settings


@pytest.mark.parametrize(
    ("prefix", "name", "group"),
    [
        ("models/first", "models/first", None),
        ("/data/models/first_member-1", "models/first_member-1", "models/first"),
        ("m/first_fold-2", "m/first_fold-2", "m/first"),
        ("m/first_fold-2_member-0", "m/first_fold-2_member-0", "m/first"),
        ("m/search_trial-7", "m/search_trial-7", None),
    ],
)
def test_members_folds_and_trials_have_names_that_tell_them_apart(prefix, name, group):
    about = describe_run(parse_options(FLAGS), prefix, 1, {}, ["auc"])
    assert (about.name, about.group) == (name, group)
    assert about.headline == ["auc"]
    assert about.texts == {}


class Notebook(ExperimentTracker):
    """A tracker that keeps what it was told of runs."""

    name = "notebook"
    known = ()

    def _open(self, run):
        Notebook.known = (*self.known, self.about)
        return run or self.about.name

    def _log(self, values, axis, number):
        pass

    def _summarize(self, best, epoch):
        pass

    def _close(self, is_finished):
        pass


def test_every_member_of_an_ensemble_is_described(small_run, monkeypatch):
    # as its package would be
    monkeypatch.setitem(sys.modules, "notebook", ModuleType("notebook"))
    monkeypatch.setitem(make.EXPERIMENTS, "notebook", Notebook)
    monkeypatch.setattr(Notebook, "known", ())
    folder = small_run.prefix.parent / "net_tensorboard"
    flags = ["--ensemble", "2", "--tracker", "notebook", "-o", "hidden", "5"]
    assert small_run("--tensorboard", folder, *flags) == 0
    first, second = Notebook.known
    assert (first.name, second.name) == ("m/net_member-0", "m/net_member-1")
    assert first.group == second.group == "m/net"
    assert first.settings["network.hidden"] == 5
    assert first.settings["seed"] != second.settings["seed"]
    assert first.texts["network.py"] == (small_run.folder / "net.py").read_text()
    card = json.loads(first.texts["run_card.json"])
    assert card["options"]["network"]["ensemble"] == 2
    # in lines that a page shows whole, and that a shell takes as one command
    shown = first.texts["command.txt"]
    assert shlex.split(shown.replace("\\\n", "")) == shlex.split(card["command"])
    for about in Notebook.known:
        events = EventAccumulator(str(folder / about.name.rpartition("/")[2] / "val"))
        events.Reload()
        scalars = events.Tags()["scalars"]
        assert {"loss", "headline/auc", "headline/accuracy"} <= set(scalars)


def test_a_tracker_that_there_is_not_is_said_before_anything_is_read(small_run, capsys):
    flags = small_run.flags("--tracker", "mlflo", "-i", small_run.folder / "none.parquet")
    assert cli.train(flags) != 0
    assert "did you mean 'mlflow'?" in capsys.readouterr().err
    assert small_run.files() == set()
