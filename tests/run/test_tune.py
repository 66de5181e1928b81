"""A search for settings: trials of a few rows in one file, by one process and by several."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from rich.console import Console

from weaver_tt import cli
from weaver_tt.errors import TrainingError
from weaver_tt.run import tune
from weaver_tt.run.run_card import load_card
from weaver_tt.run_files import RunFiles
from weaver_tt.system.signals import RESUME_ME
from weaver_tt.system.study_file import STUDY_NAME, open_journal

SPACE = """
network: {hidden: [2, 3]}
flags: {start_lr: {low: 1e-4, high: 1e-2, log: true}, batch_size: [4, 8]}
"""


class SmallSearch:
    """``weaver-tt tune`` on twenty rows."""

    def __init__(self, run, monkeypatch) -> None:
        self.run = run
        self.folder = run.folder
        self.storage = run.folder / "search.journal"
        monkeypatch.chdir(run.folder)
        # an option that it does not name is an error
        network = (run.folder / "net.py").read_text().replace(", **options", "")
        (run.folder / "net.py").write_text(network)
        self.write_space(SPACE)

    @property
    def prefix(self) -> Path:
        return self.run.prefix

    def write_space(self, text: str) -> None:
        (self.folder / "space.yaml").write_text(text)

    def flags(self, *more: object) -> list[str]:
        own = {"space": "space.yaml", "storage": self.storage, "trials": 3}
        return self.run.flags(*more, **own)

    def __call__(self, *more: object) -> int:
        return cli.main(["tune", *self.flags(*more)])

    def study(self):
        return optuna.load_study(
            study_name=STUDY_NAME, storage=open_journal(str(self.storage), "tune")
        )

    def trials(self):
        return self.study().get_trials()

    def start(self, *more: object, network: str | None = None) -> subprocess.Popen:
        """The same in a process of its own."""
        if network is not None:
            (self.folder / "net.py").write_text(network)
        command = [sys.executable, "-m", "weaver_tt.cli", "tune", *self.flags(*more)]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)


@pytest.fixture
def search(small_run, monkeypatch) -> SmallSearch:
    return SmallSearch(small_run, monkeypatch)


def states(search) -> list[str]:
    return [trial.state.name for trial in search.trials()]


# --- trials


def test_each_trial_is_a_training_with_its_own_settings(search, capsys):
    assert search("--metric", "auc") == 0
    trials = search.trials()
    assert states(search) == ["COMPLETE"] * 3
    for trial in trials:
        card = load_card(f"{search.prefix}_trial-{trial.number}")
        assert card["options"]["train"]["start_lr"] == trial.params["--start-lr"]
        assert card["options"]["data"]["batch_size"] == trial.params["--batch-size"]
        hidden = ["hidden", str(trial.params["-o hidden"])]
        assert hidden in card["options"]["network"]["network_option"]
        assert trial.value == card["best"][0]["auc"]
        files = RunFiles(card["options"]["network"]["model_prefix"])
        assert files.best.is_file()
        assert files.log.is_file()
    best = max(trials, key=lambda trial: trial.value)
    assert f"best: trial {best.number}, auc" in capsys.readouterr().err


def test_the_same_seed_draws_the_same_trials(search):
    assert search("--seed", 5) == 0
    first = [(trial.params, trial.value) for trial in search.trials()]
    search.storage = search.folder / "again.journal"
    search.run.prefix = search.folder / "again"
    assert search("--seed", 5) == 0
    assert [(trial.params, trial.value) for trial in search.trials()] == first
    assert len({str(params) for params, _ in first}) == 3


def test_a_second_call_adds_what_is_missing(search):
    assert search("--trials", 1) == 0
    assert search("--trials", 2) == 0
    assert search("--trials", 2) == 0
    assert states(search) == ["COMPLETE"] * 2


def search_that_fails_with_seven(search):
    """Four trials of a network that cannot be made with 7 of what is hidden."""
    network = (search.folder / "net.py").read_text()
    broken = network.replace(
        "    return Net", "    if hidden == 7:\n        raise ValueError('seven')\n    return Net"
    )
    (search.folder / "net.py").write_text(broken)
    search.write_space("network: {hidden: [2, 7]}")
    assert search("--trials", 4, "--seed", 1) == 0


def test_a_trial_that_fails_is_marked_and_the_search_goes_on(search, capsys):
    search_that_fails_with_seven(search)
    for trial in search.trials():
        if trial.params["-o hidden"] == 7:
            assert trial.state == TrialState.FAIL
            assert "seven" in trial.user_attrs["message"]
        else:
            assert trial.state == TrialState.COMPLETE
    assert set(states(search)) == {"FAIL", "COMPLETE"}
    assert "such trials may fail" in capsys.readouterr().err


def test_where_every_trial_fails_the_search_fails_with_the_message(search, capsys, monkeypatch):
    def train(*_):
        raise TrainingError("NaN in training")

    monkeypatch.setattr(tune, "run_on_this_process", train)
    assert search("--trials", 2) == 1
    assert "no trial has been completed; the latest failed with: NaN in" in capsys.readouterr().err
    assert states(search) == ["FAIL"] * 2


def test_several_metrics_give_a_pareto_front(search, capsys):
    assert search("--metric", "auc", "--metric", "loss") == 0
    study = search.study()
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    for trial in study.trials:
        best = trial.user_attrs["best"][0]
        assert trial.values == [best["auc"], best["loss"]]
    assert "no trial is pruned; the result is a Pareto front" in capsys.readouterr().err


def test_auc_and_ant_factor_give_a_front_of_quality_and_size(search, monkeypatch):
    train = tune.run_on_this_process
    rejections = iter([100.0, 300.0])

    def with_rejection(options, after_epoch):
        # of twenty rows there is no background left where 30 % of the signal pass
        result = train(options, after_epoch)
        result.best[0]["rejection@0.3"] = next(rejections)
        return result

    monkeypatch.setattr(tune, "run_on_this_process", with_rejection)
    assert search("--metric", "auc", "--metric", "ant", "--trials", 2) == 0
    for trial, rejection in zip(search.trials(), (100.0, 300.0), strict=True):
        # two layers with biases between 2, hidden and 2 numbers
        parameters = 5 * trial.params["-o hidden"] + 2
        assert trial.user_attrs["parameters"] == parameters
        assert trial.values == [trial.user_attrs["best"][0]["auc"], rejection / parameters]


# --- pruning


def test_a_trial_worse_than_the_median_ends_after_its_epoch(search, monkeypatch):
    # five trials are trained to the end before any is pruned; lower losses are better
    losses = iter([1, 2, 3, 4, 5, 6, 2.5])

    def train(options, after_epoch):
        loss = next(losses)
        for number in range(2):
            after_epoch(number, {"loss": loss})
        return tune.TrainingResult(RunFiles("x"), [{"loss": loss}])

    monkeypatch.setattr(tune, "train_once", train)
    assert search("--trials", 7, "--num-epochs", 2) == 0
    # the median of the five is 3: 6 is above it, 2.5 below
    assert states(search) == [*["COMPLETE"] * 5, "PRUNED", "COMPLETE"]


def test_the_card_of_a_pruned_trial_says_so(search, monkeypatch):
    monkeypatch.setattr(optuna.trial.Trial, "should_prune", lambda trial: True)
    search("--trials", 1, "--num-epochs", 3)
    (trial,) = search.trials()
    assert states(search) == ["PRUNED"]
    card = json.loads(RunFiles(trial.user_attrs["prefix"]).card.read_text())
    assert card["state"] == "pruned"


def test_epochs_of_a_real_training_are_reported(search):
    assert search("--trials", 1, "--num-epochs", 3) == 0
    (trial,) = search.trials()
    # the last epoch spares nothing
    assert list(trial.intermediate_values) == [0, 1]


def test_a_trial_climbs_the_rungs_as_long_as_it_is_good_enough(search, monkeypatch):
    losses = {0: 1.0, 1: 0.5, 2: 0.8, 3: 0.9}
    trained = []

    def train(options, after_epoch):
        number = int(options.network.model_prefix.partition("trial-")[2][0])
        trained.append((number, options.data.data_fraction))
        return tune.TrainingResult(RunFiles("x"), [{"loss": losses[number]}])

    monkeypatch.setattr(tune, "run_on_this_process", train)
    assert search("--trials", 4, "--rungs", "0.2,0.5,1") == 0
    # the first one has no other to be compared with; afterwards only the best third goes on
    assert trained == [
        *[(0, 0.2), (0, 0.5), (0, 1.0)],
        *[(1, 0.2), (1, 0.5), (1, 1.0)],
        (2, 0.2),
        (3, 0.2),
    ]
    assert states(search) == ["COMPLETE", "COMPLETE", "PRUNED", "PRUNED"]


def test_rungs_are_trainings_on_parts_of_the_rows(search):
    assert search("--trials", 1, "--rungs", "0.5,1", "--train-val-split", 0.5) == 0
    for ending, fraction in (("_fraction-0.5", 0.5), ("", 1.0)):
        card = load_card(f"{search.prefix}_trial-0{ending}")
        assert card["options"]["data"]["data_fraction"] == fraction


# --- several processes, and what is left of them


def test_two_processes_share_the_trials(search):
    workers = [search.start("--trials", 4) for _ in range(2)]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    assert states(search) == ["COMPLETE"] * 4
    assert [trial.number for trial in search.trials()] == [0, 1, 2, 3]


WAITING_NETWORK = """
    def forward(self, jet):
        import pathlib, time
        if self.training and self.steps > 5 and not pathlib.Path("go").exists():
            pathlib.Path("waits").touch()
            time.sleep(60)
        self.steps += 1
"""


def test_the_trial_of_a_killed_worker_is_continued_from_its_checkpoint(search, capsys):
    network = (search.folder / "net.py").read_text()
    network = network.replace("    def forward(self, jet):\n", WAITING_NETWORK)
    network = network.replace(
        "        super().__init__()\n", "        super().__init__()\n        self.steps = 0\n"
    )
    worker = search.start("--trials", 1, "--num-epochs", 4, "--batch-size", 8, network=network)
    waits = search.folder / "waits"
    end = time.monotonic() + 60
    while not waits.exists() and time.monotonic() < end:
        time.sleep(0.05)
    worker.kill()
    worker.wait()
    assert states(search) == ["RUNNING"]
    (search.folder / "go").touch()
    assert search("--trials", 1, "--num-epochs", 4, "--batch-size", 8) == 0
    lost, continued = search.trials()
    assert (lost.state, continued.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert continued.params == lost.params
    assert continued.user_attrs["continues"] == 0
    log = RunFiles(f"{search.prefix}_trial-0").log.read_text()
    assert "continuing from" in log
    # its files are those of the first: there is no other run
    assert not list(search.prefix.parent.glob("*trial-1*"))


def test_ctrl_c_leaves_the_trial_to_the_next_call(search, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tune, "run_on_this_process", interrupt)
        assert search("--trials", 1) == 130
    assert states(search) == ["FAIL", "WAITING"]
    assert search("--trials", 1) == 0
    assert states(search) == ["FAIL", "COMPLETE"]


def test_a_signal_ends_the_search_with_the_code_of_what_can_be_continued(search, monkeypatch):
    def end(*_):
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(tune, "run_on_this_process", end)
        assert search("--trials", 1) == RESUME_ME
    assert states(search) == ["FAIL", "WAITING"]


def test_max_time_ends_the_search_between_trials_too(search, monkeypatch):
    monkeypatch.setattr("weaver_tt.cli.seconds_of", lambda *_: 0)
    assert search("--max-time", "00:01") == RESUME_ME
    assert states(search) == []


def test_a_trial_that_kills_its_worker_each_time_is_given_up(search, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tune, "run_on_this_process", interrupt)
    for _ in range(3):
        assert search("--trials", 1) == 130
    # three attempts; it counts as the one trial of the search
    assert states(search) == ["FAIL"] * 3
    assert search("--trials", 1) == 0


def test_a_trial_that_is_queued_already_is_not_queued_twice():
    study = optuna.create_study()
    trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    # by a process that was killed before it could end the first one
    study.enqueue_trial(trial.params, user_attrs={"continues": trial.number})
    tune.hand_on(study, trial.number, trial.params, trial.user_attrs)
    assert [one.state.name for one in study.trials] == ["FAIL", "WAITING"]


def test_a_worker_is_lost_without_process_or_sign_of_life():
    me = tune.this_worker()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    now = time.time()
    elsewhere = {"machine": "node7", "process": ended.pid}
    parent = me | {"process": os.getppid()}
    cases = [
        (me | {"process": ended.pid}, now, True),
        (parent, now, False),
        (parent, now - 400, True),
        (elsewhere, now, False),
        (elsewhere, now - 400, True),
    ]
    for worker, sign, expected in cases:
        assert tune.is_lost({"worker": worker, "sign_of_life": sign}) is expected
    assert tune.is_lost({})


def test_a_worker_that_was_taken_for_lost_gives_its_trial_up(search, monkeypatch, capsys):
    train = tune.run_on_this_process

    def slow(options, after_epoch):
        study = search.study()
        (trial,) = study.get_trials(states=(TrialState.RUNNING,))
        tune.hand_on(study, trial.number, trial.params, trial.user_attrs)
        monkeypatch.setattr(tune, "run_on_this_process", train)
        return train(options, after_epoch)

    monkeypatch.setattr(tune, "run_on_this_process", slow)
    assert search("--trials", 1) == 0
    assert "another worker has taken it" in capsys.readouterr().err
    assert states(search) == ["FAIL", "COMPLETE"]


def test_signs_of_life_are_given_while_a_trial_is_trained(monkeypatch):
    signs = []

    class Trial:
        def set_user_attr(self, name, value):
            signs.append((name, value))

    monkeypatch.setattr(tune, "SIGN_OF_LIFE_SECONDS", 0.001)
    with tune.SignsOfLife(Trial()):
        end = time.monotonic() + 10
        while not signs and time.monotonic() < end:
            time.sleep(0.001)
    given = len(signs)
    assert signs[0][0] == "sign_of_life"
    time.sleep(0.01)
    assert len(signs) == given


# --- what does not fit


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("network: {hidden: []}", "network: hidden: expected a list of choices"),
        ("network: {hidden: {low: 4, high: 4}}", "expected low below high, found 4 and 4"),
        ("network: {hiden: [2]}", "space.yaml: a training with -o hiden 2: "),
        ("network: {hiden: [2]}", "did you mean 'hidden'?"),
        ("network: {hidden: [2, wide]}", "network: hidden"),
        ("flags: {batch_size: [4, 0]}", "flags: batch_size: --batch-size 0: expected a number of"),
        ("flags: {batch_size: [4, 2.5]}", "flags: batch_size"),
        ("flags: {optimizer: [adam, adm]}", "flags: optimizer"),
        ("optimizer: {weight_decai: [0.1]}", "weight_decai"),
    ],
)
def test_a_space_that_does_not_fit_is_refused_before_the_first_trial(
    search, capsys, space, message
):
    search.write_space(space)
    assert search() == 1
    assert message in capsys.readouterr().err
    assert not search.storage.exists()
    assert not search.prefix.parent.exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--predict", "-t", "jets.parquet"], "--predict: the trials of tune are trainings"),
        (["--resume"], "--resume"),
        (["--metric", "auk"], "--metric: there is no metric 'auk'; did you mean 'auc'"),
        (["--metric", "auc", "--metric", "loss", "--rungs", "0.1,1"], "a single --metric"),
        (["--rungs", "0.5,0.1"], "growing fractions"),
        (["--trials", "0"], "--trials 0: expected a number of at least 1"),
        (["--storage", ""], "--storage must be given"),
        (["--gpus", "0,1"], "a --gpus of its own"),
    ],
)
def test_flags_that_do_not_fit_are_refused(search, capsys, flags, message):
    assert search(*flags) == 1
    assert message in capsys.readouterr().err


def test_a_search_is_continued_with_the_same_space_only(search, capsys):
    assert search("--trials", 1) == 0
    search.write_space("network: {hidden: [2, 4]}")
    assert search("--trials", 2) == 1
    assert "it is a search with another space" in capsys.readouterr().err


def test_a_search_is_continued_with_the_same_network_only(search, capsys):
    assert search("--trials", 1) == 0
    (search.folder / "other.py").write_text((search.folder / "net.py").read_text())
    assert search("--trials", 2, "-n", "other.py") == 1
    message = "it is a search with another network (net.py, now other.py)"
    assert message in capsys.readouterr().err
    # wherever it lies
    (search.folder / "moved").mkdir()
    (search.folder / "net.py").rename(search.folder / "moved" / "net.py")
    assert search("--trials", 2, "-n", "moved/net.py") == 0


def test_a_study_of_another_program_is_refused_and_left_as_it_is(search, capsys):
    journal = open_journal(str(search.storage), "tune")
    optuna.create_study(study_name="mine", storage=journal)
    before = search.storage.read_bytes()
    assert search() == 1
    assert "holds the study 'mine' of another program" in capsys.readouterr().err
    assert search.storage.read_bytes() == before


def test_a_file_that_is_no_search_is_refused(search, capsys):
    search.storage.write_text("jet_pt: 3\n")
    assert search() == 1
    assert "not a file of weaver-tt tune" in capsys.readouterr().err
    assert search.storage.read_text() == "jet_pt: 3\n"


def test_a_new_search_does_not_meet_the_trials_of_another_one(search, capsys):
    assert search("--trials", 1) == 0
    search.storage = search.folder / "another.journal"
    assert search("--trials", 1) == 1
    assert "trials of another search lie there" in capsys.readouterr().err


def test_what_a_full_disk_left_of_a_line_is_cut_off(search):
    assert search("--trials", 1) == 0
    with search.storage.open("a") as file:
        file.write('{"op_code": 5, "wor')
    assert search("--trials", 2) == 0
    assert states(search) == ["COMPLETE"] * 2


def test_a_file_that_cannot_be_written_ends_the_search(search, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tune, "run_on_this_process", full)
    assert search("--trials", 1) == 1
    assert "No space left on device" in capsys.readouterr().err


def test_optuna_missing_is_one_message(search, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert search() == 1
    assert "pip install 'weaver_tt[tune]'" in capsys.readouterr().err


# --- on a terminal


@pytest.fixture
def shown(monkeypatch):
    """What is shown on a terminal of 100 columns."""
    drawn = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    for module in ("log", "run.screen", "engine.trackers.make"):
        monkeypatch.setattr(f"weaver_tt.{module}.is_terminal", lambda: True)
    for module in ("run.screen", "run.tune_screen", "engine.trackers.make"):
        monkeypatch.setattr(f"weaver_tt.{module}.console", lambda: drawn)
    return drawn.file


def test_a_terminal_shows_a_row_for_each_trial_and_none_of_its_epochs(search, shown, capsys):
    assert search("--metric", "auc") == 0
    text = shown.getvalue()
    header, _, rest = text.partition("╰")
    # a long path is cut
    assert f"─ search {str(search.storage)[:20]}" in header
    assert "0.0001 to 0.01, logarithmic" in header
    assert "auc, as large as possible" in header
    rows, _, best = rest.partition("─ best trial ─")
    numbers = [line.split()[0] for line in rows.splitlines() if "--start-lr" in line]
    assert numbers == ["0", "1", "2"]
    # the first trial is the best so far
    first = next(line for line in rows.splitlines() if line.startswith("    0 "))
    assert " * " in first
    winner = search.study().best_trial
    assert f"trial {winner.number} " in best
    words = " ".join(best.replace("\\\n", " ").split())
    assert (
        f"weaver-tt tune-report {search.storage} -o {search.storage.with_suffix('')}_report"
        in words
    )
    assert f"-m {winner.user_attrs['prefix']}" in " ".join(best.replace("\\\n", " ").split())
    # neither header, epochs nor next commands of the trainings, nor their messages
    assert "train loss" not in text
    assert text.count("next") == 1
    assert "INFO" not in capsys.readouterr().err


def test_a_trial_without_a_value_says_what_became_of_it(search, shown):
    search_that_fails_with_seven(search)
    rows = [line for line in shown.getvalue().splitlines() if "-o hidden 7" in line]
    assert rows
    assert all("fail" in row for row in rows)


# --- trackers and ranks


@pytest.mark.filterwarnings("ignore")
def test_each_trial_is_a_run_of_a_tracker(search, monkeypatch, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "search")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    try:
        assert search("--metric", "auc", "--trials", 2, "--tracker", "mlflow") == 0
        client = mlflow.MlflowClient()
        experiment = client.get_experiment_by_name("search")
        runs = client.search_runs([experiment.experiment_id])
    finally:
        mlflow.set_tracking_uri(before)
    of_trials = {run.data.tags["mlflow.runName"]: run for run in runs}
    assert {name.rpartition("_")[2] for name in of_trials} == {"trial-0", "trial-1"}
    for name, run in of_trials.items():
        trial = search.trials()[int(name.rpartition("-")[2])]
        # what was drawn is among the settings of the run
        assert float(run.data.params["start_lr"]) == trial.params["--start-lr"]
        assert run.info.status == "FINISHED"


@pytest.mark.parametrize("flags", [("--backend", "gloo"), ("--gpus", "0,1")])
def test_a_trial_is_not_shared_by_ranks(search, capsys, flags):
    assert search(*flags) == 1
    assert "start weaver-tt tune several times with the same --storage" in capsys.readouterr().err
    assert not search.storage.exists()
